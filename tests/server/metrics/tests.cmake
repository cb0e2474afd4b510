if(TARGET sf_server_metrics)
  sf_test(server_metrics DIR server/metrics DEPS sf_server_metrics)
endif()

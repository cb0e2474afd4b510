if(TARGET sf_server_outbound)
  sf_test(server_outbound DIR server/outbound DEPS sf_server_outbound)
endif()

if(TARGET sf_server_app)
  sf_test(server_app DIR server/app DEPS sf_server_app sf_fake_engine sf_httplib)
endif()

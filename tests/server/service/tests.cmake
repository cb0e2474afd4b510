if(TARGET sf_server_service)
  sf_test(server_service DIR server/service DEPS sf_server_service sf_server_guard sf_fake_engine)
endif()

if(TARGET sf_server_service)
  sf_test(server_service DIR server/service DEPS sf_server_service sf_server_auth sf_server_wire sf_fake_engine)
endif()

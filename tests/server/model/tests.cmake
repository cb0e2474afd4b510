if(TARGET sf_server_model)
  sf_test(server_model DIR server/model DEPS sf_server_model sf_fake_engine)
endif()

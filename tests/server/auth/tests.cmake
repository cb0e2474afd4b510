if(TARGET sf_server_auth)
  sf_test(server_auth DIR server/auth DEPS sf_server_auth)
endif()

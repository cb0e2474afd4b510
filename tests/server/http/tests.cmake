if(TARGET sf_server_http)
  sf_test(server_http DIR server/http DEPS sf_server_http)
  if(TARGET server_http_test)
    target_sources(server_http_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/fake_service.cc
                                          ${PROJECT_SOURCE_DIR}/tests/support/raw_connection.cc)
  endif()
endif()

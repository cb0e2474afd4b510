if(TARGET sf_server_connections)
  sf_test(server_connections DIR server/connections DEPS sf_server_connections)
  target_sources(server_connections_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/raw_connection.cc
                                                 ${PROJECT_SOURCE_DIR}/tests/support/process.cc)
  set_tests_properties(server_connections PROPERTIES PROCESSORS 2)
endif()

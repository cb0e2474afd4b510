if(TARGET sf_server_app)
  sf_test(server_app DIR server/app DEPS sf_server_app sf_fake_engine sf_httplib)
  target_sources(server_app_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/tls_client.cc)
endif()

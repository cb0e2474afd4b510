# The real programs as processes. Every test trains or copies a toy model of its own; nothing is left behind.
if(TARGET sparsefusion-server AND TARGET sparsefusion-train AND TARGET sf_client)
  sf_test(integration DIR integration DEPS
      sf_client sf_server_auth sf_server_wire sf_server_kserve sf_httplib sf_engine_checkpoint sf_engine_image sf_engine_text PkgConfig::sf_image_codecs ZLIB::ZLIB nlohmann_json::nlohmann_json)
  target_sources(integration_test PRIVATE
      ${PROJECT_SOURCE_DIR}/tests/integration/live_server.cc
      ${PROJECT_SOURCE_DIR}/tests/integration/load.cc
      ${PROJECT_SOURCE_DIR}/tests/integration/ways_over_rest.cc
      ${PROJECT_SOURCE_DIR}/tests/integration/ways_over_grpc.cc
      ${PROJECT_SOURCE_DIR}/tests/engine/image/image_fixtures.cc
      ${PROJECT_SOURCE_DIR}/tests/support/process.cc
      ${PROJECT_SOURCE_DIR}/tests/support/raw_connection.cc
      ${PROJECT_SOURCE_DIR}/tests/support/tls_client.cc)
  add_dependencies(integration_test sparsefusion-server sparsefusion-train)
  set_tests_properties(integration PROPERTIES PROCESSORS 2)
  # Alone: it measures what other work on the machine costs.
  add_test(NAME integration_busy_long COMMAND integration_test --gtest_filter=BusyMachineTest.*)
  set_tests_properties(integration_busy_long PROPERTIES LABELS long RUN_SERIAL ON TIMEOUT 600 ENVIRONMENT SF_LONG_TESTS=1)
endif()

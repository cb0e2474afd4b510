# The bundled model in a real server, published anew and anew, damaged, and killed. scripts/test --long: more rounds, and
# times are gated.
if(TARGET sparsefusion-server AND TARGET sparsefusion-train AND TARGET sf_client)
  sf_test(integration_reload DIR integration/reload DEPS
      sf_client sf_httplib sf_engine_base sf_engine_checkpoint sf_engine_image sf_engine_text nlohmann_json::nlohmann_json)
  target_sources(integration_reload_test PRIVATE
      ${PROJECT_SOURCE_DIR}/tests/integration/live_server.cc
      ${PROJECT_SOURCE_DIR}/tests/integration/reload/demo_versions.cc
      ${PROJECT_SOURCE_DIR}/tests/integration/reload/measured_load.cc
      ${PROJECT_SOURCE_DIR}/tests/support/process.cc)
  # Not sf_binary: it is not installed.
  add_executable(leaking-server ${PROJECT_SOURCE_DIR}/tests/integration/reload/leaking_server.cc)
  target_link_libraries(leaking-server PRIVATE sf_options sf_server_app sf_engine_runtime)
  add_dependencies(integration_reload_test sparsefusion-server sparsefusion-train leaking-server)
  set_tests_properties(integration_reload PROPERTIES TIMEOUT 1200)  # times are compared in the long form only
  add_test(NAME integration_reload_long COMMAND integration_reload_test)
  set_tests_properties(integration_reload_long PROPERTIES LABELS long TIMEOUT 3600 RUN_SERIAL ON ENVIRONMENT SF_LONG_TESTS=1)
endif()

if(TARGET sparsefusion-server AND TARGET sparsefusion-train AND TARGET sf_client)
  sf_test(integration DIR integration DEPS sf_client sf_httplib sf_engine_checkpoint nlohmann_json::nlohmann_json)
  target_sources(integration_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/process.cc
                                          ${PROJECT_SOURCE_DIR}/tests/integration/live_server.cc)
  add_dependencies(integration_test sparsefusion-server sparsefusion-train sparsefusion sparsefusion-model)
endif()

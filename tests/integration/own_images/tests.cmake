# A user's own images, from files to the answers of a running server: trains for a minute or two.
if(TARGET sparsefusion-server AND TARGET sparsefusion-train AND TARGET sf_client)
  sf_test(integration_own_images DIR integration/own_images DEPS
      sf_client sf_httplib sf_engine_base sf_engine_checkpoint sf_engine_image nlohmann_json::nlohmann_json)
  target_sources(integration_own_images_test PRIVATE
      ${PROJECT_SOURCE_DIR}/tests/integration/live_server.cc
      ${PROJECT_SOURCE_DIR}/tests/support/process.cc)
  add_dependencies(integration_own_images_test sparsefusion-server sparsefusion-train)
  set_tests_properties(integration_own_images PROPERTIES PROCESSORS 2 TIMEOUT 1200)
endif()

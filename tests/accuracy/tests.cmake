if(TARGET sf_tools_model AND EXISTS ${PROJECT_SOURCE_DIR}/models/demo/manifest.json)
  sf_test(accuracy TORCH DIR accuracy DEPS sf_tools_model sf_test_scenes)
endif()

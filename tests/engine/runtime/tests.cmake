if(TARGET sf_tools_model)
  sf_test(engine_runtime TORCH DIR engine/runtime DEPS sf_test_model sf_tools_model)
endif()

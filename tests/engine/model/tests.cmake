if(TARGET sf_engine_model)
  sf_test(engine_model TORCH DIR engine/model DEPS sf_engine_model)
endif()

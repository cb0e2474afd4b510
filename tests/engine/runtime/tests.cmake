if(TARGET sf_trainer_offline)
  sf_test(engine_runtime TORCH DIR engine/runtime DEPS sf_test_model sf_trainer_offline)
endif()

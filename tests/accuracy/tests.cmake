if(TARGET sf_trainer_offline AND EXISTS ${PROJECT_SOURCE_DIR}/models/demo/manifest.json)
  sf_test(accuracy TORCH DIR accuracy DEPS sf_trainer_offline sf_test_scenes)
endif()

if(TARGET sf_test_model)
  sf_test(trainer TORCH DIR trainer DEPS sf_test_model)
endif()

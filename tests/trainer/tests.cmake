if(TARGET sf_test_model)
  file(GLOB sf_trainer_tests CONFIGURE_DEPENDS
       ${PROJECT_SOURCE_DIR}/tests/trainer/*_test.cc ${PROJECT_SOURCE_DIR}/tests/tools/model/*_test.cc)
  sf_test(trainer TORCH SOURCES ${sf_trainer_tests} DEPS sf_test_model sf_tools_model sf_trainer_tasks)
endif()

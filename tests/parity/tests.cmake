# Goldens of independent Python references (make_*.py), compared in the ordinary run.
if(TARGET sf_trainer_offline)  # sf_test_model is made later, in tests/support
  file(GLOB sf_parity_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/parity/*.cc)
  list(FILTER sf_parity_sources EXCLUDE REGEX "/vision_parity_test\\.cc$")
  sf_test(parity TORCH SOURCES ${sf_parity_sources} DEPS sf_test_model sf_trainer_offline)
endif()
if(TARGET sf_engine_model AND TARGET sf_engine_checkpoint)
  sf_test(vision_parity TORCH SOURCES ${PROJECT_SOURCE_DIR}/tests/parity/vision_parity_test.cc
          DEPS sf_engine_model sf_engine_checkpoint sf_engine_input)
endif()

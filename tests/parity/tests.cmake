# Goldens of independent Python references (make_*.py), compared in the ordinary run.
if(TARGET sf_trainer_offline)  # sf_test_model is made later, in tests/support
  file(GLOB sf_parity_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/parity/*.cc)
  sf_test(parity TORCH SOURCES ${sf_parity_sources} DEPS sf_test_model sf_trainer_offline)
endif()

if(TARGET sf_engine_base)
  sf_test(engine_base DIR engine/base DEPS sf_engine_base)
endif()

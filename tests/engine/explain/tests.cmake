if(NOT SF_ENGINE_CORE)
  sf_test(engine_explain DIR engine/explain DEPS sf_engine_explain)
endif()

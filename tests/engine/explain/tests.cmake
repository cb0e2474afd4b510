if(NOT SF_ENGINE_CORE)
  sf_test(engine_explain DIR engine/explain DEPS sf_engine_explain)
  set_property(TEST engine_explain PROPERTY LABELS no_threads)
endif()

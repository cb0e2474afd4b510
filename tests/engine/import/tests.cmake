if(TARGET sf_engine_import)
  sf_test(engine_import DIR engine/import DEPS sf_engine_import)
  set_property(TEST engine_import PROPERTY LABELS no_threads)
endif()

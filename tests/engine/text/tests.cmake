if(TARGET sf_engine_text)
  sf_test(engine_text DIR engine/text DEPS sf_engine_text)
  set_property(TEST engine_text PROPERTY LABELS no_threads)
endif()

if(TARGET sf_server_scheduler)
  # An engine without a model, for everything above engine/engine.h.
  add_library(sf_fake_engine STATIC ${PROJECT_SOURCE_DIR}/tests/support/fake_engine.cc)
  target_compile_options(sf_fake_engine PRIVATE -Wall -Wextra)
  target_link_libraries(sf_fake_engine PUBLIC sf_options Threads::Threads)
  sf_test(server_scheduler DIR server/scheduler DEPS sf_server_scheduler sf_fake_engine)
endif()

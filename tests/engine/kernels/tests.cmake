if(TARGET sf_engine_kernels)
  sf_test(engine_kernels TORCH DIR engine/kernels DEPS sf_engine_kernels)
endif()

if(TARGET sf_engine_input)
  file(GLOB sf_input_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/engine/input/*.cc)
  sf_test(engine_input SOURCES ${sf_input_tests} DEPS sf_engine_input PkgConfig::sf_image_codecs ZLIB::ZLIB)
endif()

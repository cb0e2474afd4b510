# Goldens of independent Python references (make_*.py), compared in the ordinary run.
if(TARGET sf_tools_model)  # sf_test_model is made later, in tests/support
  file(GLOB sf_parity_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/parity/*.cc)
  list(FILTER sf_parity_sources EXCLUDE REGEX "/(vision_parity_test|image_pixels)\\.cc$")
  sf_test(parity TORCH SOURCES ${sf_parity_sources} DEPS sf_test_model sf_tools_model)
endif()
# For compare_images.py, by hand: cmake --build --preset release --target image_pixels
if(TARGET sf_engine_image)
  add_executable(image_pixels EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/parity/image_pixels.cc)
  target_compile_options(image_pixels PRIVATE -Wall -Wextra)
  target_link_libraries(image_pixels PRIVATE sf_options sf_engine_image sf_engine_text)
endif()
if(TARGET sf_engine_model AND TARGET sf_engine_checkpoint)
  sf_test(vision_parity TORCH SOURCES ${PROJECT_SOURCE_DIR}/tests/parity/vision_parity_test.cc
          DEPS sf_engine_model sf_engine_import sf_engine_image)
endif()

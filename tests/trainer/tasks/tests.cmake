if(TARGET sf_trainer_tasks)
  add_library(sf_test_scenes STATIC
      ${PROJECT_SOURCE_DIR}/tests/support/second_renderer.cc
      ${PROJECT_SOURCE_DIR}/tests/support/second_non_scenes.cc
      ${PROJECT_SOURCE_DIR}/tests/support/encode_image.cc
      ${PROJECT_SOURCE_DIR}/tests/support/example_images.cc)
  target_compile_options(sf_test_scenes PRIVATE -Wall -Wextra)
  target_link_libraries(sf_test_scenes PUBLIC sf_options sf_trainer_tasks PkgConfig::sf_image_codecs)
  add_executable(make_examples EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/support/make_examples.cc)
  target_compile_options(make_examples PRIVATE -Wall -Wextra)
  target_link_libraries(make_examples PRIVATE sf_test_scenes)
  file(GLOB sf_tasks_tests CONFIGURE_DEPENDS
       ${PROJECT_SOURCE_DIR}/tests/trainer/data/*_test.cc ${PROJECT_SOURCE_DIR}/tests/trainer/tasks/*/*_test.cc)
  sf_test(trainer_tasks SOURCES ${sf_tasks_tests} DEPS sf_trainer_tasks sf_test_scenes)
  set_property(TEST trainer_tasks PROPERTY LABELS no_threads)
endif()

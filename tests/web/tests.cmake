# The page in Debian's chromium. scripts/setup brings the browser, its driver and selenium.
if(TARGET sparsefusion-server AND TARGET sparsefusion AND EXISTS ${PROJECT_SOURCE_DIR}/models/demo/manifest.json)
  add_test(NAME web_playground
           COMMAND ${SF_DEPS_DIR}/test-clients/bin/python ${PROJECT_SOURCE_DIR}/tests/web/playground_test.py
                   --binaries $<TARGET_FILE_DIR:sparsefusion> --screenshots ${PROJECT_BINARY_DIR}/screenshots)
  set_tests_properties(web_playground PROPERTIES TIMEOUT 900)
endif()

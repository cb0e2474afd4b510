# Every command and snippet of the documents, run against a live server; and no link leads nowhere.
if(TARGET sparsefusion-server AND TARGET sparsefusion AND TARGET sparsefusion-model
   AND EXISTS ${PROJECT_SOURCE_DIR}/models/demo/manifest.json)
  file(GLOB sf_documents CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/*.md ${PROJECT_SOURCE_DIR}/docs/*.md
       ${PROJECT_SOURCE_DIR}/*/README.md ${PROJECT_SOURCE_DIR}/models/demo/README.md)
  set(sf_snippets ${SF_DEPS_DIR}/test-clients/bin/python ${PROJECT_SOURCE_DIR}/tests/docs/snippets.py
                  --binaries $<TARGET_FILE_DIR:sparsefusion>)
  add_test(NAME docs_snippets COMMAND ${sf_snippets} ${sf_documents})
  set_tests_properties(docs_snippets PROPERTIES TIMEOUT 900 PROCESSORS 2)
  # Tests of their own, so that ctest's summary names what was skipped for want of a toolchain.
  foreach(toolchain go java)
    add_test(NAME docs_snippets_${toolchain} COMMAND ${sf_snippets} --needs ${toolchain} ${sf_documents})
    set_tests_properties(docs_snippets_${toolchain} PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
  endforeach()
endif()

# The usage examples of all headers, compiled: an example that does not compile fails the build at its header's line.
# Nothing calls them, so no code is made of them.
if(NOT SF_SANITIZE AND TARGET sf_server_app AND TARGET sf_client_cli AND TARGET sf_engine_import AND TARGET sf_trainer_tasks)
  set(sf_headers ${CMAKE_CURRENT_SOURCE_DIR}/headers/headers.py)
  set(sf_examples ${CMAKE_CURRENT_BINARY_DIR}/headers)
  file(MAKE_DIRECTORY ${sf_examples})
  file(GLOB_RECURSE sf_example_headers CONFIGURE_DEPENDS
       ${CMAKE_CURRENT_SOURCE_DIR}/headers/given/*.h)
  foreach(part engine server trainer tools client)
    file(GLOB_RECURSE part_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${part}/*.h)
    list(APPEND sf_example_headers ${part_headers})
  endforeach()
  # The script does not touch a file whose content stays the same, so an edit recompiles only its own group.
  add_custom_command(
      OUTPUT ${sf_examples}/examples_plain.cc ${sf_examples}/examples_protobuf.cc ${sf_examples}/examples_torch.cc
      COMMAND python3 ${sf_headers} generate ${sf_examples}
      DEPENDS ${sf_headers} ${sf_example_headers}
      VERBATIM)
  add_library(header_examples OBJECT ${sf_examples}/examples_plain.cc ${sf_examples}/examples_protobuf.cc)
  target_compile_options(header_examples PRIVATE -w -O0)
  target_link_libraries(header_examples PRIVATE sf_server_app sf_client_cli sf_engine_import sf_trainer_tasks)
  if(TARGET sf_tools_model)
    add_library(header_examples_torch OBJECT ${sf_examples}/examples_torch.cc)
    target_compile_options(header_examples_torch PRIVATE -w)
    target_link_libraries(header_examples_torch PRIVATE sf_tools_model)
    sf_use_torch(header_examples_torch)
    set_target_properties(header_examples_torch PROPERTIES UNITY_BUILD OFF)
    add_dependencies(header_examples_torch header_examples)  # one of the two runs the script
  endif()
endif()
add_test(NAME headers COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/headers/headers.py check)
set_tests_properties(headers PROPERTIES LABELS static TIMEOUT 60)
add_test(NAME headers_script COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1 python3 ${CMAKE_CURRENT_SOURCE_DIR}/headers/headers_test.py)
set_tests_properties(headers_script PROPERTIES LABELS static TIMEOUT 60)

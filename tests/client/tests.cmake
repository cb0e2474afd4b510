if(TARGET sf_client AND TARGET sf_server_http AND TARGET sf_server_grpc)
  sf_test(client DIR client DEPS sf_client_cli sf_server_http sf_server_grpc sf_fake_service)
  # For gRPC's sake, as server_grpc.
  set_tests_properties(client PROPERTIES LABELS no_tsan)
endif()

if(TARGET sf_client AND TARGET sparsefusion-server AND EXISTS ${PROJECT_SOURCE_DIR}/models/demo/manifest.json)
  add_test(NAME client_package
           COMMAND ${PROJECT_SOURCE_DIR}/tests/client/package.sh ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR}/examples/client
                   ${PROJECT_SOURCE_DIR}/examples/scene.png ${PROJECT_SOURCE_DIR}/models/demo)
  set_tests_properties(client_package PROPERTIES TIMEOUT 600)
endif()

# The file of --config means the same to all programs; what bash offers and what man shows are made from --help; whichever programs were built.
if(TARGET sparsefusion)
  set(programs $<TARGET_FILE:sparsefusion>)
  foreach(program sparsefusion-server sparsefusion-train sparsefusion-model)
    if(TARGET ${program})
      list(APPEND programs $<TARGET_FILE:${program}>)
    endif()
  endforeach()
  add_test(NAME client_config COMMAND ${PROJECT_SOURCE_DIR}/tests/client/config_test.sh ${programs})
  add_test(NAME client_completion COMMAND ${PROJECT_SOURCE_DIR}/tests/client/completion_test.sh ${programs})
  # Of texts: once is enough.
  set_tests_properties(client_completion client_config PROPERTIES TIMEOUT 900 LABELS static)
endif()

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

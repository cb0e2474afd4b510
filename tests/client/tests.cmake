if(TARGET sf_client AND TARGET sf_server_http AND TARGET sf_server_grpc)
  sf_test(client DIR client DEPS sf_client sf_server_http sf_server_grpc sf_fake_service)
  # For gRPC's sake, as server_grpc.
  set_tests_properties(client PROPERTIES LABELS no_tsan)
endif()

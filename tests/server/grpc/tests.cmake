if(TARGET sf_server_grpc AND TARGET sf_server_http)
  sf_test(server_grpc DIR server/grpc DEPS sf_server_grpc sf_server_http sf_proto sf_fake_service ZLIB::ZLIB)
  target_sources(server_grpc_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/process.cc
                                          ${PROJECT_SOURCE_DIR}/tests/support/raw_http2.cc)
  # gRPC's headers take longer to read than a test does: together they are read once.
  set_target_properties(server_grpc_test PROPERTIES UNITY_BUILD ${SF_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  # Debian's gRPC is not instrumented: ThreadSanitizer would see races where its locks are.
  set_tests_properties(server_grpc PROPERTIES RUN_SERIAL ON LABELS no_tsan)
  add_test(NAME server_grpc_long COMMAND server_grpc_test --gtest_filter=GrpcSocketFuzzTest.*:RapidResetTest.*)
  set_tests_properties(server_grpc_long PROPERTIES LABELS "long;no_tsan" ENVIRONMENT SF_LONG_TESTS=1 TIMEOUT 1800)
endif()

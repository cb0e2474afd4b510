# The whole server over a fake engine: who leaves, who comes too late, too many at once, the end. `long` gates times.
if(TARGET sf_server_app AND TARGET sf_proto)
  add_library(sf_fake_server STATIC ${PROJECT_SOURCE_DIR}/tests/support/fake_server.cc
                                    ${PROJECT_SOURCE_DIR}/tests/support/api_call.cc
                                    ${PROJECT_SOURCE_DIR}/tests/support/raw_connection.cc
                                    ${PROJECT_SOURCE_DIR}/tests/support/tls_client.cc)
  target_compile_options(sf_fake_server PRIVATE -Wall -Wextra)
  target_link_libraries(sf_fake_server PUBLIC sf_server_app sf_fake_engine sf_proto)
  sf_test(server_edges DIR server/edges DEPS sf_fake_server)
  target_sources(server_edges_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/process.cc)
  # For gRPC's sake, as server_grpc.
  set_tests_properties(server_edges PROPERTIES LABELS no_tsan PROCESSORS 2)
  add_test(NAME server_edges_long COMMAND server_edges_test)
  set_tests_properties(server_edges_long PROPERTIES LABELS "long;no_tsan" ENVIRONMENT SF_LONG_TESTS=1 TIMEOUT 1200 RUN_SERIAL ON)
endif()

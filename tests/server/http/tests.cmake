if(TARGET sf_server_http)
  # A service without a model, for every front and the client.
  add_library(sf_fake_service STATIC ${PROJECT_SOURCE_DIR}/tests/support/fake_service.cc
                                     ${PROJECT_SOURCE_DIR}/tests/support/raw_connection.cc
                                     ${PROJECT_SOURCE_DIR}/tests/support/tls_client.cc)
  target_compile_options(sf_fake_service PRIVATE -Wall -Wextra)
  target_link_libraries(sf_fake_service PUBLIC sf_options Threads::Threads)
  sf_test(server_http DIR server/http DEPS sf_server_http sf_fake_service)
  target_sources(server_http_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/process.cc)
  # Forty files that each would read the same four megabytes of headers.
  target_precompile_headers(server_http_test PRIVATE <gmock/gmock.h> <nlohmann/json.hpp> <httplib.h>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)  # else ccache would see another header after every build of it
    target_compile_options(server_http_test PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
  set_tests_properties(server_http PROPERTIES PROCESSORS 2)
  add_test(NAME server_http_long COMMAND server_http_test --gtest_filter=SocketFuzzTest.*)
  set_tests_properties(server_http_long PROPERTIES LABELS long ENVIRONMENT SF_LONG_TESTS=1 TIMEOUT 1200)
endif()

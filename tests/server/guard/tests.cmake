if(TARGET sf_server_guard)
  sf_test(server_guard DIR server/guard DEPS sf_server_guard)
endif()

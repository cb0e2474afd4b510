if(TARGET sf_server_wire)
  sf_test(server_wire DIR server/wire DEPS sf_server_wire)
endif()

if(TARGET sf_server_kserve AND TARGET sf_fake_service)
  sf_test(server_kserve DIR server/kserve DEPS sf_server_kserve sf_fake_service)
endif()

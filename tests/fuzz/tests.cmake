# One libFuzzer program of all tests/fuzz/NAME_fuzz.cc: SF_FUZZ_TARGET=NAME says which of them a run feeds. They link the
# torch-free libraries that read what strangers send, which the preset builds for the sanitizers' tests anyway.
# tests/fuzz/corpus/NAME/ holds seeds.
if(SF_FUZZ)
  set(fuzz_sources ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_main.cc)
  set(fuzz_entries "")
  file(GLOB fuzz_targets CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*_fuzz.cc)
  foreach(source ${fuzz_targets})
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "_fuzz$" "" name ${name})
    list(APPEND fuzz_sources ${source})
    string(APPEND fuzz_entries "SF_FUZZ_TARGET(${name})\n")
    # Every target is written as libFuzzer's documentation shows it; here each gets a name of its own.
    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS LLVMFuzzerTestOneInput=fuzz_${name})
  endforeach()
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/generated/fuzz_targets.inc CONTENT "${fuzz_entries}")
  add_executable(fuzz ${fuzz_sources})
  target_include_directories(fuzz PRIVATE ${PROJECT_BINARY_DIR}/generated)
  target_compile_options(fuzz PRIVATE -Wall -Wextra)
  target_link_options(fuzz PRIVATE -fsanitize=fuzzer)
  target_link_libraries(fuzz PRIVATE sf_options sf_engine_base sf_engine_image sf_engine_text sf_engine_config sf_engine_checkpoint sf_engine_import sf_trainer_tasks
                                     sf_server_auth sf_server_wire sf_server_kserve sf_server_http sf_server_grpc sf_proto)
endif()

# One target a folder. Every target gets the same warnings; nothing is set globally. What is marked TORCH exists only
# where SF_TORCH is on.
include(CheckLinkerFlag)
check_linker_flag(CXX -fuse-ld=mold SF_HAVE_MOLD)

add_library(sf_options INTERFACE)
target_include_directories(sf_options INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/sparsefusion>)
target_compile_features(sf_options INTERFACE cxx_std_20)
if(SF_HAVE_MOLD)
  target_link_options(sf_options INTERFACE $<BUILD_INTERFACE:-fuse-ld=mold>)
endif()
if(SF_SANITIZE)
  target_compile_options(sf_options INTERFACE -fsanitize=${SF_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(sf_options INTERFACE -fsanitize=${SF_SANITIZE})
  if(SF_SANITIZE MATCHES undefined AND CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    # clang's check of virtual tables opens a pipe to see whether memory can be read, and takes every object for a wrong
    # one where no file is free, as in tests of ours. gcc's has no such need: scripts/test --sanitize.
    target_compile_options(sf_options INTERFACE -fno-sanitize=vptr)
  endif()
endif()
if(SF_FUZZ)  # the sanitizers' tests link the same objects as the fuzz targets
  target_compile_options(sf_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# sf_library(NAME [TORCH] [SOURCES a.cc ...] [DEPS targets...]): static library sf_NAME of this folder's *.cc.
function(sf_library name)
  cmake_parse_arguments(ARG "TORCH" "" "DEPS;SOURCES" ${ARGN})
  if(ARG_TORCH AND NOT SF_TORCH)
    return()
  endif()
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  endif()
  if(NOT ARG_SOURCES)
    return()
  endif()
  add_library(sf_${name} STATIC ${ARG_SOURCES})
  target_compile_options(sf_${name} PRIVATE -Wall -Wextra)
  # clang checks that what is marked SF_GUARDED_BY is touched under its mutex; g++ cannot.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND name MATCHES "^server_(scheduler|service|versions|metrics)$")
    target_compile_options(sf_${name} PRIVATE -Werror=thread-safety -Werror=thread-safety-beta)
  endif()
  # Under the sanitizers clang takes three times as long with optimisation, which only the fuzz targets' speed needs.
  if(SF_FUZZ AND name MATCHES "^(client|server_(app|metrics|outbound|scheduler|service|versions)$)")
    target_compile_options(sf_${name} PRIVATE -O0)
  endif()
  target_link_libraries(sf_${name} PUBLIC sf_options ${ARG_DEPS})
  if(ARG_TORCH)
    sf_use_torch(sf_${name})
  endif()
endfunction()

# sf_binary(NAME [TORCH] SOURCES ... DEPS ...): an installed program bin/NAME.
function(sf_binary name)
  cmake_parse_arguments(ARG "TORCH" "" "DEPS;SOURCES" ${ARGN})
  if(ARG_TORCH AND NOT SF_TORCH)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE -Wall -Wextra)
  target_link_libraries(${name} PRIVATE sf_options ${ARG_DEPS})
  if(ARG_TORCH)
    sf_use_torch(${name})
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# sf_test(NAME [TORCH] [DIR folder below tests/] [DEPS ...]): one executable NAME_test of that folder's *_test.cc.
function(sf_test name)
  cmake_parse_arguments(ARG "TORCH" "DIR" "DEPS;SOURCES" ${ARGN})
  if(ARG_TORCH AND NOT SF_TORCH)
    return()
  endif()
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${ARG_DIR}/*_test.cc)
  endif()
  if(NOT ARG_SOURCES)
    return()
  endif()
  add_executable(${name}_test ${ARG_SOURCES})
  target_compile_options(${name}_test PRIVATE -Wall -Wextra)
  if(NOT ARG_TORCH)  # whose precompiled header has the library's options
    # What is tested is a library of its own; a test's own code is compiled in half the time without -O3, and under
    # sanitizers in a third without any optimisation.
    if(SF_SANITIZE)
      target_compile_options(${name}_test PRIVATE -O0)
    else()
      target_compile_options(${name}_test PRIVATE $<$<CONFIG:Release>:-O1>)
    endif()
  endif()
  target_link_libraries(${name}_test PRIVATE sf_options ${ARG_DEPS} sf_test_paths GTest::gmock GTest::gtest_main)
  if(ARG_TORCH)
    sf_use_torch(${name}_test)
  endif()
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  if(ARG_TORCH)  # OpenMP's threads spin while they wait, and ctest runs two tests on two processors
    set_tests_properties(${name} PROPERTIES ENVIRONMENT OMP_WAIT_POLICY=PASSIVE)
  endif()
endfunction()

# Compiles a target against LibTorch with the shared precompiled header.
function(sf_use_torch target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    target_link_libraries(${target} PRIVATE sf_torch)
    # The header was compiled with -fPIC; an executable's own -fPIE would reject it.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  else()
    target_link_libraries(${target} PUBLIC sf_torch)
  endif()
  target_precompile_headers(${target} REUSE_FROM sf_torch_pch)
  # The torch headers cost more than our code: CI compiles eight files at a time.
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${SF_UNITY} UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# LibTorch as an imported target sf_torch. find_package(Torch) of the wheel demands the whole CUDA toolkit even for a
# CPU build, so the libraries are named by hand. Search order: Torch_DIR, CMAKE_PREFIX_PATH, the cache, python's torch.
set(candidates)
foreach(folder ${Torch_DIR} $ENV{Torch_DIR})
  list(APPEND candidates "${folder}/../../..")
endforeach()
string(REPLACE ":" ";" environment_prefixes "$ENV{CMAKE_PREFIX_PATH}")
foreach(prefix ${CMAKE_PREFIX_PATH} ${environment_prefixes})
  list(APPEND candidates "${prefix}" "${prefix}/../..")
endforeach()
list(APPEND candidates "${SF_DEPS_DIR}/libtorch-2.11.0/torch")
find_path(SF_TORCH_ROOT include/torch/csrc/api/include/torch/torch.h PATHS ${candidates} NO_DEFAULT_PATH)
if(NOT SF_TORCH_ROOT)
  execute_process(COMMAND python3 ${PROJECT_SOURCE_DIR}/scripts/pins/find_torch.py
                  OUTPUT_VARIABLE python_torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(python_torch)
    set(SF_TORCH_ROOT "${python_torch}" CACHE PATH "LibTorch" FORCE)
  endif()
endif()
if(NOT SF_TORCH_ROOT)
  message(FATAL_ERROR "LibTorch not found: run scripts/setup, or give Torch_DIR, CMAKE_PREFIX_PATH or a python3 with torch")
endif()
message(STATUS "LibTorch: ${SF_TORCH_ROOT}")

add_library(sf_torch INTERFACE)
target_include_directories(sf_torch SYSTEM INTERFACE
    ${SF_TORCH_ROOT}/include ${SF_TORCH_ROOT}/include/torch/csrc/api/include)
target_link_directories(sf_torch INTERFACE ${SF_TORCH_ROOT}/lib)
# --no-as-needed keeps a GPU build's libtorch_cuda, which registers its kernels from a static initialiser.
target_link_libraries(sf_torch INTERFACE sf_options ${SF_TORCH_ROOT}/lib/libtorch_cpu.so ${SF_TORCH_ROOT}/lib/libc10.so Threads::Threads)
target_link_options(sf_torch INTERFACE -Wl,--allow-shlib-undefined -Wl,-rpath,${SF_TORCH_ROOT}/lib)
if(EXISTS ${SF_TORCH_ROOT}/lib/libtorch_cuda.so AND SF_CUDA)
  target_link_libraries(sf_torch INTERFACE -Wl,--no-as-needed ${SF_TORCH_ROOT}/lib/libtorch_cuda.so
                        ${SF_TORCH_ROOT}/lib/libc10_cuda.so -Wl,--as-needed)
endif()

# The one precompiled torch header; the others REUSE_FROM it.
file(WRITE ${CMAKE_BINARY_DIR}/torch_pch.cc "")
add_library(sf_torch_pch STATIC ${CMAKE_BINARY_DIR}/torch_pch.cc)
target_compile_options(sf_torch_pch PRIVATE -Wall -Wextra)
target_link_libraries(sf_torch_pch PRIVATE sf_options sf_torch)
target_precompile_headers(sf_torch_pch PRIVATE <torch/torch.h>)

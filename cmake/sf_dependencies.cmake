# What the machine provides (scripts/setup installs it): Debian packages, and three things in SF_DEPS_DIR.
if(DEFINED ENV{SPARSEFUSION_CACHE})
  set(SF_DEPS_DIR "$ENV{SPARSEFUSION_CACHE}" CACHE PATH "LibTorch, sentencepiece and cpp-httplib as scripts/setup left them")
else()
  set(SF_DEPS_DIR "$ENV{HOME}/.cache/sparsefusion" CACHE PATH "LibTorch, sentencepiece and cpp-httplib as scripts/setup left them")
endif()

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
if(SF_TESTS)
  find_package(GTest REQUIRED)
endif()

if(NOT SF_ENGINE_CORE)
  find_package(OpenSSL REQUIRED)
  find_package(ZLIB REQUIRED)
  find_package(CLI11 REQUIRED)
  # Its own CMake package links the shared library; engine/base/toml.cc compiles the headers.
  find_path(SF_TOMLPLUSPLUS_DIR toml++/toml.h REQUIRED)
  add_library(sf_tomlplusplus INTERFACE)
  target_include_directories(sf_tomlplusplus SYSTEM INTERFACE ${SF_TOMLPLUSPLUS_DIR})
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(sf_image_codecs REQUIRED IMPORTED_TARGET libturbojpeg libjpeg libpng libwebp)
  # Debian ships OpenCV's own config file only with libopencv-dev, which pulls 152 packages.
  find_path(SF_OPENCV_INCLUDE_DIR opencv2/imgproc.hpp PATH_SUFFIXES opencv4 REQUIRED)
  # The static libraries: the shared core needs X11, LLVM and Fortran at run time (opencv_absent.cc).
  find_library(SF_OPENCV_CORE_ARCHIVE libopencv_core.a REQUIRED)
  find_library(SF_OPENCV_IMGPROC_ARCHIVE libopencv_imgproc.a REQUIRED)
  find_library(SF_TBB tbb REQUIRED)
  add_library(sf_opencv_absent STATIC ${CMAKE_CURRENT_LIST_DIR}/opencv_absent.cc)
  target_include_directories(sf_opencv_absent SYSTEM PRIVATE ${SF_OPENCV_INCLUDE_DIR})
  add_library(sf_opencv INTERFACE)
  target_include_directories(sf_opencv SYSTEM INTERFACE ${SF_OPENCV_INCLUDE_DIR})
  target_link_libraries(sf_opencv INTERFACE ${SF_OPENCV_IMGPROC_ARCHIVE} ${SF_OPENCV_CORE_ARCHIVE} sf_opencv_absent ${SF_TBB} ZLIB::ZLIB)
  find_package(Protobuf REQUIRED)
  find_package(gRPC CONFIG REQUIRED)
  find_package(prometheus-cpp CONFIG REQUIRED)

  add_library(sf_sentencepiece STATIC IMPORTED)
  set_target_properties(sf_sentencepiece PROPERTIES
      IMPORTED_LOCATION ${SF_DEPS_DIR}/sentencepiece-0.2.1/lib/libsentencepiece.a
      INTERFACE_INCLUDE_DIRECTORIES ${SF_DEPS_DIR}/sentencepiece-0.2.1/include)
  add_library(sf_sentencepiece_train STATIC IMPORTED)
  set_target_properties(sf_sentencepiece_train PROPERTIES
      IMPORTED_LOCATION ${SF_DEPS_DIR}/sentencepiece-0.2.1/lib/libsentencepiece_train.a
      INTERFACE_INCLUDE_DIRECTORIES ${SF_DEPS_DIR}/sentencepiece-0.2.1/include)
  set_property(TARGET sf_sentencepiece PROPERTY INTERFACE_LINK_LIBRARIES protobuf::libprotobuf-lite Threads::Threads)
  set_property(TARGET sf_sentencepiece_train PROPERTY INTERFACE_LINK_LIBRARIES sf_sentencepiece)

  set(SF_HTTPLIB_DIR "${SF_DEPS_DIR}/cpp-httplib-0.58.0" CACHE PATH "Folder of httplib.h and httplib.cpp (0.58.0 or newer)")
  add_library(sf_httplib STATIC ${SF_HTTPLIB_DIR}/httplib.cpp)
  target_include_directories(sf_httplib SYSTEM PUBLIC $<BUILD_INTERFACE:${SF_HTTPLIB_DIR}>)
  target_compile_definitions(sf_httplib PUBLIC CPPHTTPLIB_OPENSSL_SUPPORT CPPHTTPLIB_ZLIB_SUPPORT)
  if(SF_SANITIZE)  # its one file would take 97 s
    target_compile_options(sf_httplib PRIVATE -O0)
  endif()
  target_link_libraries(sf_httplib PUBLIC sf_options OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB Threads::Threads)
endif()

if(SF_TORCH)
  include(sf_torch)
endif()

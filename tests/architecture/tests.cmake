sf_test(include_arrows SOURCES
    ${PROJECT_SOURCE_DIR}/tests/architecture/include_arrows.cc
    ${PROJECT_SOURCE_DIR}/tests/architecture/include_arrows_test.cc
    ${PROJECT_SOURCE_DIR}/tests/architecture/type_names_test.cc)
set_property(TEST include_arrows PROPERTY LABELS static)

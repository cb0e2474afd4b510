# Deployment files, checked without Docker, Prometheus or Grafana running. scripts/setup brings both tools; where one is
# not found its tests fail, saying so.
set(sf_tools ${SF_DEPS_DIR})
find_program(SF_PROMTOOL promtool HINTS ${sf_tools}/prometheus/usr/bin)
find_program(SF_CHECK_JSONSCHEMA check-jsonschema HINTS ${sf_tools}/deploy-checks/bin)
find_program(SF_DEPLOY_PYTHON NAMES python3 python PATHS ${sf_tools}/deploy-checks/bin NO_DEFAULT_PATH)
find_program(SF_PROMETHEUS prometheus HINTS ${sf_tools}/prometheus/usr/bin)
if(NOT SF_PROMTOOL)
  set(SF_PROMTOOL promtool_is_missing_run_scripts_setup)
endif()
if(NOT SF_PROMETHEUS)
  set(SF_PROMETHEUS prometheus_is_missing_run_scripts_setup)
endif()
if(NOT SF_CHECK_JSONSCHEMA)
  set(SF_CHECK_JSONSCHEMA check_jsonschema_is_missing_run_scripts_setup)
endif()
if(NOT SF_DEPLOY_PYTHON)
  set(SF_DEPLOY_PYTHON deploy_checks_are_missing_run_scripts_setup)
endif()

# sf_deploy_check(NAME COMMAND...): a tool's verdict as a test.
function(sf_deploy_check name)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/deploy)
  set_tests_properties(${name} PROPERTIES LABELS static TIMEOUT 60)
endfunction()

sf_deploy_check(deploy_prometheus_config ${SF_PROMTOOL} check config prometheus/prometheus.yml)
sf_deploy_check(deploy_prometheus_rules ${SF_PROMTOOL} check rules --lint=all --lint-fatal
    prometheus/rules/recording.yml prometheus/rules/alerts.yml)
sf_deploy_check(deploy_alerts ${SF_PROMTOOL} test rules ${PROJECT_SOURCE_DIR}/tests/deploy/alerts_test.yml)
sf_deploy_check(deploy_compose ${SF_CHECK_JSONSCHEMA} --builtin-schema vendor.compose-spec
    docker-compose.yml docker-compose.gpu.yml)
sf_deploy_check(deploy_grafana_datasources ${SF_CHECK_JSONSCHEMA}
    --schemafile ${PROJECT_SOURCE_DIR}/tests/deploy/grafana_datasources.schema.json
    grafana/provisioning/datasources/prometheus.yaml)
sf_deploy_check(deploy_grafana_providers ${SF_CHECK_JSONSCHEMA}
    --schemafile ${PROJECT_SOURCE_DIR}/tests/deploy/grafana_providers.schema.json
    grafana/provisioning/dashboards/sparsefusion.yaml)

if(TARGET sf_server_metrics)
  sf_test(deploy SOURCES
      ${PROJECT_SOURCE_DIR}/tests/deploy/dashboards.cc
      ${PROJECT_SOURCE_DIR}/tests/deploy/dashboards_test.cc
      ${PROJECT_SOURCE_DIR}/tests/deploy/exported_metrics_test.cc
      DEPS sf_server_metrics nlohmann_json::nlohmann_json)
  target_compile_definitions(deploy_test PRIVATE SF_PROMTOOL="${SF_PROMTOOL}")
  set_tests_properties(deploy PROPERTIES LABELS static)
endif()

if(TARGET sparsefusion-server AND TARGET sparsefusion-train)
  foreach(kind alerts compose kubernetes)
    sf_deploy_check(deploy_${kind}_agrees ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1 ${SF_DEPLOY_PYTHON}
        ${PROJECT_SOURCE_DIR}/tests/deploy/${kind}_test.py ${PROJECT_SOURCE_DIR}/deploy
        $<TARGET_FILE:sparsefusion-server> $<TARGET_FILE:sparsefusion-train>)
    set_tests_properties(deploy_${kind}_agrees PROPERTIES TIMEOUT 300)
  endforeach()
endif()

# The bundled model is what this is about; before it is there, nothing can be tested.
if(TARGET sparsefusion-server AND TARGET sparsefusion-train AND TARGET sparsefusion
   AND EXISTS ${PROJECT_SOURCE_DIR}/models/demo/manifest.json)
  add_test(NAME deploy_compose_processes
           COMMAND ${PROJECT_SOURCE_DIR}/tests/deploy/compose_processes.sh $<TARGET_FILE_DIR:sparsefusion>)
  set_tests_properties(deploy_compose_processes PROPERTIES TIMEOUT 900 RUN_SERIAL ON)
  add_test(NAME deploy_install COMMAND ${PROJECT_SOURCE_DIR}/tests/deploy/install_test.sh ${PROJECT_BINARY_DIR})
  set_tests_properties(deploy_install PROPERTIES TIMEOUT 300)
  add_test(NAME deploy_live_panels
           COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1 ${SF_DEPLOY_PYTHON}
                   ${PROJECT_SOURCE_DIR}/tests/deploy/live_panels_test.py $<TARGET_FILE_DIR:sparsefusion> ${SF_PROMETHEUS})
  set_tests_properties(deploy_live_panels PROPERTIES TIMEOUT 600 RUN_SERIAL ON)
endif()

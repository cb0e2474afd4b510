// Every flag of the server in each of the places where it can be set: file < environment < flag, unknown keys refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <sstream>

#include "engine/base/file.h"
#include "engine/base/flags.h"
#include "server/app/server_flags.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

struct Ran {
  int status = -1;
  std::string value;  // of the option that was looked at
  std::string error;
};

// Three values that the flag takes and that differ.
std::array<std::string, 3> samples(const std::string& name) {
  static const std::map<std::string, std::array<std::string, 3>> special = {
      {"capacity-mode", {"strict", "account", "strict"}},
      {"reload-mode", {"replace", "overlap", "replace"}},
      {"allow-image-host", {"a.example", "b.example", "c.example"}},
      {"otlp-sample-ratio", {"0.25", "0.5", "0.75"}},
      {"metrics-experts", {"full", "layer", "off"}},
      {"prefix-cache", {"false", "true", "false"}},
      {"grpc", {"false", "true", "false"}},
      {"ui", {"false", "true", "false"}},
      {"admin-tls", {"true", "false", "true"}},
  };
  const auto found = special.find(name);
  return found == special.end() ? std::array<std::string, 3>{"11", "12", "13"} : found->second;
}

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() {
    std::string pattern = (fs::temp_directory_path() / "sf_settings_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~SettingsTest() override { fs::remove_all(folder_); }

  // What `name` is after these arguments.
  Ran run(const std::string& name, std::vector<std::string> arguments) {
    ServerOptions options;
    options.model = "models/demo";
    arguments.insert(arguments.begin(), "sparsefusion-server");
    std::vector<const char*> argv;
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out, err;
    Ran ran;
    const auto read = [&](const CLI::App& app) {
      ran.value = app.get_option("--" + name)->as<std::string>();
      return 0;
    };
    ran.status = run_program({"sparsefusion-server", "", "0"}, static_cast<int>(argv.size()), argv.data(),
                             [&](CLI::App& app) { add_server_flags(app, options); }, read, {out, err});
    ran.error = err.str();
    return ran;
  }
  std::string file(const std::string& text) {
    write_file(folder_ / "settings.toml", text);
    return (folder_ / "settings.toml").string();
  }
  // The flags that a file and the environment can set.
  static std::vector<std::string> settable() {
    ServerOptions options;
    CLI::App app;
    add_server_flags(app, options);
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_configurable() && option->get_lnames().front() != "help") {
        names.push_back(option->get_lnames().front());
      }
    }
    return names;
  }
  // What a flag cannot be without.
  static std::vector<std::string> company(const std::string& name) {
    if (name == "tls-cert") return {"--tls-key=k.pem"};
    if (name == "tls-key") return {"--tls-cert=c.pem"};
    if (name == "tls-client-ca" || name == "admin-tls") return {"--tls-cert=c.pem", "--tls-key=k.pem"};
    return {};
  }

  fs::path folder_;
};

TEST_F(SettingsTest, EveryFlagIsAnEnvironmentVariableAndAKeyOfTheFile) {
  const std::vector<std::string> names = settable();
  EXPECT_GE(names.size(), 40u);
  for (const std::string& name : names) {
    const auto [in_file, in_environment, in_flag] = samples(name);
    std::string underscored = name;
    std::replace(underscored.begin(), underscored.end(), '-', '_');
    for (const std::string& key : {name, underscored}) {
      std::vector<std::string> arguments = company(name);
      arguments.push_back("--config=" + file(key + " = \"" + in_file + "\"\n"));
      const Ran from_file = run(name, arguments);
      EXPECT_EQ(from_file.value, in_file) << key << " in the file: " << from_file.error;
      const std::string variable = environment_name(name);
      setenv(variable.c_str(), in_environment.c_str(), 1);
      const Ran from_environment = run(name, arguments);
      EXPECT_EQ(from_environment.value, in_environment) << variable << ": " << from_environment.error;
      arguments.push_back("--" + name + "=" + in_flag);
      const Ran from_flag = run(name, arguments);
      EXPECT_EQ(from_flag.value, in_flag) << "--" << name << ": " << from_flag.error;
      unsetenv(variable.c_str());
    }
  }
}

TEST_F(SettingsTest, TheFileIsAnyToml) {
  const std::string path = file(
      "allow-image-host = [\n  'a.example', # the first\n  \"b.example\",\n]\nmax_batch = 0b1000 # eight\n"
      "otlp-sample-ratio = 2.5e-1\nmodel = \"\"\"models/demo\"\"\"\n");
  const Ran ran = run("max-batch", {"--config=" + path});
  EXPECT_EQ(ran.status, 0) << ran.error;
  EXPECT_EQ(ran.value, "8");
  EXPECT_EQ(run("otlp-sample-ratio", {"--config=" + path}).value, "0.25");
}

TEST_F(SettingsTest, WhatIsNoFlagIsNoKey) {
  for (const char* key : {"no-such-key", "http_prot", "help", "check-config", "hash-key"}) {
    const Ran ran = run("model", {"--config=" + file(std::string(key) + " = \"1\"\n")});
    EXPECT_EQ(ran.status, kExitUsage) << key;
    std::string named = key;  // a file may spell a flag with underscores
    std::replace(named.begin(), named.end(), '_', '-');
    EXPECT_THAT(ran.error, ::testing::HasSubstr(named));
  }
  EXPECT_EQ(run("model", {"--no-such-flag"}).status, kExitUsage);
  EXPECT_EQ(run("model", {"--config=" + (folder_ / "nowhere.toml").string()}).status, kExitUsage);
}

}  // namespace
}  // namespace sf::server

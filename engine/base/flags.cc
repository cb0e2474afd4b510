#include "engine/base/flags.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/suggestions.h"
#include "engine/base/toml.h"

namespace sf {
namespace {

bool is_set_in_environment(const std::string& long_name) {
  const char* value = std::getenv(environment_name(long_name).c_str());
  return value != nullptr && *value != '\0';
}

// CLI11 looks at the file before the environment; leaving out what the environment sets turns that around.
class SettingsFile final : public CLI::Config {
 public:
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return ""; }

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    const std::string text{std::istreambuf_iterator<char>(input), {}};
    std::vector<CLI::ConfigItem> items;
    for (TomlEntry& entry : parse(text)) {
      CLI::ConfigItem item;
      item.parents = std::move(entry.table);
      item.name = std::move(entry.key);
      std::replace(item.name.begin(), item.name.end(), '_', '-');
      item.inputs = std::move(entry.values);
      if (item.inputs.empty()) item.inputs.push_back("");  // an empty array
      if (!is_set_in_environment(item.name)) items.push_back(std::move(item));
    }
    return items;
  }

 private:
  static std::vector<TomlEntry> parse(const std::string& text) {
    try {
      return parse_toml(text);
    } catch (const Error& error) {
      throw CLI::ConfigError(concat("--config: ", error.what()), CLI::ExitCodes::ConfigError);
    }
  }
};

void name_environment_variables(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (!option->get_configurable() || option->get_lnames().empty()) continue;
    option->envname(environment_name(option->get_lnames().front()));
  }
  for (CLI::App* subcommand : app.get_subcommands([](CLI::App*) { return true; }))
    name_environment_variables(*subcommand);
}

// CLI11 reads "nan" and "inf", and neither is outside of any range that it checks.
void refuse_what_is_not_finite(CLI::App& app) {
  const CLI::Validator finite(
      [](const std::string& text) {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        return end != text.c_str() && !std::isfinite(value) ? "must be a finite number, got " + text : std::string();
      },
      "");
  for (CLI::Option* option : app.get_options()) {
    if (option->get_type_name().starts_with("FLOAT")) option->check(finite);
  }
  for (CLI::App* subcommand : app.get_subcommands([](CLI::App*) { return true; }))
    refuse_what_is_not_finite(*subcommand);
}

void add_common_options(CLI::App& app, const ProgramInfo& info) {
  app.set_help_flag("-h,--help", "Print this help and exit")->configurable(false);
  app.set_version_flag("--version", info.name + " " + info.version, "Print the version and exit")->configurable(false);
  const bool named = is_set_in_environment("config");
  const std::string file = named ? std::getenv(environment_name("config").c_str()) : "";
  app.set_config("--config", file, "Settings, a TOML file whose keys are the flags without their dashes", named)
      ->configurable(false);
  app.config_formatter(std::make_shared<SettingsFile>());
  app.allow_config_extras(CLI::config_extras_mode::error);
}

std::vector<CLI::App*> parsed_apps(CLI::App& app) {
  std::vector<CLI::App*> apps = {&app};
  for (size_t i = 0; i < apps.size(); ++i) {
    for (CLI::App* subcommand : apps[i]->get_subcommands()) apps.push_back(subcommand);
  }
  return apps;
}

// "; did you mean --http-port?", or nothing: of the first word that no option or command took.
std::string suggestion(CLI::App& app, const CLI::ParseError& error) {
  std::vector<std::string> flags, commands;
  for (CLI::App* parsed : parsed_apps(app)) {
    for (const CLI::Option* option : parsed->get_options()) {
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
    if (!parsed->get_subcommands().empty()) continue;
    for (const CLI::App* command : parsed->get_subcommands([](CLI::App*) { return true; })) {
      commands.push_back(command->get_name());
    }
  }
  std::string word, nearest;
  const std::string what = error.what(), unknown_key = "INI was not able to parse ";
  if (what.starts_with(unknown_key)) {
    const std::string key = what.substr(what.find_last_of(" .") + 1);
    nearest = nearest_word("--" + key, flags);
    nearest.erase(0, std::min<size_t>(2, nearest.size()));
  } else if (const std::vector<std::string> left = app.remaining(true); !left.empty()) {
    word = left.front().substr(0, left.front().find('='));
    nearest = nearest_word(word, word.starts_with("-") ? flags : commands);
  }
  return nearest.empty() ? "" : concat("; did you mean ", nearest, "?");
}

int fail(std::ostream& err, const std::string& program, std::string message, int status) {
  std::replace_if(
      message.begin(), message.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  err << program << ": " << message << std::endl;
  return status;
}

}  // namespace

std::string environment_name(const std::string& long_name) {
  std::string name = "SPARSEFUSION_";
  for (const char c : long_name)
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

int run_program(const ProgramInfo& info, int argc, const char* const* argv,
                const std::function<void(CLI::App&)>& configure, const std::function<int(const CLI::App&)>& run,
                ProgramStreams streams) {
  try {
    CLI::App app(info.description, info.name);
    add_common_options(app, info);
    configure(app);
    name_environment_variables(app);
    refuse_what_is_not_finite(app);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) {  // --help or --version
        app.exit(error, streams.out, streams.err);
        return kExitSuccess;
      }
      return fail(streams.err, info.name, concat(error.what(), suggestion(app, error), " (see --help)"), kExitUsage);
    }
    return run(app);
  } catch (const std::exception& error) {
    return fail(streams.err, info.name, error.what(), kExitFailure);
  }
}

}  // namespace sf

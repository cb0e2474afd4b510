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

const auto kEvery = [](const CLI::App*) { return true; };

std::string as_flag(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

std::vector<std::string> names_of(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  return names;
}

std::string did_you_mean(const std::string& nearest) {
  return nearest.empty() ? "" : concat("; did you mean ", nearest, "?");
}

// CLI11 looks at the file before the environment; leaving out what the environment sets turns that around.
class SettingsFile final : public CLI::Config {
 public:
  explicit SettingsFile(CLI::App& app) : app_(app) {}

  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return ""; }

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::string text(kMaxTomlBytes + 1, '\0');
    input.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(input.gcount()));
    name_ = app_.get_config_ptr()->as<std::string>();
    std::vector<CLI::ConfigItem> items;
    for (TomlEntry& entry : parse(text)) {
      const CLI::Option& option = option_of(entry);
      CLI::ConfigItem item;
      item.parents = std::move(entry.table);
      item.name = as_flag(std::move(entry.key));
      item.inputs = std::move(entry.values);
      if (item.inputs.empty()) item.inputs.push_back("");  // an empty array
      if (is_set_in_environment(item.name)) continue;
      given_.push_back({&option, item.inputs, entry.line});
      items.push_back(std::move(item));
    }
    return items;
  }

  std::string to_flag(const CLI::ConfigItem& item) const override {
    if (item.inputs.size() == 1) return item.inputs.front();
    throw CLI::ConfigError(concat("--", item.name, ": takes one value"), CLI::ExitCodes::ConfigError);
  }

  // "settings.toml: line 3: " where `what` names an option whose value is this file's, else nothing.
  std::string place_of(const std::string& what) const {
    for (const Given& given : given_) {
      const std::string flag = given.option->get_name();
      const size_t at = what.find(flag);
      if (at == std::string::npos ||
          what.substr(at + flag.size(), 1).find_first_of("-abcdefghijklmnopqrstuvwxyz") == 0) {
        continue;
      }
      const bool is_own = given.option->empty() || given.option->results() == given.values;
      if (is_own) return concat(name_, ": line ", given.line, ": ");
    }
    return "";
  }

 private:
  struct Given {
    const CLI::Option* option;
    std::vector<std::string> values;
    int line;
  };

  std::vector<TomlEntry> parse(const std::string& text) const {
    try {
      return parse_toml(text, name_);
    } catch (const Error& error) {
      throw CLI::ConfigError(error.what(), CLI::ExitCodes::ConfigError);
    }
  }

  const CLI::Option& option_of(const TomlEntry& entry) const {
    const auto fail = [&](const std::string& reason) {
      throw CLI::ConfigError(concat(name_, ": line ", entry.line, ": ", reason), CLI::ExitCodes::ConfigError);
    };
    const CLI::App* app = &app_;
    std::string full_name;
    for (const std::string& table : entry.table) {
      const std::vector<const CLI::App*> commands = app->get_subcommands(kEvery);
      const auto found = std::find_if(commands.begin(), commands.end(),
                                      [&](const CLI::App* command) { return command->get_name() == table; });
      if (found == commands.end()) {
        fail(concat("unknown table '", table, "'", did_you_mean(nearest_word(table, names_of(commands)))));
      }
      app = *found;
      full_name += table + ".";
    }
    const std::string key = as_flag(entry.key);
    const CLI::Option* option = app->get_option_no_throw("--" + key);
    if (option == nullptr) option = app->get_option_no_throw(key);  // an argument without dashes
    if (option == nullptr) {
      std::string nearest = nearest_word("--" + key, flags_of(*app));
      nearest.erase(0, std::min<size_t>(2, nearest.size()));
      fail(concat("unknown key '", full_name, key, "'", did_you_mean(nearest)));
    }
    if (!option->get_configurable()) fail(concat("key '", full_name, key, "': not allowed in a file"));
    return *option;
  }

  CLI::App& app_;
  mutable std::string name_;  // CLI11 reads a file by a const function
  mutable std::vector<Given> given_;
};

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
  for (CLI::App* subcommand : app.get_subcommands(kEvery)) refuse_what_is_not_finite(*subcommand);
}

void add_common_options(CLI::App& app, const ProgramInfo& info) {
  app.set_help_flag("-h,--help", "Print this help and exit")->configurable(false);
  app.set_version_flag("--version", info.name + " " + info.version, "Print the version and exit")->configurable(false);
  add_config_option(app, "Settings, a TOML file whose keys are the flags without their dashes");
}

std::vector<CLI::App*> parsed_apps(CLI::App& app) {
  std::vector<CLI::App*> apps = {&app};
  for (size_t i = 0; i < apps.size(); ++i) {
    for (CLI::App* subcommand : apps[i]->get_subcommands()) apps.push_back(subcommand);
  }
  return apps;
}

// Of the first word that no option or command took.
std::string suggestion(CLI::App& app) {
  std::vector<std::string> flags, commands;
  for (CLI::App* parsed : parsed_apps(app)) {
    for (std::string& flag : flags_of(*parsed)) flags.push_back(std::move(flag));
    if (!parsed->get_subcommands().empty()) continue;
    for (const CLI::App* command : parsed->get_subcommands(kEvery)) commands.push_back(command->get_name());
  }
  const std::vector<std::string> left = app.remaining(true);
  if (left.empty()) return "";
  const std::string word = left.front().substr(0, left.front().find('='));
  return did_you_mean(nearest_word(word, word.starts_with("-") ? flags : commands));
}

std::string on_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

int fail(std::ostream& err, const std::string& program, const std::string& message, int status) {
  err << program << ": " << on_one_line(message) << std::endl;
  return status;
}

}  // namespace

std::string environment_name(const std::string& long_name) {
  std::string name = "SPARSEFUSION_";
  for (const char c : long_name)
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

bool is_set_in_environment(const std::string& long_name) {
  const char* const value = std::getenv(environment_name(long_name).c_str());
  return value != nullptr && *value != '\0';
}

void add_config_option(CLI::App& app, const std::string& help) {
  const bool named = is_set_in_environment("config");
  const std::string file = named ? std::getenv(environment_name("config").c_str()) : "";
  app.set_config("--config", file, help, named)->configurable(false);
  app.config_formatter(std::make_shared<SettingsFile>(app));
  app.allow_config_extras(CLI::config_extras_mode::error);
}

void name_environment_variables(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (!option->get_configurable() || option->get_lnames().empty()) continue;
    option->envname(environment_name(option->get_lnames().front()));
  }
  for (CLI::App* subcommand : app.get_subcommands(kEvery)) name_environment_variables(*subcommand);
}

std::string usage_error(CLI::App& app, const CLI::ParseError& error) {
  const std::string what = error.what();
  const auto* const file = dynamic_cast<const SettingsFile*>(app.get_config_formatter().get());
  const std::string place = file == nullptr ? "" : file->place_of(what);
  return on_one_line(concat(place, what, suggestion(app), " (see --help)"));
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
      return fail(streams.err, info.name, usage_error(app, error), kExitUsage);
    }
    return run(app);
  } catch (const std::exception& error) {
    return fail(streams.err, info.name, error.what(), kExitFailure);
  }
}

}  // namespace sf

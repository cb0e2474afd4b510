#include "client/settings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "client/suggestions.h"

namespace sf::client {
namespace {

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

class SettingsFile final : public CLI::ConfigTOML {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> items = CLI::ConfigTOML::from_config(input);
    for (CLI::ConfigItem& item : items) std::replace(item.name.begin(), item.name.end(), '_', '-');
    std::erase_if(items, [](const CLI::ConfigItem& item) { return is_set_in_environment(item.name); });
    return items;
  }
};

const auto kEvery = [](const CLI::App*) { return true; };

// The word that nothing took, and what it may have been meant for.
std::string suggestion(CLI::App& app, const std::string& what) {
  std::vector<const CLI::App*> parsed = {&app};
  for (size_t i = 0; i < parsed.size(); ++i) {
    for (const CLI::App* command : const_cast<CLI::App*>(parsed[i])->get_subcommands()) parsed.push_back(command);
  }
  std::vector<std::string> flags, commands;
  for (const CLI::App* one : parsed) {
    for (const CLI::Option* option : one->get_options()) {
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
  }
  for (const CLI::App* command : parsed.back()->get_subcommands(kEvery)) commands.push_back(command->get_name());
  if (what.starts_with("INI was not able to parse ")) {
    const std::string nearest = nearest_word("--" + what.substr(what.find_last_of(" .") + 1), flags);
    return nearest.empty() ? "" : nearest.substr(2);
  }
  const std::vector<std::string> left = app.remaining(true);
  if (left.empty()) return "";
  const std::string word = left.front().substr(0, left.front().find('='));
  return nearest_word(word, word.starts_with("-") ? flags : commands);
}

}  // namespace

void name_environment_variables(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (!option->get_configurable() || option->get_lnames().empty()) continue;
    option->envname(environment_name(option->get_lnames().front()));
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) name_environment_variables(*command);
}

std::shared_ptr<CLI::Config> make_settings_file() { return std::make_shared<SettingsFile>(); }

Source source_of(const CLI::Option& option, const std::vector<std::string>& arguments) {
  if (option.count() == 0) return Source::kDefault;
  const std::string name = "--" + option.get_lnames().front();
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == name || argument.starts_with(name + "=")) return Source::kFlag;
  }
  return is_set_in_environment(option.get_lnames().front()) ? Source::kEnvironment : Source::kFile;
}

Connection choose_connection(Connection connection, const ConnectionChoice& choice) {
  const Source over_rest = std::max(choice.server, choice.rest);
  const bool names_grpc = !connection.grpc_target.empty();
  if (choice.rest_only || over_rest > choice.grpc || (choice.rest != Source::kDefault && choice.rest >= choice.grpc)) {
    connection.grpc_target.clear();
  } else if (!names_grpc && choice.asks) {
    connection.grpc_target = kDefaultGrpcTarget;
  }
  if (connection.uses_tls() && choice.server == Source::kDefault) connection.url = kDefaultTlsUrl;
  if (!choice.commands) return connection;
  const Source elsewhere = std::max(choice.server, choice.grpc);
  if (choice.admin >= elsewhere) {
    connection.grpc_target.clear();
    connection.url = choice.admin_url;
  }
  return connection;
}

std::string usage_error(CLI::App& app, const CLI::ParseError& error) {
  std::string what = error.what();
  const std::string nearest = suggestion(app, what);
  std::replace(what.begin(), what.end(), '\n', ' ');
  return what + (nearest.empty() ? "" : "; did you mean " + nearest + "?") + " (see --help)";
}

}  // namespace sf::client

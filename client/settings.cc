#include "client/settings.h"

#include <algorithm>

#include "engine/base/flags.h"

namespace sf::client {

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

}  // namespace sf::client

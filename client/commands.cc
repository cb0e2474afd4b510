#include "client/commands.h"

#include <algorithm>
#include <cstdio>

#include "client/retry.h"

namespace sf::client {
namespace {

void print_choices(const Answer& answer, std::ostream& out) {
  for (const Answer::Choice& choice : answer.choices) {
    char probability[32];
    std::snprintf(probability, sizeof(probability), "%8.4f", choice.probability);
    out << probability << "  " << choice.text << "\n";
  }
}

}  // namespace

std::unique_ptr<Client> connect(const Connection& connection) {
  const ConnectOptions options{.connect_timeout_ms = std::min(connection.timeout_ms, 5000),
                               .read_timeout_ms = connection.timeout_ms,
                               .api_key = connection.api_key,
                               .tls = connection.uses_tls(),
                               .ca_file = connection.ca_file,
                               .cert_file = connection.cert_file,
                               .key_file = connection.key_file};
  auto client = connection.grpc_target.empty() ? make_http_client(connection.url, options)
                                               : make_grpc_client(connection.grpc_target, options);
  if (connection.num_retries == 0) return client;
  return with_retries(std::move(client), {.max_attempts = 1 + connection.num_retries});
}

int run_ask(Client& client, AskCommand command, std::ostream& out) {
  command.question.image = read_file(command.image_path);
  if (!command.stream) {
    const Answer answer = client.ask(command.question);
    out << (command.json ? to_json(answer) : answer.answer) << "\n";
    if (!command.json) print_choices(answer, out);
    out.flush();
    return 0;
  }
  const bool print_text = !command.json;
  const Answer answer = client.ask_stream(command.question, [&](std::string_view delta) {
    if (print_text) out << delta << std::flush;
    return true;
  });
  if (command.json) out << to_json(answer);
  out << "\n";
  if (print_text) print_choices(answer, out);
  out.flush();
  return 0;
}

int run_models(Client& client, bool json, std::ostream& out) {
  const std::vector<Model> models = client.models();
  for (const Model& model : models) {
    if (json) {
      out << model.json << "\n";
    } else {
      out << model.id << "\tversion " << model.version << "\n";
    }
  }
  if (models.empty() && !json) out << "no model is published yet\n";
  out.flush();
  return 0;
}

int run_health(Client& client, bool ready, std::ostream& out) {
  const bool healthy = client.is_healthy(ready);
  out << (ready ? (healthy ? "ready" : "not ready") : (healthy ? "live" : "not live")) << std::endl;
  return healthy ? 0 : 1;
}

}  // namespace sf::client

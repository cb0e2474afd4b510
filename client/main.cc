// sparsefusion: ask a running server.
#include <CLI/CLI.hpp>

#include <chrono>
#include <iostream>
#include <thread>

#include "client/bench_progress.h"
#include "client/commands.h"
#include "client/load_generator.h"
#include "client/settings.h"
#include "engine/base/flags.h"

namespace {

using namespace sf::client;

struct Flags {
  Connection connection;
  std::string admin_url = kDefaultAdminUrl;
  bool rest = false;
  bool json = false;
  AskCommand ask;
  ExplainCommand explain;
  bool ready = false;
  std::string pairs;
  ExpertsCommand experts;
  int64_t version = 0;
  LoadOptions load;
};

void add_connection(CLI::App& app, Flags& flags) {
  app.add_option("--server", flags.connection.url, "ask over REST, at this URL")->capture_default_str();
  app.add_option("--admin", flags.admin_url, "the management port, which takes the commands of reload")
      ->capture_default_str();
  app.add_option("--grpc", flags.connection.grpc_target,
                 std::string("HOST:PORT: ask over gRPC; what ask and bench do anyway, at ") + kDefaultGrpcTarget);
  app.add_option("--api-key", flags.connection.api_key, "the key of a server that asks for one");
  app.add_flag("--tls", flags.connection.tls, "gRPC over TLS (REST: an https:// URL); the next three imply it");
  app.add_option("--ca-file", flags.connection.ca_file, "PEM: whose certificates to trust; default: the system's");
  CLI::Option* certificate =
      app.add_option("--cert-file", flags.connection.cert_file, "PEM: the certificate of this client");
  CLI::Option* key =
      app.add_option("--key-file", flags.connection.key_file, "PEM: its private key")->envname("SPARSEFUSION_KEY_FILE");
  certificate->needs(key);
  key->needs(certificate);
  app.add_flag("--rest", flags.rest, "ask over REST");
  app.add_option("--retries", flags.connection.num_retries, "ask again so often where the server is full or away")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_option("--timeout-ms", flags.connection.timeout_ms, "how long to wait for the server")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

CLI::App* add_ask(CLI::App& app, Flags& flags) {
  CLI::App* ask = app.add_subcommand("ask", "ask a question about a picture");
  Question& question = flags.ask.question;
  ask->add_option("IMAGE", flags.ask.image_path, "a PNG, JPEG or WebP file; - reads standard input")->required();
  ask->add_option("QUESTION", question.question)->required();
  ask->add_flag("--stream", flags.ask.stream, "print the answer as it is made");
  ask->add_flag("--json", flags.ask.json, "print the whole answer object");
  ask->add_option("--max-tokens", question.max_tokens, "generated tokens at most");
  ask->add_option("--temperature", question.temperature, "0 (greedy) to 2");
  ask->add_option("--top-p", question.top_p);
  ask->add_option("--top-k", question.top_k);
  ask->add_option("--seed", question.seed, "equal seeds give equal draws");
  ask->add_option("--stop", question.stop, "the answer ends before this text; may be repeated")
      ->expected(1)
      ->take_all();
  ask->add_option("--choice", question.choices,
                  "the answer is one of these; give two or more; prints their probabilities")
      ->expected(1)
      ->take_all();
  ask->add_flag("--batch", question.batch, "wait while interactive requests wait");
  ask->add_option("--model", question.model);
  ask->add_option("--request-id", question.request_id);
  return ask;
}

void add_explain(CLI::App& app, Flags& flags) {
  CLI::App* explain = app.add_subcommand("explain", "show what an answer was made of: where it looks, which experts");
  ExplainQuestion& asked = flags.explain.question;
  explain->add_option("IMAGE", flags.explain.image_path, "a PNG, JPEG or WebP file; - reads standard input")
      ->required();
  explain->add_option("QUESTION", asked.question.question)->required();
  explain->add_option("--out", flags.explain.output_path, "write the picture under its heatmap to this PNG file");
  explain->add_option("--method", asked.method, "attention, rollout, relevancy (default) or occlusion");
  explain->add_option("--layer", asked.layer, "of attention; default: the mean of all");
  explain->add_option("--head", asked.head, "of attention; default: the mean of all");
  explain->add_option("--token", asked.token, "the answer token whose heatmap --out shows; default: the mean of all");
  explain->add_option("--max-tokens", asked.question.max_tokens, "of the answer, 1 to 64");
  explain->add_option("--temperature", asked.question.temperature, "0 (greedy) to 2");
  explain->add_option("--seed", asked.question.seed, "equal seeds give equal draws");
  explain->add_option("--model", asked.question.model);
  explain->add_option("--request-id", asked.question.request_id);
}

CLI::App* add_bench(CLI::App& app, Flags& flags) {
  CLI::App* bench =
      app.add_subcommand("bench", "load the server in a closed loop; prints throughput and latency as JSON");
  bench->add_option("PAIRS", flags.pairs, "a .jsonl file of {\"image\": path or base64, \"question\": text}")
      ->required();
  bench->add_option("--concurrency", flags.load.concurrency)->check(CLI::Range(1, 4096))->capture_default_str();
  bench->add_option("--requests", flags.load.num_requests)->check(CLI::PositiveNumber)->capture_default_str();
  bench->add_option("--warm-up", flags.load.num_warm_up, "asked first, not counted")->capture_default_str();
  bench->add_flag("--stream", flags.load.stream, "stream every answer");
  return bench;
}

void add_experts(CLI::App& app, Flags& flags) {
  CLI::App* experts = app.add_subcommand("experts", "show what the experts do, by layer and modality");
  experts->add_flag("--json", flags.experts.json, "one JSON object a table");
  experts->add_option("--watch", flags.experts.watch_s, "again every so many seconds, with the tokens since then")
      ->check(CLI::Range(0.1, 86400.0));
}

void add_reload(CLI::App& app, Flags& flags) {
  CLI::App* reload = app.add_subcommand("reload", "list the versions, or say which one is to serve");
  reload->require_subcommand(1);
  reload->fallthrough();
  reload->add_subcommand("list", "every version with its state and reason")->add_flag("--json", flags.json);
  reload->add_subcommand("load", "serve a version until a newer one comes")
      ->add_option("VERSION", flags.version)
      ->required()
      ->check(CLI::PositiveNumber);
  reload->add_subcommand("pin", "serve a version and no other")
      ->add_option("VERSION", flags.version, "default: the one that is served")
      ->check(CLI::PositiveNumber);
  reload->add_subcommand("unpin", "let the newest version serve again");
  reload->add_subcommand("rollback", "go back to the version served before, and pin it");
}

int list_or_tell(const CLI::App& reload, Client& client, const Flags& flags) {
  if (reload.got_subcommand("list")) return run_versions(client, flags.json, std::cout);
  const VersionCommand command = reload.got_subcommand("load")    ? VersionCommand::kLoad
                                 : reload.got_subcommand("pin")   ? VersionCommand::kPin
                                 : reload.got_subcommand("unpin") ? VersionCommand::kUnpin
                                                                  : VersionCommand::kRollback;
  return run_reload(client, command, flags.version, std::cout);
}

bool sleep_on(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  return true;  // until somebody interrupts it
}

ConnectionChoice choice_of(const CLI::App& app, const Flags& flags, const std::vector<std::string>& arguments) {
  const auto source = [&](const char* name) { return source_of(*app.get_option(name), arguments); };
  ConnectionChoice choice;
  choice.server = source("--server");
  choice.grpc = source("--grpc");
  choice.admin = source("--admin");
  choice.rest = flags.rest ? source("--rest") : Source::kDefault;
  choice.admin_url = flags.admin_url;
  choice.asks = app.got_subcommand("ask") || app.got_subcommand("bench") || app.got_subcommand("explain");
  choice.commands = app.got_subcommand("reload");
  choice.rest_only = app.got_subcommand("models");  // gRPC has no list of models
  return choice;
}

int run_bench(const Connection& connection, const Flags& flags) {
  const std::vector<Question> questions = read_questions(flags.pairs);
  Connection once = connection;
  once.num_retries = 0;  // what the server refuses is to be seen
  BenchProgress progress(flags.load.num_requests);
  LoadOptions options = flags.load;
  options.on_answered = [&progress](int answered) { progress.update(answered); };
  const LoadResult result = run_load(questions, options, [&] { return connect(once); });
  progress.finish();
  std::cout << to_json(result, flags.load) << std::endl;
  return result.num_ok == flags.load.num_requests ? 0 : 1;
}

int run(const CLI::App& app, const Flags& flags, const std::vector<std::string>& arguments) {
  const Connection connection = choose_connection(flags.connection, choice_of(app, flags, arguments));
  if (app.got_subcommand("bench")) return run_bench(connection, flags);
  const std::unique_ptr<Client> client = connect(connection);
  if (app.got_subcommand("models")) return run_models(*client, flags.json, std::cout);
  if (app.got_subcommand("health")) return run_health(*client, flags.ready, std::cout);
  if (app.got_subcommand("experts")) return run_experts(*client, flags.experts, std::cout, sleep_on);
  if (app.got_subcommand("reload")) return list_or_tell(*app.get_subcommand("reload"), *client, flags);
  if (app.got_subcommand("explain")) return run_explain(*client, flags.explain, std::cout);
  return run_ask(*client, flags.ask, std::cout);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Asks a SparseFusion server about pictures.", "sparsefusion");
  app.set_version_flag("--version", "sparsefusion " SF_VERSION);
  sf::add_config_option(app, "a TOML file of these options");
  app.get_config_ptr()->envname("SPARSEFUSION_CONFIG");  // shown by --help
  app.require_subcommand(0, 1);  // none is checked below: an unknown flag is the more useful error
  app.fallthrough();             // --server may stand behind the command too

  Flags flags;
  add_connection(app, flags);
  add_ask(app, flags);
  add_explain(app, flags);
  add_bench(app, flags);
  add_experts(app, flags);
  add_reload(app, flags);
  app.add_subcommand("models", "list what the server serves")->add_flag("--json", flags.json);
  app.add_subcommand("health", "exit 0 if the server lives")
      ->add_flag("--ready", flags.ready, "exit 0 if it is ready to answer");
  sf::name_environment_variables(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help or --version
    std::cerr << "sparsefusion: " << sf::usage_error(app, error) << "\n";
    return 2;
  }
  if (app.get_subcommands().empty()) {
    std::cerr << "sparsefusion: a command is needed: ask, bench, experts, explain, health, models or reload\n";
    return 2;
  }
  try {
    return run(app, flags, {argv + 1, argv + argc});
  } catch (const ClientError& error) {
    std::cerr << "sparsefusion: " << error.code() << ": " << error.what() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "sparsefusion: " << error.what() << "\n";
  }
  return 1;
}

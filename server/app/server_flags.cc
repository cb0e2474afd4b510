#include "server/app/server_flags.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "server/http/host_check.h"

namespace sf::server {
namespace {

const CLI::Range kPort(0, 65535);

// It is a part of routes. What is wrong, or nothing.
std::string check_model_name(const std::string& name) {
  constexpr size_t kMaxBytes = 128;
  const bool fits =
      !name.empty() && name.size() <= kMaxBytes && is_valid_utf8(name) &&
      std::none_of(name.begin(), name.end(), [](unsigned char c) { return c == '/' || c < ' ' || c == 0x7f; });
  return fits ? "" : concat("must be 1 to ", kMaxBytes, " bytes of UTF-8 without / and control characters");
}

std::string check_host_name(const std::string& name) {
  if (parse_authority(name)) return "";
  return concat("must be a host name, with or without a port, and not ", name);
}

void add_model_flags(CLI::App& app, ServerOptions& options) {
  app.add_option("--model", options.model,
                 "A checkpoint directory (served as it is) or a store (watched for new versions)")
      ->required(options.model.empty())
      ->capture_default_str();
  app.add_option("--seed-model", options.bootstrap_model, "Checkpoint directory that an empty store is seeded with")
      ->capture_default_str();
  app.add_option("--model-name", options.model_name, "The model's id on every API")
      ->check(CLI::Validator(check_model_name, ""))
      ->capture_default_str();
  app.add_option("--device", options.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--threads", options.threads,
                 "Threads of one engine step; 0 = the processors this process may use, cgroup quota included")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--decode-threads", options.decode_threads, "Pictures decoded at once; 0 = by the number of cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--max-context", options.max_context, "Tokens of prompt and answer together; 0 = the checkpoint's")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--kv-cache-mib", options.kv_cache_mib, "Memory of the key-value cache in MiB")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_flag("--prefix-cache,!--no-prefix-cache", options.prefix_cache,
               "Whether computed prompts stay in free pages for those that begin alike (default: yes)");
  app.add_option(
         "--capacity-mode", options.capacity_mode,
         "What happens above an expert's capacity: account counts it, strict drops it, causally and per request")
      ->check(CLI::IsMember({"account", "strict"}))
      ->capture_default_str();
  app.add_option("--capacity-factor", options.capacity_factor, "Expert capacity factor; 0 = the checkpoint's")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  app.add_option("--poll-interval-ms", options.poll_interval_ms, "How often the store is looked at")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  app.add_option("--max-score-drop", options.max_score_drop,
                 "A version that scores lower than the served one by more is refused")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_option("--reload-mode", options.reload_mode,
                 "overlap: the old version serves while the new one loads; replace: it is freed before")
      ->check(CLI::IsMember({"overlap", "replace"}))
      ->capture_default_str();
  app.add_option("--state-dir", options.state_dir, "Where a pin is kept; empty = in the store")->capture_default_str();
}

void add_port_flags(CLI::App& app, ServerOptions& options) {
  app.add_option("--host", options.host, "Address that REST and gRPC listen on")->capture_default_str();
  app.add_option("--http-port", options.http_port, "Port of the REST API; 0 = any free one")
      ->check(kPort)
      ->capture_default_str();
  app.add_flag("--grpc,!--no-grpc", options.grpc, "Whether to serve gRPC (default: yes)");
  app.add_option("--grpc-host", options.grpc_host, "Address that gRPC listens on; empty = --host")
      ->capture_default_str();
  app.add_option("--grpc-port", options.grpc_port, "Port of gRPC; 0 = any free one")
      ->check(kPort)
      ->capture_default_str();
  app.add_option("--admin-host", options.admin_host, "Address of the management port")->capture_default_str();
  app.add_option("--admin-port", options.admin_port, "Management port: metrics and health; 0 = any free one")
      ->check(kPort)
      ->capture_default_str();
  app.add_option("--admin-allowed-host", options.admin_allowed_hosts,
                 "Host name by which the management port may be called; may be repeated")
      ->check(CLI::Validator(check_host_name, ""));
  app.add_option("--idle-timeout-s", options.idle_timeout_s,
                 "Seconds that an HTTP connection is kept open between two requests")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app.add_flag("--ui,!--no-ui", options.ui, "Whether to serve the page at / (default: yes)");
  app.add_option(
         "--allowed-host", options.allowed_hosts,
         "Host name by which the REST API may be called on loopback without keys, beside localhost and addresses; "
         "may be repeated")
      ->check(CLI::Validator(check_host_name, ""));
  app.add_option("--cors-origin", options.cors_origins,
                 "Origin whose pages may call the REST API; may be repeated; * = every page (default: none)");
  app.add_option("--api-keys", options.api_keys,
                 "File of hashed keys; then everything but health and the page needs one. SIGHUP reads it again");
  CLI::Option* cert =
      app.add_option("--tls-cert", options.tls_cert,
                     "PEM chain of the server: TLS for REST and gRPC. SIGHUP reads it, its key and client CA again");
  CLI::Option* key = app.add_option("--tls-key", options.tls_key, "PEM private key of --tls-cert");
  cert->needs(key);
  key->needs(cert);
  app.add_option("--tls-client-ca", options.tls_client_ca,
                 "PEM authority that has to have signed clients' certificates")
      ->needs(cert);
  app.add_flag("--admin-tls,!--no-admin-tls", options.admin_tls,
               "Whether the management port has the same TLS, client certificates included (default: no)")
      ->needs(cert);
  app.add_option("--allow-image-host", options.allow_image_hosts,
                 "Host whose pictures a request may name by https URL; may be repeated (default: none)");
  app.add_option("--otlp-endpoint", options.otlp_endpoint,
                 "OTLP/HTTP collector that gets spans and metrics of requests: http[s]://HOST[:PORT][/PATH] "
                 "(default: none)");
  app.add_option("--otlp-metrics-endpoint", options.otlp_metrics_endpoint,
                 "OTLP/HTTP collector of the metrics alone; none = nowhere (default: /v1/metrics beside the spans)");
  app.add_option("--otlp-sample-ratio", options.otlp_sample_ratio,
                 "Share of the requests without a traceparent whose spans are sent; others follow their sampled flag")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--metrics-experts", options.metrics_experts,
                 "Series of /metrics by expert: full = 8 an expert, layer = 8 a layer, off = none (default: full up to "
                 "4096 series, else layer)")
      ->check(CLI::IsMember({"full", "layer", "off"}));
  app.add_option("--port-file", options.port_file, "Write the bound ports there, as JSON, when ready");
}

void add_limit_flags(CLI::App& app, ServerOptions& options) {
  app.add_option("--max-batch", options.max_batch, "Sequences in one step")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--max-step-tokens", options.max_step_tokens,
                 "Tokens computed in one step; longer prompts go in chunks")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--max-queue-requests", options.max_queue_requests, "Requests that may wait")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  app.add_option("--max-queue-tokens", options.max_queue_tokens, "Prompt tokens that may wait")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  app.add_option("--max-explain", options.max_explain, "Explanations under way at once; more are refused")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--request-timeout-s", options.request_timeout_s, "Longest time of one request")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  app.add_option("--drain-timeout-s", options.drain_timeout_s, "How long SIGTERM lets admitted requests finish")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app.add_option("--stall-limit-s", options.stall_limit_s, "Not live after work without a step for so long")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  app.add_option("--max-body-bytes", options.max_body_bytes, "Largest body or gRPC message")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--max-image-bytes", options.max_image_bytes, "Largest encoded picture")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--max-image-pixels", options.max_image_pixels,
                 "Largest image, inclusive, read from its header; above 16000000 only JPEG")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  app.add_option("--max-decode-mib", options.max_decode_mib,
                 "Coefficients of a progressive JPEG, held while it is decoded: 2 bytes a sample")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 14))
      ->capture_default_str();
}

}  // namespace

void add_server_flags(CLI::App& app, ServerOptions& options) {
  add_model_flags(app, options);
  add_port_flags(app, options);
  add_limit_flags(app, options);
  app.add_flag("--check-config", options.check_config,
               "Check flags, files and folders and exit: 0 if this could be served, else 2")
      ->configurable(false);
  app.add_flag("--hash-key", options.hash_key,
               "Read a key from standard input, print its sha256 for the file of --api-keys, and exit")
      ->configurable(false);
}

}  // namespace sf::server

// All options of sparsefusion-server with their defaults; server_flags.h reads them from the command line. Plain
// values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "server/auth/tls_files.h"

namespace sf::server {

struct ServerOptions {
  // --- model ---
  std::string model;            // a checkpoint directory (fixed) or a store (watched)
  std::string bootstrap_model;  // what an empty store is seeded with; empty = nothing
  std::string model_name = "sparsefusion";
  std::string device = "auto";  // auto, cpu, cuda or cuda:N
  int threads = 0;              // of one engine step; 0 = the processors this process may use
  int decode_threads = 0;       // images decoded at once; 0 = those processors - 1, in 1..4
  int max_context = 0;          // tokens; 0 = the checkpoint's
  int64_t kv_cache_mib = 64;
  bool prefix_cache = true;  // computed prefixes stay in free pages of the key-value cache
  std::string capacity_mode = "account";
  double capacity_factor = 0;           // 0 = the checkpoint's
  int poll_interval_ms = 1000;          // of the store
  double max_score_drop = 0.02;         // a version that scores lower than the served one by more is refused
  std::string reload_mode = "overlap";  // overlap or replace: whether the old version serves while the new one loads
  std::string state_dir;                // where a pin is kept; empty = in the store

  // --- ports; 0 = any free one ---
  std::string host = "127.0.0.1";
  int http_port = 8000;
  bool grpc = true;
  std::string grpc_host;  // empty = host
  int grpc_port = 8001;
  std::string admin_host = "127.0.0.1";
  int admin_port = 8002;
  std::vector<std::string> admin_allowed_hosts;  // names accepted in Host beside loopback ones
  bool ui = true;                                // the page at "/"
  std::vector<std::string> allowed_hosts;        // names taken in Host on a loopback port without keys
  int idle_timeout_s = 75;                       // of an HTTP connection between two requests
  std::vector<std::string> cors_origins;         // whose pages may call the REST API; "*" = any origin
  std::string api_keys;                          // file of hashed keys; empty = requests need none
  std::string tls_cert, tls_key, tls_client_ca;  // PEM files; empty = no TLS, no client certificates
  bool admin_tls = false;                        // the management port too, with the same files
  std::vector<std::string> allow_image_hosts;    // whose images a request may name by URL; empty = none
  std::string otlp_endpoint;                     // collector of traces; empty = no spans leave this server
  std::string otlp_metrics_endpoint;             // of metrics; empty = beside the traces; "none" = nowhere
  double otlp_sample_ratio = 1;                  // of the requests that come without a trace
  std::string metrics_experts;                   // full, layer or off; empty = full up to 4,096 series, else layer
  std::string port_file;                         // JSON with the bound ports, written when ready

  // --- instead of serving ---
  bool check_config = false;  // say whether this configuration could be served
  bool hash_key = false;      // print the line of --api-keys for the key on standard input

  // --- scheduling and limits ---
  int max_batch = 32;         // sequences in one step
  int max_step_tokens = 512;  // tokens computed in one step
  int max_queue_requests = 64;
  int max_queue_tokens = 16384;
  int max_explain = 1;  // explanations under way at once
  double request_timeout_s = 60;
  double drain_timeout_s = 30;
  double stall_limit_s = 30;
  int64_t max_body_bytes = 20 << 20;
  int64_t max_image_bytes = 10 << 20;
  int64_t max_image_pixels = 64'000'000;  // above 16e6 a JPEG is decoded at a reduced scale
  int64_t max_decode_mib = 256;           // coefficients of one JPEG of several scans

  TlsFiles tls_files() const { return {tls_cert, tls_key, tls_client_ca}; }
};

}  // namespace sf::server

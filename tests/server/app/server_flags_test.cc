#include "server/app/server_flags.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sf::server {
namespace {

ServerOptions parsed(std::vector<std::string> arguments) {
  ServerOptions options;
  options.model = "models/demo";
  CLI::App app;
  add_server_flags(app, options);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  app.parse(arguments);
  return options;
}

TEST(ServerFlagsTest, DefaultsAreTheContract) {
  const ServerOptions options = parsed({});
  EXPECT_EQ(options.http_port, 8000);
  EXPECT_EQ(options.grpc_port, 8001);
  EXPECT_EQ(options.admin_port, 8002);
  EXPECT_EQ(options.host, "127.0.0.1");
  EXPECT_EQ(options.max_batch, 32);
  EXPECT_EQ(options.max_queue_requests, 64);
  EXPECT_EQ(options.max_queue_tokens, 16384);
  EXPECT_EQ(options.request_timeout_s, 60);
  EXPECT_EQ(options.drain_timeout_s, 30);
  EXPECT_EQ(options.stall_limit_s, 30);
  EXPECT_EQ(options.max_body_bytes, 20 * 1024 * 1024);
  EXPECT_EQ(options.max_image_bytes, 10 * 1024 * 1024);
  EXPECT_EQ(options.max_image_pixels, 64'000'000);
  EXPECT_EQ(options.max_decode_mib, 256);
  EXPECT_EQ(options.poll_interval_ms, 1000);
  EXPECT_EQ(options.max_score_drop, 0.02);
  EXPECT_EQ(options.capacity_mode, "account");
  EXPECT_EQ(options.reload_mode, "overlap");
  EXPECT_TRUE(options.api_keys.empty());
  EXPECT_TRUE(options.cors_origins.empty());
  EXPECT_FALSE(options.admin_tls);
  EXPECT_TRUE(options.grpc);
}

TEST(ServerFlagsTest, ReadsFlags) {
  const ServerOptions options =
      parsed({"--model", "store", "--http-port=0", "--no-grpc", "--no-ui", "--admin-allowed-host=a",
              "--admin-allowed-host=b", "--max-score-drop", "0.5", "--capacity-mode=strict"});
  EXPECT_EQ(options.model, "store");
  EXPECT_EQ(options.http_port, 0);
  EXPECT_FALSE(options.grpc);
  EXPECT_FALSE(options.ui);
  EXPECT_EQ(options.admin_allowed_hosts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options.max_score_drop, 0.5);
  EXPECT_EQ(options.capacity_mode, "strict");
}

TEST(ServerFlagsTest, RefusesWhatCannotBe) {
  for (const char* flag :
       {"--http-port=70000", "--http-port=-1", "--http-port=x", "--max-batch=0", "--poll-interval-ms=0",
        "--capacity-mode=drop", "--reload-mode=half", "--tls-cert=a.pem", "--tls-client-ca=a.pem", "--admin-tls",
        "--max-image-pixels=0", "--max-decode-mib=0", "--model-name=", "--model-name=org/model", "--no-such-flag=1"}) {
    EXPECT_THROW(parsed({flag}), CLI::ParseError) << flag;
  }
}

}  // namespace
}  // namespace sf::server

// The whole server over TLS: what SIGHUP does to the certificate, on REST and the management port (gRPC:
// tests/server/edges).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <fstream>
#include <set>

#include "engine/base/mutex.h"
#include "engine/checkpoint/store.h"
#include "server/app/check_config.h"
#include "server/app/server_app.h"
#include "server/auth/api_keys.h"
#include "tests/support/certificates.h"
#include "tests/support/fake_engine.h"
#include "tests/support/tls_client.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class AppCertificatesTest : public ::testing::Test {
 protected:
  AppCertificatesTest() {
    std::string pattern = (fs::temp_directory_path() / "sf_app_tls_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    fs::create_directory(root_ / "demo");
    std::ofstream(root_ / "demo" / "config.json") << "demo";
    write_checkpoint_manifest(root_ / "demo", {});
    for (const char* name : {"server", "clients", "stranger"}) make_certificate(root_, name);
    options_.model = root_ / "demo";
    options_.http_port = options_.grpc_port = options_.admin_port = 0;
    options_.grpc = false;  // gRPC is not instrumented: sanitizers would report what is inside it
    options_.tls_cert = path("server.crt");
    options_.tls_key = path("server.key");
  }
  ~AppCertificatesTest() override {
    app_.reset();
    fs::remove_all(root_);
  }
  std::string path(const std::string& name) const { return (root_ / name).string(); }
  void start() {
    app_ = std::make_unique<ServerApp>(
        options_, [](const VerifiedCheckpoint&) { return std::make_unique<FakeEngine>(); },
        [this](const std::string& line) {
          MutexLock lock(lines_mutex_);
          lines_ += line + "\n";
        });
    app_->start();
  }
  std::string lines() {
    MutexLock lock(lines_mutex_);
    return lines_;
  }
  // Of the certificates that the TLS ports show.
  std::set<long> serials() const {
    std::set<long> seen = {shake_hands(app_->ports().http).serial};
    if (options_.admin_tls) seen.insert(shake_hands(app_->ports().admin).serial);
    return seen;
  }
  int models_with(const std::string& key) const {
    httplib::SSLClient client("127.0.0.1", app_->ports().http);
    client.enable_server_certificate_verification(false);
    const auto response = client.Get("/v1/models", httplib::Headers{{"Authorization", "Bearer " + key}});
    return response ? response->status : 0;
  }
  void write_keys(const std::string& key) const {
    std::ofstream(root_ / "keys") << "alice " << hash_api_key(key) << " infer\n";
  }

  fs::path root_;
  ServerOptions options_;
  Mutex lines_mutex_;
  std::string lines_ SF_GUARDED_BY(lines_mutex_);
  std::unique_ptr<ServerApp> app_;
};

TEST_F(AppCertificatesTest, TheManagementPortStaysInTheClearUnlessAsked) {
  start();
  EXPECT_THAT(app_->ready_line(), HasSubstr("https://"));
  const auto metrics = httplib::Client("127.0.0.1", app_->ports().admin).Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->status, 200);
  app_.reset();
  options_.admin_tls = true;
  start();
  EXPECT_FALSE(httplib::Client("127.0.0.1", app_->ports().admin).Get("/metrics"));
  EXPECT_EQ(serials(), std::set<long>{1});
}

TEST_F(AppCertificatesTest, AReloadReachesEveryPort) {
  options_.admin_tls = true;
  start();
  make_certificate(root_, "server", {.serial = 0x2b});
  EXPECT_EQ(serials(), std::set<long>{1}) << "not before it is asked to";
  app_->reload_files();
  EXPECT_EQ(serials(), std::set<long>{0x2b});
  EXPECT_THAT(lines(), HasSubstr("\"event\":\"certificate\",\"serial\":\"2B\",\"not_after\":\"20"));
}

TEST_F(AppCertificatesTest, AWrongFileIsOneLogLineThatNamesItAndChangesNothing) {
  options_.admin_tls = true;
  options_.tls_client_ca = path("clients.crt");
  start();
  std::ofstream(root_ / "server.key") << "half";
  app_->reload_files();
  const std::string seen = lines();
  const size_t at = seen.find("\"event\":\"certificate\"");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(seen.find("\"event\":\"certificate\"", at + 1), std::string::npos) << "one line";
  EXPECT_THAT(seen, HasSubstr("\"level\":\"warning\""));
  EXPECT_THAT(seen, HasSubstr("--tls-key " + path("server.key")));
  const HandshakeOptions client{.certificate = path("clients.crt"), .key = path("clients.key")};
  for (const int port : {app_->ports().http, app_->ports().admin}) {
    EXPECT_TRUE(shake_hands(port, client).accepted);
    EXPECT_FALSE(shake_hands(port).accepted);
  }
}

TEST_F(AppCertificatesTest, KeysAndCertificateAreReadEachOnItsOwn) {
  options_.api_keys = path("keys");
  write_keys("first");
  start();
  EXPECT_EQ(models_with("first"), 200);
  // A wrong certificate does not hold back the keys.
  fs::rename(root_ / "server.crt", root_ / "kept");
  write_keys("second");
  app_->reload_files();
  EXPECT_EQ(models_with("first"), 401);
  EXPECT_EQ(models_with("second"), 200);
  EXPECT_EQ(serials(), std::set<long>{1});
  // Nor the other way round.
  make_certificate(root_, "server", {.serial = 2});
  std::ofstream(root_ / "keys") << "nonsense\n";
  app_->reload_files();
  EXPECT_EQ(serials(), std::set<long>{2});
  EXPECT_EQ(models_with("second"), 200);
}

TEST_F(AppCertificatesTest, AServerWithoutFilesHasNothingToReload) {
  options_.tls_cert = options_.tls_key = "";
  start();
  app_->reload_files();
  EXPECT_THAT(lines(), Not(HasSubstr("\"event\":\"certificate\"")));
  EXPECT_THAT(lines(), Not(HasSubstr("\"event\":\"api_keys\"")));
}

TEST_F(AppCertificatesTest, FilesThatCannotBeUsedAreAnErrorAtTheStartAndOfCheckConfig) {
  EXPECT_EQ(config_problems(options_).size(), 0u);
  options_.tls_key = path("stranger.key");
  const std::vector<std::string> problems = config_problems(options_);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0], HasSubstr("--tls-key " + options_.tls_key));
  try {
    start();
    FAIL() << "started with the key of another certificate";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), problems[0]);
  }
}

}  // namespace
}  // namespace sf::server

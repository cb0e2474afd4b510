// The client over TLS: whom it trusts, and as whom it comes.
#include <gtest/gtest.h>

#include <filesystem>

#include "client/commands.h"
#include "server/grpc/grpc_server.h"
#include "server/http/http_server.h"
#include "tests/support/certificates.h"
#include "tests/support/fake_service.h"

namespace sf::client {
namespace {

namespace fs = std::filesystem;

class ClientTlsTest : public testing::TestWithParam<const char*> {
 protected:
  ClientTlsTest() {
    std::string pattern = (fs::temp_directory_path() / "sf_client_tls_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    server::make_certificate(root_, "server", {.hosts = "IP:127.0.0.1"});
    for (const char* name : {"friend", "stranger"}) server::make_certificate(root_, name);
  }
  ~ClientTlsTest() override { fs::remove_all(root_); }
  std::string path(const std::string& name) const { return name.empty() ? "" : (root_ / name).string(); }

  void start(const std::string& client_ca) {
    const auto certificate = std::make_shared<server::ServerCertificate>(
        server::TlsFiles{path("server.crt"), path("server.key"), path(client_ca)});
    http_ = std::make_unique<server::HttpServer>(server::HttpOptions{.port = 0, .certificate = certificate}, service_);
    grpc_ = std::make_unique<server::GrpcServer>(server::GrpcOptions{.port = 0, .certificate = certificate}, service_);
    http_->start();
    grpc_->start();
  }
  // The answer, or the error's code. `certificate`: of the client; none where it is empty.
  std::string ask(const std::string& ca, const std::string& certificate = "") {
    Connection connection{.timeout_ms = 3000, .ca_file = path(ca)};
    if (!certificate.empty()) {
      connection.cert_file = path(certificate + ".crt");
      connection.key_file = path(certificate + ".key");
    }
    if (std::string(GetParam()) == "grpc") {
      connection.grpc_target = "127.0.0.1:" + std::to_string(grpc_->port());
    } else {
      connection.url = "https://127.0.0.1:" + std::to_string(http_->port());
    }
    try {
      return connect(connection)->ask({.image = "pic", .question = "what?"}).answer;
    } catch (const ClientError& error) {
      return error.code();
    }
  }

 private:
  fs::path root_;
  server::FakeService service_;
  std::unique_ptr<server::HttpServer> http_;
  std::unique_ptr<server::GrpcServer> grpc_;
};

TEST_P(ClientTlsTest, TrustsOnlyWhoseCertificateItKnows) {
  start("");
  EXPECT_EQ(ask("server.crt"), "circle");
  EXPECT_EQ(ask("stranger.crt"), "UNAVAILABLE");
  EXPECT_NE(ask("missing.crt"), "circle");
}

TEST_P(ClientTlsTest, ShowsItsOwnCertificate) {
  start("friend.crt");
  EXPECT_EQ(ask("server.crt", "friend"), "circle");
  EXPECT_NE(ask("server.crt", "stranger"), "circle");
  EXPECT_NE(ask("server.crt"), "circle");
}

INSTANTIATE_TEST_SUITE_P(Transports, ClientTlsTest, testing::Values("http", "grpc"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace sf::client

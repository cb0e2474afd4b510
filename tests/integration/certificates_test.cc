// SIGHUP to the real server: new certificates on every port, with answers under way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <future>

#include "tests/integration/live_server.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_client.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int kNumStreams = 12;

class CertificatesTest : public testing::Test {
 protected:
  // As Kubernetes mounts a Secret: links to ..data/NAME, and ..data is a link that is renamed over.
  CertificatesTest() {
    fill("first", 1);
    fs::create_symlink("first", folder_.path() / "..data");
    for (const char* name : {"tls.crt", "tls.key", "ca.crt"}) {
      fs::create_symlink(std::string("..data/") + name, folder_.path() / name);
    }
    server_ = std::make_unique<LiveServer>(
        folder_.path(), store_,
        std::vector<std::string>{"--tls-cert", path("tls.crt"), "--tls-key", path("tls.key"), "--tls-client-ca",
                                 path("ca.crt"), "--admin-tls"});
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  // A folder with a certificate, its key, and a client authority with a client.
  void fill(const std::string& name, long serial) const {
    fs::create_directory(folder_.path() / name);
    server::make_certificate(folder_.path() / name, "tls", {.hosts = "IP:127.0.0.1", .serial = serial});
    server::make_certificate(folder_.path() / name, "ca");
    server::make_certificate(folder_.path() / name, "client", {.serial = 5, .issuer = "ca"});
  }
  void swap_to(const std::string& name) const {
    fs::create_symlink(name, folder_.path() / "..data_tmp");
    fs::rename(folder_.path() / "..data_tmp", folder_.path() / "..data");
  }
  // The serial that each port shows to the client of this folder: HTTP, gRPC, management; 0 where it is refused.
  std::vector<long> serials(const std::string& client) const {
    std::vector<long> seen;
    for (const int port : {server_->http_port(), server_->grpc_port(), server_->admin_port()}) {
      const server::Handshake shaken =
          server::shake_hands(port, {.certificate = path(client + "/client.crt"), .key = path(client + "/client.key")});
      seen.push_back(shaken.accepted ? shaken.serial : 0);
    }
    return seen;
  }
  client::ConnectOptions options_of(const std::string& name) const {
    return {.tls = true,
            .ca_file = path(name + "/tls.crt"),
            .cert_file = path(name + "/client.crt"),
            .key_file = path(name + "/client.key")};
  }
  std::unique_ptr<client::Client> rest(const std::string& name, int port) const {
    return client::make_http_client("https://127.0.0.1:" + std::to_string(port), options_of(name));
  }
  // How many lines of the log tell of the certificate.
  int num_reloads() const {
    const std::string log = server_->log();
    int count = 0;
    for (size_t at = 0; (at = log.find("\"event\":\"certificate\"", at)) != std::string::npos; ++at) ++count;
    return count;
  }
  void reload_and_wait() {
    const int before = num_reloads();
    server_->process().signal(SIGHUP);
    ASSERT_TRUE(wait_until([&] { return num_reloads() > before; })) << server_->log();
  }

  const ScratchFolder folder_{"certificates"};
  const fs::path store_ = copy_toy_store(folder_.path());
  std::unique_ptr<LiveServer> server_;
};

TEST_F(CertificatesTest, SighupShowsTheNewOneOnEveryPortAndCutsNoAnswer) {
  EXPECT_EQ(serials("first"), (std::vector<long>{1, 1, 1}));
  fill("second", 2);
  std::atomic<int> num_begun{0}, num_spanning{0};
  std::atomic<bool> reloaded{false};
  std::vector<std::future<bool>> streams;  // each: whether it was the whole answer
  for (uint64_t seed = 0; seed < uint64_t{kNumStreams}; ++seed) {
    streams.push_back(std::async(std::launch::async, [&, seed] {
      const auto asker = seed % 2 == 0 ? rest("first", server_->http_port())
                                       : client::make_grpc_client(server_->grpc_target(), options_of("first"));
      std::string text;
      const client::Answer answer = asker->ask_stream(long_question(seed), [&](std::string_view delta) {
        if (text.empty()) ++num_begun;
        text += delta;
        return true;
      });
      if (reloaded) ++num_spanning;
      return text == answer.answer;
    }));
  }
  ASSERT_TRUE(wait_until([&] { return num_begun == kNumStreams; }));
  swap_to("second");
  reload_and_wait();
  reloaded = true;
  EXPECT_EQ(serials("second"), (std::vector<long>{2, 2, 2}));
  EXPECT_EQ(serials("first"), (std::vector<long>{0, 0, 0})) << "its authority is gone";
  for (std::future<bool>& stream : streams) EXPECT_TRUE(stream.get());
  EXPECT_GT(num_spanning, 0) << "no answer was under way";
  EXPECT_THAT(server_->log(), HasSubstr("\"serial\":\"02\""));
  // The client program's ways in.
  EXPECT_TRUE(rest("second", server_->admin_port())->is_healthy(/*ready=*/true));
  EXPECT_TRUE(client::make_grpc_client(server_->grpc_target(), options_of("second"))->is_healthy(/*ready=*/true));
  EXPECT_FALSE(rest("first", server_->admin_port())->is_healthy(/*ready=*/true));
}

TEST_F(CertificatesTest, AHalfWrittenFileIsALogLineAndTheNextSighupFindsItWhole) {
  fill("second", 2);
  fs::resize_file(folder_.path() / "second/tls.key", 100);
  swap_to("second");
  reload_and_wait();
  EXPECT_THAT(server_->log(), HasSubstr("--tls-key " + path("tls.key")));
  EXPECT_EQ(serials("first"), (std::vector<long>{1, 1, 1}));
  fill("third", 3);
  swap_to("third");
  reload_and_wait();
  EXPECT_EQ(serials("third"), (std::vector<long>{3, 3, 3}));
  server_->process().signal(SIGTERM);
  EXPECT_EQ(server_->process().wait(), 0) << server_->log();
}

}  // namespace
}  // namespace sf::test

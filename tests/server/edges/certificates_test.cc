// New certificates and authorities on every port at once, while answers are under way on all of them.
#include <grpcpp/grpcpp.h>
#include <httplib.h>

#include <future>

#include "engine/base/file.h"
#include "tests/server/edges/edges_fixture.h"
#include "tests/support/tls_folder.h"

namespace sf::server {
namespace {

class CertificatesTest : public testing::Test, protected TlsFolder {
 protected:
  CertificatesTest() {
    copy("friend.crt", "ca.crt");
    options_.tls_cert = path("server.crt");
    options_.tls_key = path("server.key");
    options_.tls_client_ca = path("ca.crt");
    options_.admin_tls = true;
    server_ = std::make_unique<FakeServer>(options_, FakeEngineOptions{});
  }
  std::string text(const std::string& name) const { return read_file(path(name), 1 << 20); }
  std::vector<int> ports() const { return {server_->ports().http, server_->ports().grpc, server_->ports().admin}; }
  Handshake shake_as(const std::string& name, int port) const { return shake_hands(port, as(name)); }
  std::shared_ptr<grpc::Channel> channel_of(const std::string& name) const {
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("server");
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(
        concat("127.0.0.1:", server_->ports().grpc),
        grpc::SslCredentials({text("server.crt"), text(name + ".key"), text(name + ".crt")}), arguments);
  }

  ServerOptions options_;
  std::unique_ptr<FakeServer> server_;
};

// A stream of POST /v1/answer over TLS, read on a thread of its own.
class SecureStream {
 public:
  SecureStream(int port, const std::string& certificate, const std::string& key, const std::string& question)
      : client_("127.0.0.1", port, certificate, key) {
    client_.enable_server_certificate_verification(false);
    body_ = std::async(std::launch::async, [this, question] {
      const std::string json =
          concat("{\"image\":\"SU1H\",\"question\":\"", question, "\",\"max_tokens\":400,\"stream\":true}");
      std::string body;
      client_.Post("/v1/answer", {}, json, "application/json", [&](const char* bytes, size_t size) {
        body.append(bytes, size);
        has_begun_ = true;
        return true;
      });
      return body;
    });
  }
  bool has_begun() const { return has_begun_; }
  std::string read() { return body_.get(); }

 private:
  httplib::SSLClient client_;
  std::atomic<bool> has_begun_{false};
  std::future<std::string> body_;  // last: it waits for the thread when it goes
};

TEST_F(CertificatesTest, StreamsThatSpanAReloadFinishOnEveryApi) {
  FakeEngine& engine = server_->engine();
  engine.hold_steps();
  const std::string question(200, 'x');
  const auto channel = channel_of("friend");
  SecureStream sse(server_->ports().http, path("friend.crt"), path("friend.key"), question);
  auto grpc_stream = begin_call(Api::kGrpcStream, server_->ports(), channel, {.question = question});
  auto infer_stream = begin_call(Api::kInferGrpcStream, server_->ports(), channel, {.question = question});
  ASSERT_TRUE(wait_until([&] {
    engine.allow_steps(1);
    return engine.num_sequences() == 3;
  }));
  engine.allow_steps(8);  // the prompts and some tokens
  ASSERT_TRUE(wait_until([&] { return sse.has_begun(); }));
  grpc_stream->wait_for_text();
  infer_stream->wait_for_text();
  // Everything is new: what the streams' connections show and whom they believe is refused from now on.
  make_certificate(root_, "server", {.serial = 2});
  copy("stranger.crt", "ca.crt");
  server_->app().reload_files();
  for (const int port : ports()) {
    EXPECT_EQ(shake_as("stranger", port).serial, 2);
    EXPECT_TRUE(shake_as("stranger", port).accepted);
    EXPECT_FALSE(shake_as("friend", port).accepted);
    EXPECT_FALSE(shake_hands(port).accepted);
  }
  EXPECT_EQ(engine.num_sequences(), 3) << "all three are still answering";
  engine.release_steps();
  const std::string events = sse.read();
  EXPECT_NE(events.find(concat("\"answer\":\"", question, "\"")), std::string::npos) << events.substr(0, 2000);
  for (ApiCall* call : {grpc_stream.get(), infer_stream.get()}) {
    const Outcome outcome = call->finish();
    EXPECT_EQ(outcome.end, End::kAnswered) << outcome.text;
  }
  EXPECT_EQ(server_->metric("sparsefusion_requests_cancelled_total"), 0);
}

TEST_F(CertificatesTest, AWrongSetOfFilesChangesNothingOnAnyPort) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"server.crt", ""},     {"server.key", ""},     {"ca.crt", ""},  // empty
      {"server.crt", "half"}, {"server.key", "half"}, {"ca.crt", "half"}, {"server.key", text("stranger.key")}};
  for (const auto& [name, bytes] : wrong) {
    SCOPED_TRACE(concat(name, ": ", bytes.substr(0, 20)));
    // The other files are new and right: they are not taken alone.
    for (const char* saved : {"server.crt", "server.key", "ca.crt"}) copy(saved, std::string("kept.") + saved);
    make_certificate(root_, "server", {.serial = 2});
    copy("stranger.crt", "ca.crt");
    write_file(path(name), bytes);
    server_->app().reload_files();
    for (const int port : ports()) {
      EXPECT_EQ(shake_as("friend", port).serial, 1);
      EXPECT_TRUE(shake_as("friend", port).accepted);
      EXPECT_FALSE(shake_as("stranger", port).accepted);
      EXPECT_FALSE(shake_hands(port).accepted);
    }
    for (const char* saved : {"server.crt", "server.key", "ca.crt"}) copy(std::string("kept.") + saved, saved);
  }
}

// Handshakes that meet a reload get the old certificate or the new one, whole.
TEST_F(CertificatesTest, HandshakesThatMeetReloadsAllSucceed) {
  std::atomic<bool> done{false};
  std::vector<std::future<int>> clients;
  for (const int port : ports()) {
    clients.push_back(std::async(std::launch::async, [&, port] {
      int count = 0;
      for (; !done; ++count) {
        if (!shake_as("friend", port).accepted) return -1;
      }
      return count;
    }));
  }
  for (int serial = 2; serial < 30; ++serial) {
    make_certificate(root_, "server", {.serial = serial});
    server_->app().reload_files();
  }
  done = true;
  for (std::future<int>& client : clients) EXPECT_GT(client.get(), 0);
  for (const int port : ports()) EXPECT_EQ(shake_as("friend", port).serial, 29);
}

}  // namespace
}  // namespace sf::server

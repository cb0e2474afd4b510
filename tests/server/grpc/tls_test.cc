#include <openssl/ssl.h>

#include <fstream>
#include <sstream>

#include "tests/server/grpc/grpc_fixture.h"
#include "tests/support/tls_folder.h"

namespace sf::server {
namespace {

class GrpcTlsTest : public GrpcFixture, protected TlsFolder {
 protected:
  std::string pem(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(root_ / name).rdbuf();
    return text.str();
  }
  void start_with(const std::string& client_ca = "") {
    certificate_ = server_certificate(client_ca);
    start({.certificate = certificate_});
  }
  std::shared_ptr<grpc::Channel> secure_channel(const std::string& name) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = pem("server.crt");
    if (!name.empty()) {
      options.pem_cert_chain = pem(name + ".crt");
      options.pem_private_key = pem(name + ".key");
    }
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("server");
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port()), grpc::SslCredentials(options), arguments);
  }
  int port() { return server().port(); }
  static grpc::StatusCode ask_on(const std::shared_ptr<grpc::Channel>& secure) {
    grpc::ClientContext context;
    wire::AnswerResponse response;
    return wire::VisualQuestionAnswering::NewStub(secure)->Answer(&context, question(), &response).error_code();
  }
  // Asks with the client certificate of this name; none where it is empty.
  grpc::StatusCode ask_as(const std::string& name) { return ask_on(secure_channel(name)); }

  std::shared_ptr<ServerCertificate> certificate_;
};

TEST_F(GrpcTlsTest, AnswersOverTlsAndNotInTheClear) {
  start_with();
  EXPECT_EQ(ask_as(""), grpc::OK);
  EXPECT_EQ(ask(question()).error_code(), grpc::UNAVAILABLE);
}

TEST_F(GrpcTlsTest, WithAnAuthorityOnlyItsClientsGetIn) {
  start_with("friend.crt");
  EXPECT_EQ(ask_as("friend"), grpc::OK);
  EXPECT_EQ(ask_as("stranger"), grpc::UNAVAILABLE);
  EXPECT_EQ(ask_as(""), grpc::UNAVAILABLE);
}

TEST_F(GrpcTlsTest, AfterAReloadNewConnectionsSeeTheNewCertificateAndOpenOnesGoOn) {
  start_with();
  const auto kept = secure_channel("");
  EXPECT_EQ(ask_on(kept), grpc::OK);
  EXPECT_EQ(shake_hands(port()).serial, 1);
  make_certificate(root_, "server", {.serial = 2});
  EXPECT_EQ(shake_hands(port()).serial, 1) << "not before it is asked to";
  certificate_->reload();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const Handshake after = shake_hands(port(), {.tls_version = version});
    EXPECT_TRUE(after.accepted);
    EXPECT_EQ(after.serial, 2);
  }
  EXPECT_EQ(ask_as(""), grpc::OK);
  EXPECT_EQ(ask_on(kept), grpc::OK);
  EXPECT_EQ(kept->GetState(false), GRPC_CHANNEL_READY) << "its client knows the old certificate only";
}

TEST_F(GrpcTlsTest, WrongFilesChangeNothing) {
  copy("friend.crt", "ca.crt");
  start_with("ca.crt");
  expect_that_wrong_files_change_nothing(*certificate_, port());
}

TEST_F(GrpcTlsTest, ANewAuthorityRefusesTheClientsOfTheOldOneAndResumesNoSession) {
  copy("friend.crt", "ca.crt");
  start_with("ca.crt");
  const auto kept = secure_channel("friend");
  EXPECT_EQ(ask_on(kept), grpc::OK);
  std::map<int, HandshakeOptions> known;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    known[version] = as("friend");
    known[version].tls_version = version;
    known[version].session = shake_hands(port(), known[version]).session;
    EXPECT_NE(known[version].session, nullptr);
  }
  copy("stranger.crt", "ca.crt");
  certificate_->reload();
  for (const auto& [version, options] : known) {
    SCOPED_TRACE(version);
    const Handshake again = shake_hands(port(), options);
    EXPECT_FALSE(again.resumed);
    EXPECT_FALSE(again.accepted);
  }
  EXPECT_EQ(ask_as("friend"), grpc::UNAVAILABLE);
  EXPECT_EQ(ask_as(""), grpc::UNAVAILABLE);
  EXPECT_EQ(ask_as("stranger"), grpc::OK);
  EXPECT_EQ(ask_on(kept), grpc::OK) << "an open connection goes on";
}

TEST_F(GrpcTlsTest, ShowsTheWholeChain) {
  make_certificate(root_, "leaf", {.serial = 7, .issuer = "server"});
  std::ofstream(root_ / "chain.crt") << pem("leaf.crt") << pem("server.crt");
  copy("chain.crt", "server.crt");
  copy("leaf.key", "server.key");
  start_with();
  const Handshake shaken = shake_hands(port());
  EXPECT_EQ(shaken.serial, 7);
  EXPECT_EQ(shaken.chain_length, 2);
}

}  // namespace
}  // namespace sf::server

#include <fstream>
#include <sstream>

#include "tests/server/grpc/grpc_fixture.h"
#include "tests/support/certificates.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

class GrpcTlsTest : public GrpcFixture {
 protected:
  GrpcTlsTest() {
    std::string pattern = (fs::temp_directory_path() / "sf_grpc_tls_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    for (const char* name : {"server", "friend", "stranger"}) make_certificate(root_, name);
  }
  ~GrpcTlsTest() override { fs::remove_all(root_); }
  std::string path(const std::string& name) const { return (root_ / name).string(); }
  std::string pem(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(root_ / name).rdbuf();
    return text.str();
  }
  // Asks with the client certificate of this name; none where it is empty.
  grpc::StatusCode ask_as(const std::string& name) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = pem("server.crt");
    if (!name.empty()) {
      options.pem_cert_chain = pem(name + ".crt");
      options.pem_private_key = pem(name + ".key");
    }
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("server");
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto secure = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server().port()),
                                                  grpc::SslCredentials(options), arguments);
    grpc::ClientContext context;
    wire::AnswerResponse response;
    return wire::VisualQuestionAnswering::NewStub(secure)->Answer(&context, question(), &response).error_code();
  }

  fs::path root_;
};

TEST_F(GrpcTlsTest, AnswersOverTlsAndNotInTheClear) {
  start({.tls = {path("server.crt"), path("server.key"), ""}});
  EXPECT_EQ(ask_as(""), grpc::OK);
  EXPECT_EQ(ask(question()).error_code(), grpc::UNAVAILABLE);
}

TEST_F(GrpcTlsTest, WithAnAuthorityOnlyItsClientsGetIn) {
  start({.tls = {path("server.crt"), path("server.key"), path("friend.crt")}});
  EXPECT_EQ(ask_as("friend"), grpc::OK);
  EXPECT_EQ(ask_as("stranger"), grpc::UNAVAILABLE);
  EXPECT_EQ(ask_as(""), grpc::UNAVAILABLE);
}

}  // namespace
}  // namespace sf::server

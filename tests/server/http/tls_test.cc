#include <filesystem>

#include "tests/server/http/http_fixture.h"
#include "tests/support/certificates.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

class TlsTest : public HttpFixture {
 protected:
  TlsTest() {
    std::string pattern = (fs::temp_directory_path() / "sf_tls_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    make_certificate(root_, "server");
    make_certificate(root_, "friend");
    make_certificate(root_, "stranger");
  }
  ~TlsTest() override { fs::remove_all(root_); }
  std::string path(const std::string& name) const { return (root_ / name).string(); }
  TlsFiles files() const { return {path("server.crt"), path("server.key"), ""}; }
  int status(httplib::SSLClient& secure) {
    secure.enable_server_certificate_verification(false);  // its name is no host's
    const httplib::Result result = secure.Get("/v1/models");
    return result ? result->status : 0;
  }

  fs::path root_;
};

TEST_F(TlsTest, AnswersOverTlsAndNotInTheClear) {
  start({.tls = files()});
  httplib::SSLClient secure("127.0.0.1", port());
  EXPECT_EQ(status(secure), 200);
  const httplib::Result plain = client->Get("/v1/models");
  EXPECT_FALSE(plain);
}

TEST_F(TlsTest, WithAnAuthorityOnlyItsClientsGetIn) {
  TlsFiles tls = files();
  tls.client_ca = path("friend.crt");
  start({.tls = tls});
  httplib::SSLClient known("127.0.0.1", port(), path("friend.crt"), path("friend.key"));
  EXPECT_EQ(status(known), 200);
  httplib::SSLClient stranger("127.0.0.1", port(), path("stranger.crt"), path("stranger.key"));
  EXPECT_EQ(status(stranger), 0);
  httplib::SSLClient nobody("127.0.0.1", port());
  EXPECT_EQ(status(nobody), 0);
}

TEST_F(TlsTest, FilesThatAreNoPairAreRefused) {
  EXPECT_NO_THROW(check_tls({}));
  EXPECT_NO_THROW(check_tls(files()));
  EXPECT_THROW(check_tls({path("server.crt"), path("friend.key"), ""}), Error);
  EXPECT_THROW(check_tls({path("nowhere"), path("server.key"), ""}), Error);
  EXPECT_THROW(check_tls({path("server.crt"), path("server.key"), path("nowhere")}), Error);
}

}  // namespace
}  // namespace sf::server

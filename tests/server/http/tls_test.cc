#include <openssl/ssl.h>

#include <fstream>

#include "server/http/admin_server.h"
#include "tests/server/http/http_fixture.h"
#include "tests/support/tls_folder.h"

namespace sf::server {
namespace {

class TlsTest : public HttpFixture, protected TlsFolder {
 protected:
  void start_with(const std::string& client_ca = "") {
    certificate_ = server_certificate(client_ca);
    start({.certificate = certificate_});
  }
  int status(httplib::SSLClient& secure) {
    secure.enable_server_certificate_verification(false);  // its name is no host's
    const httplib::Result result = secure.Get("/v1/models");
    return result ? result->status : 0;
  }
  std::shared_ptr<ServerCertificate> certificate_;
};

TEST_F(TlsTest, AnswersOverTlsAndNotInTheClear) {
  start_with();
  httplib::SSLClient secure("127.0.0.1", port());
  EXPECT_EQ(status(secure), 200);
  const httplib::Result plain = client->Get("/v1/models");
  EXPECT_FALSE(plain);
}

TEST_F(TlsTest, WithAnAuthorityOnlyItsClientsGetIn) {
  start_with("friend.crt");
  httplib::SSLClient known("127.0.0.1", port(), path("friend.crt"), path("friend.key"));
  EXPECT_EQ(status(known), 200);
  httplib::SSLClient stranger("127.0.0.1", port(), path("stranger.crt"), path("stranger.key"));
  EXPECT_EQ(status(stranger), 0);
  httplib::SSLClient nobody("127.0.0.1", port());
  EXPECT_EQ(status(nobody), 0);
}

TEST_F(TlsTest, SpeaksNothingOlderThanTls12) {
  start_with();
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    EXPECT_FALSE(shake_hands(port(), {.tls_version = version}).accepted);
  }
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    EXPECT_TRUE(shake_hands(port(), {.tls_version = version}).accepted);
  }
}

TEST_F(TlsTest, ShowsTheWholeChain) {
  make_certificate(root_, "leaf", {.serial = 7, .issuer = "server"});
  std::ofstream(root_ / "chain.crt") << std::ifstream(root_ / "leaf.crt").rdbuf()
                                     << std::ifstream(root_ / "server.crt").rdbuf();
  copy("chain.crt", "server.crt");
  copy("leaf.key", "server.key");
  start_with();
  const Handshake shaken = shake_hands(port());
  EXPECT_EQ(shaken.serial, 7);
  EXPECT_EQ(shaken.chain_length, 2);
}

TEST_F(TlsTest, AfterAReloadNewConnectionsSeeTheNewCertificateAndOpenOnesGoOn) {
  start_with();
  httplib::SSLClient kept("127.0.0.1", port());
  kept.set_keep_alive(true);
  EXPECT_EQ(status(kept), 200);
  const Handshake before = shake_hands(port());
  EXPECT_EQ(before.serial, 1);
  make_certificate(root_, "server", {.serial = 2});
  EXPECT_EQ(shake_hands(port()).serial, 1) << "not before it is asked to";
  certificate_->reload();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const Handshake after = shake_hands(port(), {.tls_version = version});
    EXPECT_TRUE(after.accepted);
    EXPECT_EQ(after.serial, 2);
  }
  EXPECT_EQ(status(kept), 200);
  certificate_->reload();  // nothing is new in the files
  EXPECT_EQ(shake_hands(port()).serial, 2);
}

TEST_F(TlsTest, WrongFilesChangeNothing) {
  copy("friend.crt", "ca.crt");
  start_with("ca.crt");
  expect_that_wrong_files_change_nothing(*certificate_, port());
}

TEST_F(TlsTest, ANewAuthorityRefusesTheClientsOfTheOldOne) {
  copy("friend.crt", "ca.crt");
  start_with("ca.crt");
  EXPECT_TRUE(shake_hands(port(), as("friend")).accepted);
  httplib::SSLClient kept("127.0.0.1", port(), path("friend.crt"), path("friend.key"));
  kept.set_keep_alive(true);
  EXPECT_EQ(status(kept), 200);
  copy("stranger.crt", "ca.crt");
  certificate_->reload();
  EXPECT_FALSE(shake_hands(port(), as("friend")).accepted);
  EXPECT_TRUE(shake_hands(port(), as("stranger")).accepted);
  EXPECT_FALSE(shake_hands(port()).accepted);
  EXPECT_EQ(status(kept), 200) << "an open connection goes on";
}

TEST_F(TlsTest, NoSessionIsResumedOverAReload) {
  copy("friend.crt", "ca.crt");
  start_with("ca.crt");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SCOPED_TRACE(version);
    copy("friend.crt", "ca.crt");
    certificate_->reload();
    HandshakeOptions known = as("friend");
    known.tls_version = version;
    known.session = shake_hands(port(), known).session;
    ASSERT_NE(known.session, nullptr);
    EXPECT_TRUE(shake_hands(port(), known).resumed) << "without a reload it is";
    copy("stranger.crt", "ca.crt");
    certificate_->reload();
    const Handshake again = shake_hands(port(), known);
    EXPECT_FALSE(again.resumed);
    EXPECT_FALSE(again.accepted) << "its certificate was not looked at again";
  }
}

TEST_F(TlsTest, TheManagementPortHasItTooWhereAsked) {
  certificate_ = server_certificate("friend.crt");
  AdminServer admin({.port = 0, .certificate = certificate_}, service);
  admin.start();
  httplib::SSLClient known("127.0.0.1", admin.port(), path("friend.crt"), path("friend.key"));
  known.enable_server_certificate_verification(false);
  const httplib::Result metrics = known.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->status, 200);
  EXPECT_FALSE(shake_hands(admin.port(), as("stranger")).accepted);
  EXPECT_FALSE(shake_hands(admin.port()).accepted);
  EXPECT_FALSE(httplib::Client("127.0.0.1", admin.port()).Get("/metrics"));
  make_certificate(root_, "server", {.serial = 2});
  certificate_->reload();
  EXPECT_EQ(shake_hands(admin.port(), as("friend")).serial, 2);
}

}  // namespace
}  // namespace sf::server

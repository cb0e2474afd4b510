#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <filesystem>

#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

// A key and a certificate that it signs itself, as PEM files NAME.key and NAME.crt.
void make_certificate(const fs::path& directory, const std::string& name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(certificate, subject);
  X509_sign(certificate, key, EVP_sha256());
  std::FILE* file = std::fopen((directory / (name + ".key")).c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  file = std::fopen((directory / (name + ".crt")).c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

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

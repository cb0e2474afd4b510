#include "server/auth/server_certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/auth/api_keys.h"
#include "tests/support/certificates.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ServerCertificateTest : public ::testing::Test {
 protected:
  ServerCertificateTest() {
    std::string pattern = (fs::temp_directory_path() / "sf_certificate_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    make_certificate(root_, "server", {.serial = 10});
    make_certificate(root_, "clients", {.serial = 20});
    make_certificate(root_, "other", {.serial = 30});
  }
  ~ServerCertificateTest() override { fs::remove_all(root_); }
  std::string path(const std::string& name) const { return (root_ / name).string(); }
  std::string text(const std::string& name) const { return read_file(root_ / name, 1 << 20); }
  void write(const std::string& name, const std::string& bytes) const { write_file(root_ / name, bytes); }
  TlsFiles files() const { return {path("server.crt"), path("server.key"), path("clients.crt")}; }
  // What is said of these files; empty where they are taken.
  static std::string complaint(const TlsFiles& files) {
    try {
      read_certificate_set(files);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      return error.what();
    }
    return "";
  }
  // A key behind a passphrase.
  static std::string encrypted_key() {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    BIO* memory = BIO_new(BIO_s_mem());
    const unsigned char secret[] = "secret";
    PEM_write_bio_PrivateKey(memory, key, EVP_aes_128_cbc(), secret, 6, nullptr, nullptr);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(memory, &bytes);
    std::string written(bytes, static_cast<size_t>(size));
    BIO_free(memory);
    EVP_PKEY_free(key);
    return written;
  }

  fs::path root_;
};

TEST_F(ServerCertificateTest, ReadsAChainItsKeyAndAnAuthority) {
  make_certificate(root_, "leaf", {.serial = 0x1f, .issuer = "server"});
  write("chain.pem", text("leaf.crt") + text("server.crt"));
  const CertificateSet set = read_certificate_set({path("chain.pem"), path("leaf.key"), path("clients.crt")});
  EXPECT_EQ(set.serial, "1F");
  EXPECT_EQ(set.not_after.size(), std::string("2026-01-01T00:00:00Z").size());
  EXPECT_EQ(set.chain_pem, text("chain.pem"));
  EXPECT_EQ(set.key_pem, text("leaf.key"));
  EXPECT_EQ(set.client_ca_pem, text("clients.crt"));
  ASSERT_NE(set.context, nullptr);
  STACK_OF(X509)* rest = nullptr;
  SSL_CTX_get0_chain_certs(set.context.get(), &rest);
  EXPECT_EQ(sk_X509_num(rest), 1);
  EXPECT_EQ(sk_X509_NAME_num(SSL_CTX_get_client_CA_list(set.context.get())), 1);
}

TEST_F(ServerCertificateTest, WithoutAnAuthorityClientsNeedNone) {
  const ServerCertificate certificate({path("server.crt"), path("server.key"), ""});
  EXPECT_FALSE(certificate.asks_clients());
  EXPECT_EQ(certificate.current()->client_ca_pem, "");
}

TEST_F(ServerCertificateTest, WhatElseLiesInTheFilesDoesNotMatter) {
  write("all.pem", "Subject: me\n" + text("server.key") + "\n# the chain\n" + text("server.crt") + text("other.crt"));
  EXPECT_EQ(complaint({path("all.pem"), path("all.pem"), path("all.pem")}), "");
  std::string windows = text("server.crt");
  for (size_t at = 0; (at = windows.find('\n', at)) != std::string::npos; at += 2) windows.insert(at, "\r");
  write("windows.pem", windows);
  EXPECT_EQ(complaint({path("windows.pem"), path("server.key"), ""}), "");
}

TEST_F(ServerCertificateTest, NamesTheFileAtFault) {
  fs::create_directory(root_ / "bad_folder");
  fs::create_symlink("nowhere", root_ / "bad_link");
  fs::create_symlink("bad_loop", root_ / "bad_loop");
  ASSERT_EQ(mkfifo(path("bad_pipe").c_str(), 0600), 0);
  write("bad_empty", "");
  write("bad_garbage", std::string("\x7f\x45LF\0\0\xff\xfe", 8));
  write("bad_zeros", std::string(4096, '\0'));
  write("bad_size", std::string((1 << 20) + 1, '\n'));
  write("bad_block",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n");
  write("bad_request", "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n");
  for (const char* name : {"nowhere", "bad_folder", "bad_link", "bad_loop", "bad_pipe", "bad_empty", "bad_garbage",
                           "bad_zeros", "bad_size", "bad_block", "bad_request"}) {
    const std::string bad = path(name);
    EXPECT_THAT(complaint({bad, path("server.key"), ""}), HasSubstr("--tls-cert " + bad));
    EXPECT_THAT(complaint({path("server.crt"), bad, ""}), HasSubstr("--tls-key " + bad));
    EXPECT_THAT(complaint({path("server.crt"), path("server.key"), bad}), HasSubstr("--tls-client-ca " + bad));
  }
  write("encrypted.key", encrypted_key());
  EXPECT_THAT(complaint({path("server.crt"), path("encrypted.key"), ""}), HasSubstr("encrypted.key: holds no PEM"));
  EXPECT_THAT(complaint({path("server.crt"), path("other.key"), ""}), HasSubstr("other.key: is not the key of"));
  EXPECT_THAT(complaint({path("server.key"), path("server.key"), ""}),
              HasSubstr("server.key: holds no PEM certificate"));
  EXPECT_THAT(complaint({path("server.crt"), path("server.crt"), ""}),
              HasSubstr("server.crt: holds no PEM private key"));
}

// A copy that stopped anywhere: never a shorter chain or fewer authorities, never a crash.
TEST_F(ServerCertificateTest, RefusesAFileThatWasCutOffAnywhere) {
  const std::string chain = text("server.crt") + text("other.crt"), key = text("server.key");
  const size_t boundary = text("server.crt").size();
  for (size_t size = 0; size < chain.size() - 1; ++size) {
    const bool near_an_edge = size < 30 || size + 30 > chain.size() || (size + 30 > boundary && size < boundary + 30);
    if (!near_an_edge && size % 9 != 0) continue;
    write("cut.pem", chain.substr(0, size));
    const bool is_whole = size == boundary || size == boundary - 1;  // one certificate, with its last line end or not
    // Up to five dashes of the next block are no more than an odd comment.
    const bool is_nothing_yet = size > boundary && size <= boundary + 4;
    const std::string as_chain = complaint({path("cut.pem"), path("server.key"), ""});
    const std::string as_authority = complaint({path("server.crt"), path("server.key"), path("cut.pem")});
    EXPECT_EQ(as_chain.empty(), is_whole || is_nothing_yet) << size << ": " << as_chain;
    EXPECT_EQ(as_authority.empty(), is_whole || is_nothing_yet) << size << ": " << as_authority;
  }
  for (size_t size = 0; size < key.size() - 1; ++size) {
    write("cut.key", key.substr(0, size));
    EXPECT_THAT(complaint({path("server.crt"), path("cut.key"), ""}), HasSubstr("cut.key")) << size;
  }
}

TEST_F(ServerCertificateTest, FlippedBytesAreRefusedOrHarmless) {
  const std::string certificate = text("server.crt"), key = text("server.key");
  for (size_t at = 0; at < certificate.size(); at += 7) {
    std::string flipped = certificate;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x04);
    write("flipped.crt", flipped);
    complaint({path("flipped.crt"), path("server.key"), path("flipped.crt")});
  }
  for (size_t at = 0; at < key.size(); at += 3) {
    std::string flipped = key;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x04);
    write("flipped.key", flipped);
    complaint({path("server.crt"), path("flipped.key"), ""});
  }
}

TEST_F(ServerCertificateTest, AReloadIsTheWholeSetOrNothing) {
  ServerCertificate certificate(files());
  const CertificateSetPtr first = certificate.current();
  EXPECT_EQ(first->serial, "0A");
  make_certificate(root_, "server", {.serial = 11});
  EXPECT_EQ(certificate.current(), first) << "not before it is asked to";
  write("clients.crt", "half");
  EXPECT_THROW(certificate.reload(), Error);
  EXPECT_EQ(certificate.current(), first) << "a good certificate with a bad authority";
  fs::copy_file(root_ / "other.crt", root_ / "clients.crt", fs::copy_options::overwrite_existing);
  EXPECT_EQ(certificate.reload()->serial, "0B");
  EXPECT_EQ(certificate.current()->serial, "0B");
  EXPECT_EQ(certificate.current()->client_ca_pem, text("other.crt"));
  EXPECT_NE(certificate.current()->generation, first->generation);
  EXPECT_EQ(first->serial, "0A") << "who holds a set keeps it";
  fs::remove(root_ / "server.key");
  EXPECT_THROW(certificate.reload(), Error);
  EXPECT_EQ(certificate.current()->serial, "0B");
}

// As Kubernetes mounts a Secret: links to ..data/NAME, and ..data is a link that is renamed over.
TEST_F(ServerCertificateTest, FollowsLinksAsKubernetesSwapsThem) {
  const auto fill = [&](const std::string& folder, long serial) {
    fs::create_directory(root_ / folder);
    make_certificate(root_ / folder, "tls", {.serial = serial});
    write(folder + "/keys", "alice " + hash_api_key("key " + std::to_string(serial)) + " infer\n");
  };
  fill("..first", 1);
  fs::create_symlink("..first", root_ / "..data");
  for (const char* name : {"tls.crt", "tls.key", "keys"})
    fs::create_symlink("..data/" + std::string(name), root_ / name);
  ServerCertificate certificate({path("tls.crt"), path("tls.key"), path("tls.crt")});
  EXPECT_EQ(certificate.current()->serial, "01");
  const std::string old_key = read_api_keys(path("keys")).at(0).sha256;
  fill("..second", 2);
  fs::create_symlink("..second", root_ / "..data_tmp");
  fs::rename(root_ / "..data_tmp", root_ / "..data");
  fs::remove_all(root_ / "..first");
  EXPECT_EQ(certificate.reload()->serial, "02");
  EXPECT_NE(read_api_keys(path("keys")).at(0).sha256, old_key);
}

TEST_F(ServerCertificateTest, HandshakesAndReloadsMayMeet) {
  ServerCertificate certificate(files());
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      const CertificateSetPtr set = certificate.current();
      ASSERT_EQ(SSL_CTX_check_private_key(set->context.get()), 1);
    }
  });
  for (int i = 0; i < 20; ++i) {
    make_certificate(root_, "server", {.serial = 100 + i});
    certificate.reload();
  }
  done = true;
  reader.join();
  EXPECT_EQ(certificate.current()->generation, 20u);
}

}  // namespace
}  // namespace sf::server

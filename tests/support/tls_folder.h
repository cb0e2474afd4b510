// A folder of throw-away certificates for the tests of a frontend: the server's and those of two clients, as NAME.crt
// and NAME.key. For a fixture to derive from.
//
//   TlsFolder folder;
//   auto certificate = folder.server_certificate("friend.crt");
//   EXPECT_TRUE(shake_hands(port, folder.as("friend")).accepted);
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "engine/base/error.h"
#include "server/auth/server_certificate.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_client.h"

namespace sf::server {

class TlsFolder {
 public:
  TlsFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sf_tls_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    for (const char* name : {"server", "friend", "stranger"}) make_certificate(root_, name);
  }
  ~TlsFolder() { std::filesystem::remove_all(root_); }
  TlsFolder(const TlsFolder&) = delete;
  TlsFolder& operator=(const TlsFolder&) = delete;

  std::string path(const std::string& name) const { return (root_ / name).string(); }
  void copy(const std::string& from, const std::string& to) const {
    std::filesystem::copy_file(root_ / from, root_ / to, std::filesystem::copy_options::overwrite_existing);
  }
  // A client that shows this certificate.
  HandshakeOptions as(const std::string& name) const {
    return {.certificate = path(name + ".crt"), .key = path(name + ".key")};
  }
  // Of server.crt; with `client_ca` for those clients only that it has signed.
  std::shared_ptr<ServerCertificate> server_certificate(const std::string& client_ca = "") const {
    return std::make_shared<ServerCertificate>(
        TlsFiles{path("server.crt"), path("server.key"), client_ca.empty() ? "" : path(client_ca)});
  }
  // REQUIRES: `port` serves `certificate`, whose client authority is ca.crt, a copy of friend.crt.
  void expect_that_wrong_files_change_nothing(ServerCertificate& certificate, int port) const {
    for (const char* name : {"server.crt", "server.key", "ca.crt"}) {
      SCOPED_TRACE(name);
      copy(name, "kept");
      const auto expect_nothing_new = [&] {
        EXPECT_THROW(certificate.reload(), Error);
        EXPECT_EQ(shake_hands(port, as("friend")).serial, 1);
        EXPECT_TRUE(shake_hands(port, as("friend")).accepted);
        EXPECT_FALSE(shake_hands(port, as("stranger")).accepted);
      };
      std::filesystem::remove(root_ / name);
      expect_nothing_new();
      copy("stranger.key", name);  // of another certificate, or none at all
      expect_nothing_new();
      std::ofstream(root_ / name) << "-----BEGIN CERTIFICATE-----\nhalf";
      expect_nothing_new();
      copy("kept", name);
    }
  }

 protected:
  std::filesystem::path root_;
};

}  // namespace sf::server

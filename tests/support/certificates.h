// Throw-away certificates for tests of TLS. Link with OpenSSL.
//
//   make_certificate(folder, "server", {.hosts = "IP:127.0.0.1", .serial = 1});
//   make_certificate(folder, "server", {.serial = 2});    // another key and certificate in the same files
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace sf::server {

struct CertificateOptions {
  std::string hosts = {};  // whom else it is for, as OpenSSL writes it ("IP:127.0.0.1")
  long serial = 1;
  std::string issuer = {};  // the name of the one that signs it, made before; empty: itself
};

namespace certificates_internal {

inline void add_extension(X509* certificate, int kind, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

inline void set_name(X509_NAME* to, const std::string& name) {
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_ASC, text, -1, -1, 0);
}

inline EVP_PKEY* read_key(const std::filesystem::path& path) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  EVP_PKEY* key = PEM_read_PrivateKey(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  return key;
}

}  // namespace certificates_internal

// A new key and its certificate, as PEM files NAME.key and NAME.crt. Each may sign others.
inline void make_certificate(const std::filesystem::path& directory, const std::string& name,
                             const CertificateOptions& options = {}) {
  using namespace certificates_internal;
  EVP_PKEY* key = EVP_EC_gen("P-256");
  EVP_PKEY* signer = options.issuer.empty() ? nullptr : read_key(directory / (options.issuer + ".key"));
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), options.serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  set_name(X509_get_subject_name(certificate), name);
  set_name(X509_get_issuer_name(certificate), signer == nullptr ? name : options.issuer);
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  if (!options.hosts.empty()) add_extension(certificate, NID_subject_alt_name, options.hosts);
  X509_sign(certificate, signer == nullptr ? key : signer, EVP_sha256());
  std::FILE* file = std::fopen((directory / (name + ".key")).c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  file = std::fopen((directory / (name + ".crt")).c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(signer);
  EVP_PKEY_free(key);
}

}  // namespace sf::server

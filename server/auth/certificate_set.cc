#include "server/auth/certificate_set.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/machine_fault.h"
#include "server/auth/mounted_file.h"

namespace sf::server {
namespace {

constexpr int64_t kMaxPemBytes = 1 << 20;

struct Release {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(char* text) const { OPENSSL_free(text); }
  void operator()(STACK_OF(X509_INFO) * blocks) const { sk_X509_INFO_pop_free(blocks, X509_INFO_free); }
};
template <typename T>
using Owned = std::unique_ptr<T, Release>;
using Certificates = std::vector<Owned<X509>>;

// One of the files, and how it was named.
struct PemFile {
  const char* flag;
  std::string path;
  std::string text = {};
};

[[noreturn]] void refuse(const PemFile& file, const std::string& what) {
  ERR_clear_error();  // the next call on this thread must not find our reasons
  throw Error(Code::kInvalidArgument, concat("--", file.flag, " ", file.path, ": ", what), file.flag);
}

// `what`, and OpenSSL's reason where it has one.
[[noreturn]] void refuse_with_reason(const PemFile& file, const std::string& what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  refuse(file, reason == nullptr ? what : concat(what, ": ", reason));
}

PemFile read_pem_file(const char* flag, const std::string& path) {
  PemFile file{flag, path};
  try {
    file.text = read_mounted_file(path, kMaxPemBytes);
  } catch (const Error& error) {
    if (is_machine_fault(error)) throw_prefixed(concat("--", flag, " ", path, ": "), error);
    refuse(file, error.what());
  }
  return file;
}

// OpenSSL passes over what does not begin like a block, hence over a block whose first or last line was cut off.
bool has_whole_blocks(std::string_view text) {
  int open = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (!line.starts_with("-----")) continue;
    if (line.starts_with("-----BEGIN ")) ++open;
    if (line.starts_with("-----END ")) --open;
    if (!line.ends_with("-----") || line.size() == 5 || open < 0 || open > 1) return false;
  }
  return open == 0;
}

Owned<BIO> memory_of(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// OpenSSL would otherwise ask on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Certificates certificates_of(const PemFile& file) {
  if (!has_whole_blocks(file.text)) refuse(file, "is cut off in the middle of a PEM block");
  ERR_clear_error();
  const Owned<BIO> memory = memory_of(file.text);
  const Owned<STACK_OF(X509_INFO)> blocks(PEM_X509_INFO_read_bio(memory.get(), nullptr, no_passphrase, nullptr));
  if (!blocks) refuse_with_reason(file, "is no PEM file, or a damaged one");
  Certificates certificates;
  for (int i = 0; i < sk_X509_INFO_num(blocks.get()); ++i) {
    X509_INFO* block = sk_X509_INFO_value(blocks.get(), i);
    if (block->x509 == nullptr) continue;  // a key may lie in the same file
    X509_up_ref(block->x509);
    certificates.emplace_back(block->x509);
  }
  if (certificates.empty()) refuse(file, "holds no PEM certificate");
  return certificates;
}

Owned<EVP_PKEY> key_of(const PemFile& file) {
  if (!has_whole_blocks(file.text)) refuse(file, "is cut off in the middle of a PEM block");
  ERR_clear_error();
  const Owned<BIO> memory = memory_of(file.text);
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(memory.get(), nullptr, no_passphrase, nullptr));
  if (!key) refuse(file, "holds no PEM private key, or one that needs a passphrase");
  return key;
}

std::string contents_of(BIO* memory) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory, &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

std::string to_pem(const Certificates& certificates) {
  const Owned<BIO> memory(BIO_new(BIO_s_mem()));
  for (const Owned<X509>& certificate : certificates) PEM_write_bio_X509(memory.get(), certificate.get());
  return contents_of(memory.get());
}

std::string to_pem(const PemFile& file, EVP_PKEY* key) {
  const Owned<BIO> memory(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    refuse_with_reason(file, "cannot be used");
  }
  return contents_of(memory.get());
}

std::string serial_of(const X509* certificate) {
  const Owned<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  const Owned<char> hex(number ? BN_bn2hex(number.get()) : nullptr);
  return hex ? hex.get() : "";
}

std::string not_after_of(const X509* certificate) {
  std::tm utc{};
  char text[32] = "";
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) == 1) {
    std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  }
  return text;
}

std::shared_ptr<SSL_CTX> make_context(const PemFile& chain_file, const Certificates& chain, EVP_PKEY* key) {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context || SSL_CTX_use_certificate(context.get(), chain.front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key) != 1) {
    refuse_with_reason(chain_file, "cannot be used");
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) != 1) refuse_with_reason(chain_file, "cannot be used");
  }
  return context;
}

// Whom the context believes, and whom it names to clients.
void add_client_authorities(SSL_CTX* context, const PemFile& file, const Certificates& authorities) {
  for (const Owned<X509>& authority : authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.get()) != 1) {
      refuse_with_reason(file, "cannot be used");
    }
  }
}

}  // namespace

CertificateSet read_certificate_set(const TlsFiles& files) {
  const PemFile chain_file = read_pem_file("tls-cert", files.certificate);
  const Certificates chain = certificates_of(chain_file);
  const PemFile key_file = read_pem_file("tls-key", files.key);
  const Owned<EVP_PKEY> key = key_of(key_file);
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    refuse(key_file, "is not the key of the first certificate in " + files.certificate);
  }
  CertificateSet set;
  set.context = make_context(chain_file, chain, key.get());
  set.chain_pem = to_pem(chain);
  set.key_pem = to_pem(key_file, key.get());
  set.serial = serial_of(chain.front().get());
  set.not_after = not_after_of(chain.front().get());
  if (!files.client_ca.empty()) {
    const PemFile file = read_pem_file("tls-client-ca", files.client_ca);
    const Certificates authorities = certificates_of(file);
    add_client_authorities(set.context.get(), file, authorities);
    set.client_ca_pem = to_pem(authorities);
  }
  ERR_clear_error();
  return set;
}

}  // namespace sf::server

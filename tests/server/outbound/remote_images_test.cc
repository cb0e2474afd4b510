#include "server/outbound/remote_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <filesystem>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/mutex.h"
#include "tests/support/certificates.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr size_t kMaxBytes = 1000;

// A host of images over TLS on a loopback port, whose certificate is for the name "images".
class RemoteImagesTest : public ::testing::Test {
 protected:
  RemoteImagesTest() {
    std::string pattern = (fs::temp_directory_path() / "sf_remote_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    make_certificate(root_, "pictures");
    host_ = std::make_unique<httplib::SSLServer>((root_ / "pictures.crt").c_str(), (root_ / "pictures.key").c_str());
    host_->Get("/a.png", [this](const httplib::Request& request, httplib::Response& response) {
      ++asked_;
      host_header_ = request.get_header_value("Host");
      response.set_content("the picture", "text/html");
    });
    host_->Get("/moved", [](const httplib::Request&, httplib::Response& response) { response.set_redirect("/a.png"); });
    host_->Get("/huge", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(std::string(kMaxBytes + 1, 'x'), "image/png");
    });
    host_->Get("/endless", [](const httplib::Request&, httplib::Response& response) {  // without a length
      response.set_chunked_content_provider("image/png",
                                            [](size_t, httplib::DataSink& sink) { return sink.write("xxxxxxxx", 8); });
    });
    host_->Get("/slow", [this](const httplib::Request&, httplib::Response& response) {
      response.set_chunked_content_provider("image/png", [this](size_t, httplib::DataSink& sink) {
        MutexLock lock(mutex_);
        if (released_) return false;
        changed_.wait_for(mutex_, std::chrono::milliseconds(20));
        return sink.write("x", 1);
      });
    });
    host_->Get("/empty", [](const httplib::Request&, httplib::Response& response) { response.status = 200; });
    port_ = host_->bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { host_->listen_after_bind(); });
    host_->wait_until_ready();
  }
  ~RemoteImagesTest() override {
    {
      MutexLock lock(mutex_);
      released_ = true;
      changed_.notify_all();
    }
    host_->stop();
    thread_.join();
    fs::remove_all(root_);
  }

  // As a server would have it, but for the loopback address, the port and the authority.
  RemoteImageOptions options() {
    RemoteImageOptions options;
    options.hosts = {"pictures"};
    options.max_bytes = kMaxBytes;
    options.port = port_;
    options.resolve = [this](const std::string&) {
      ++resolved_;
      return addresses_;
    };
    options.is_allowed_address = [](const std::string& address) { return address == "127.0.0.1"; };
    options.ca_file = root_ / "pictures.crt";
    return options;
  }
  std::string url(const std::string& path) const { return "https://pictures:" + std::to_string(port_) + path; }
  Error refusal(RemoteImageOptions with, const std::string& url) {
    try {
      RemoteImages(std::move(with)).fetch(url, "image");
    } catch (const Error& error) {
      EXPECT_EQ(error.field(), "image");
      return error;
    }
    ADD_FAILURE() << url << " was fetched";
    return Error(Code::kOk, "");
  }
  std::string complaint(const std::string& url) { return refusal(options(), url).what(); }

  fs::path root_;
  std::unique_ptr<httplib::SSLServer> host_;
  std::thread thread_;
  int port_ = 0;
  std::atomic<int> asked_{0};
  std::string host_header_;
  std::vector<std::string> addresses_ = {"127.0.0.1"};
  int resolved_ = 0;
  Mutex mutex_;
  CondVar changed_;
  bool released_ SF_GUARDED_BY(mutex_) = false;
};

TEST_F(RemoteImagesTest, FetchesFromAnAllowedHost) {
  EXPECT_EQ(RemoteImages(options()).fetch(url("/a.png?size=2#part"), "image"), "the picture");
  EXPECT_EQ(resolved_, 1) << "the address that was checked is the one that is called";
  EXPECT_EQ(host_header_, "pictures:" + std::to_string(port_));
}

TEST_F(RemoteImagesTest, NoOtherHostPortOrSchemeIsCalled) {
  EXPECT_THAT(complaint("https://elsewhere/a.png"), HasSubstr("not fetched"));
  EXPECT_THAT(complaint("https://pictures.evil.example/a.png"), HasSubstr("not fetched"));
  EXPECT_THAT(complaint("https://pictures/a.png"), HasSubstr("port must be"));
  EXPECT_THAT(complaint("https://pictures:22/a.png"), HasSubstr("port must be"));
  EXPECT_THAT(complaint("http://pictures/a.png"), HasSubstr("https://"));
  EXPECT_EQ(resolved_, 0);
  EXPECT_EQ(asked_, 0);
}

TEST_F(RemoteImagesTest, ANameWithAnyAddressThatIsNotPublicIsNotCalled) {
  RemoteImageOptions strict = options();
  strict.is_allowed_address = is_public_address;
  for (const std::vector<std::string>& addresses :
       {std::vector<std::string>{"127.0.0.1"}, {"8.8.8.8", "10.0.0.1"}, {"::ffff:127.0.0.1"}, {"fe80::1%eth0"}}) {
    addresses_ = addresses;
    EXPECT_THAT(refusal(strict, url("/a.png")).what(), HasSubstr("not public"));
  }
  addresses_ = {};
  EXPECT_THAT(refusal(strict, url("/a.png")).what(), HasSubstr("no address"));
  EXPECT_EQ(asked_, 0);
}

TEST_F(RemoteImagesTest, RedirectsAndErrorsAreNotFollowed) {
  EXPECT_THAT(complaint(url("/moved")), HasSubstr("answered 302"));
  EXPECT_THAT(complaint(url("/nothing")), HasSubstr("answered 404"));
  EXPECT_THAT(complaint(url("/empty")), HasSubstr("empty"));
  EXPECT_EQ(asked_, 0);
}

TEST_F(RemoteImagesTest, ABodyAboveTheLimitIsCutOff) {
  for (const char* path : {"/huge", "/endless"}) {
    const Error error = refusal(options(), url(path));
    EXPECT_EQ(error.code(), Code::kResourceExhausted) << path;
    EXPECT_EQ(error.reason(), Reason::kTooLarge) << path;
  }
}

TEST_F(RemoteImagesTest, ABodyThatTricklesIsCutOff) {
  RemoteImageOptions hasty = options();
  hasty.timeout_ms = 200;
  EXPECT_THAT(refusal(hasty, url("/slow")).what(), HasSubstr("could not be fetched"));
}

TEST_F(RemoteImagesTest, ACertificateForAnotherNameOrOfNobodyIsRefused) {
  RemoteImageOptions other = options();
  other.hosts = {"other"};
  EXPECT_THAT(refusal(other, "https://other:" + std::to_string(port_) + "/a.png").what(), HasSubstr("could not"));
  RemoteImageOptions untrusting = options();
  untrusting.ca_file = "";
  EXPECT_THAT(refusal(untrusting, url("/a.png")).what(), HasSubstr("could not"));
  EXPECT_EQ(asked_, 0);
}

TEST_F(RemoteImagesTest, OnlySoManyAtOnce) {
  RemoteImageOptions none = options();
  none.max_at_once = 0;
  const Error error = refusal(none, url("/a.png"));
  EXPECT_EQ(error.code(), Code::kResourceExhausted);
  EXPECT_EQ(error.reason(), Reason::kQueueFull);
}

TEST(AddressRulesTest, OnlyPublicAddressesPass) {
  for (const char* address : {"8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.0",
                              "223.255.255.255", "2606:4700::1111", "2a00:1450::1"}) {
    EXPECT_TRUE(is_public_address(address)) << address;
  }
  for (const char* address : {"0.0.0.0",
                              "10.1.2.3",
                              "100.64.0.1",
                              "100.127.255.255",
                              "127.0.0.1",
                              "127.255.0.1",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.1",
                              "192.0.2.1",
                              "192.168.1.1",
                              "198.18.0.1",
                              "198.51.100.1",
                              "203.0.113.1",
                              "224.0.0.1",
                              "239.1.1.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::ffff:8.8.8.8",
                              "::8.8.8.8",
                              "64:ff9b::808:808",
                              "64:ff9b:1::1",
                              "100::1",
                              "2001::1",
                              "2001:db8::1",
                              "2002:808:808::1",
                              "3fff::1",
                              "fc00::1",
                              "fd12::1",
                              "fe80::1",
                              "fec0::1",
                              "ff02::1",
                              "",
                              "localhost",
                              "8.8.8",
                              "0x8.8.8.8",
                              "8.8.8.8 ",
                              "fe80::1%eth0"}) {
    EXPECT_FALSE(is_public_address(address)) << address;
  }
}

TEST(AddressRulesTest, TakesUrlsApart) {
  const HttpsUrl url = parse_https_url("https://Images.Example.com:8443/a%20b.png?x=1#part", "image");
  EXPECT_EQ(url.host, "images.example.com");
  EXPECT_EQ(url.port, 8443);
  EXPECT_EQ(url.target, "/a%20b.png?x=1");
  EXPECT_EQ(parse_https_url("https://example.com", "image").target, "/");
  EXPECT_EQ(parse_https_url("https://example.com?x", "image").target, "/?x");
  EXPECT_EQ(parse_https_url("https://example.com", "image").port, 443);
}

TEST(AddressRulesTest, RefusesUrlsThatHideTheirHost) {
  for (const char* url : {"",
                          "http://example.com/a",
                          "HTTPS://example.com/a",
                          "ftp://example.com",
                          "https:/example.com",
                          "https://",
                          "https:///a",
                          "https://user@example.com/a",
                          "https://example.com:x@evil.example/",
                          "https://example.com@evil/",
                          "https://127.0.0.1/a",
                          "https://2130706433/a",
                          "https://0x7f.1/",
                          "https://[::1]/a",
                          "https://[::1]:443/a",
                          "https://example.com./a",
                          "https://exa%6dple.com/a",
                          "https://ex\xc3\xa4mple.com/a",
                          "https://exam ple.com/",
                          "https://example.com\\@evil.example/",
                          "https://example.com:0/",
                          "https://example.com:65536/",
                          "https://example.com:/",
                          "https://example.com:44a/",
                          "https://-a.example/",
                          "https://a..b/",
                          "https://.a/",
                          "https://example.com/a\r\nHost: evil",
                          "https://ex_ample.com/"}) {
    EXPECT_THROW(parse_https_url(url, "image"), Error) << url;
  }
  EXPECT_THROW(parse_https_url("https://example.com/" + std::string(5000, 'a'), "image"), Error);
}

TEST(AddressRulesTest, AnAllowedHostIsAName) {
  EXPECT_NO_THROW(check_image_hosts({"example.com", "a-b.example", "pictures"}));
  for (const char* host :
       {"", "Example.com", "example.com.", "127.0.0.1", "*", "*.example.com", "a:443", "https://a"}) {
    EXPECT_THROW(check_image_hosts({host}), Error) << host;
  }
}

}  // namespace
}  // namespace sf::server

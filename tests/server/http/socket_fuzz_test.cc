// Clients at random, with fixed seeds: requests of every kind in one connection, cut anywhere, read slowly, half
// closed, hung up on. Each connection gets the answers to its requests in order, up to the first that closes it, whole,
// and then the end; and nothing is left behind. SF_LONG_TESTS: ten minutes of it (SF_FUZZ_SECONDS: as long as that
// says).
#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "tests/server/http/http_fixture.h"
#include "tests/support/fuzz_seconds.h"
#include "tests/support/http_responses.h"
#include "tests/support/process.h"

namespace sf::server {
namespace {

using Clock = std::chrono::steady_clock;
using Random = std::mt19937_64;

struct Request {
  std::string bytes;
  int status = 200;
  bool closes = false;
  bool is_head = false;
  bool submits = false;  // a question to the model
  std::string id = {};   // that the answer has to carry; empty: it carries none
};

class Script {
 public:
  Script(Random& random, const std::string& id) : random_(random), id_(id) {}

  Request next() {
    const std::string id = id_ + "-" + std::to_string(++count_);
    const std::string common = " HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: " + id + "\r\n";
    switch (random_() % 14) {
      case 0:
        return {.bytes = "GET /healthz" + common + "\r\n"};
      case 1:
        return {.bytes = "HEAD //readyz/" + common + "\r\n", .is_head = true};
      case 2:
        return {.bytes = "\r\nGET http://localhost/v1/models" + common + "Content-Length: 5\r\n\r\nGET /"};
      case 3:
        return {.bytes = "GET /nothing" + common + "\r\n", .status = 404, .closes = true, .id = id};
      case 4:
        return {.bytes = "GET /healthz" + common + "Connection: close\r\n\r\n", .closes = true};
      case 5:
        return {.bytes = refused(common), .status = 400, .closes = true};
      case 6:
        return {.bytes =
                    "POST /v1/answer" + common + "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
                .status = 400,
                .closes = true,
                .id = id};
      case 7:
        return {.bytes = "OPTIONS /v1/answer" + common + "\r\n", .status = 204};
      case 8:
      case 9:
        return {.bytes = chunked("POST /v1/answer/" + common, body(random_() % 2 == 0)), .submits = true, .id = id};
      default:
        const std::string text = body(random_() % 3 == 0);
        return {.bytes = "POST /v1/answer" + common + "Content-Type: application/json\r\nContent-Length: " +
                         std::to_string(text.size()) + "\r\n\r\n" + text,
                .submits = true,
                .id = id};
    }
  }

 private:
  std::string body(bool streamed) {
    nlohmann::json body = {{"image", encode_base64(std::string(random_() % 3000, 'p') + "i")}, {"question", "what?"}};
    if (streamed) body["stream"] = true;
    return body.dump();
  }
  std::string chunked(const std::string& head, const std::string& text) {
    std::string bytes = head + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (size_t at = 0; at < text.size();) {
      const size_t size = std::min<size_t>(1 + random_() % 700, text.size() - at);
      char length[32];
      std::snprintf(length, sizeof length, "%zx", size);
      bytes += std::string(length) + "\r\n" + text.substr(at, size) + "\r\n";
      at += size;
    }
    return bytes + "0\r\n\r\n";
  }
  std::string refused(const std::string& common) {
    static const std::string kBad[] = {"X : a\r\n",
                                       "X: a\n",
                                       "Content-Length: +1\r\n",
                                       std::string("X: \0\r\n", 6),
                                       "Transfer-Encoding: gzip\r\n",
                                       "Host: y\r\n",
                                       " folded\r\n"};
    return "POST /v1/answer" + common + kBad[random_() % std::size(kBad)] + "\r\n";
  }

  Random& random_;
  const std::string id_;
  int count_ = 0;
};

class SocketFuzzTest : public HttpFixture {
 protected:
  void send_in_pieces(RawConnection& connection, std::string_view bytes, Random& random) {
    const bool slowly = random() % 4 == 0;
    while (!bytes.empty()) {
      const size_t most = random() % 3 == 0 ? 3 : random() % 2 == 0 ? 100 : 100'000;
      const std::string_view piece = bytes.substr(0, 1 + random() % most);
      if (!connection.send(piece)) return;
      bytes.remove_prefix(piece.size());
      if (slowly && random() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    }
  }
  std::string read_in_pieces(RawConnection& connection, Random& random) {
    std::string text;
    const bool slowly = random() % 4 == 0;
    for (std::string piece = connection.read_some(1 + random() % 5000); !piece.empty();
         piece = connection.read_some(1 + random() % 5000)) {
      text += piece;
      if (slowly && random() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 1000));
    }
    return text;
  }

  // Requests whose answers are checked to the last byte.
  void run_client(Random& random, const std::string& id) {
    Script script(random, id);
    std::vector<Request> requests;
    const size_t count = 1 + random() % 12;
    while (requests.size() < count) requests.push_back(script.next());
    std::string bytes;
    for (const Request& request : requests) bytes += request.bytes;
    RawConnection connection(port());
    if (random() % 8 == 0) connection.set_receive_buffer(2048);
    std::thread sender([&, seed = random()] {
      Random own(seed);
      send_in_pieces(connection, bytes, own);
      connection.end_sending();
    });
    const std::string text = read_in_pieces(connection, random);
    sender.join();
    check(requests, text, id);
  }

  void check(const std::vector<Request>& requests, const std::string& text, const std::string& id) {
    std::vector<Request> answered;
    test::ParseOptions options;
    for (const Request& request : requests) {
      if (request.is_head) options.heads.insert(answered.size());
      answered.push_back(request);
      if (request.closes) break;
    }
    const test::HttpResponses got = test::parse_responses(text, options);
    ASSERT_EQ(got.trouble, "") << id << "\n" << text;
    ASSERT_EQ(got.all.size(), answered.size()) << id << "\n" << text;
    for (size_t i = 0; i < answered.size(); ++i) {
      EXPECT_EQ(got.all[i].status, answered[i].status) << id << " " << i << "\n"
                                                       << answered[i].bytes << got.all[i].body;
      EXPECT_EQ(got.all[i].closes(), answered[i].closes) << id << " " << i;
      if (!answered[i].id.empty()) {
        EXPECT_EQ(got.all[i].header("x-request-id"), answered[i].id);
      }
      num_submitted_ += answered[i].submits;
    }
    num_answers_ += static_cast<int64_t>(answered.size());
  }

  // One that hangs up somewhere.
  void run_deserter(Random& random, const std::string& id) {
    Script script(random, id);
    std::string bytes;
    for (int i = 0; i < 3; ++i) bytes += script.next().bytes;
    RawConnection connection(port());
    send_in_pieces(connection, std::string_view(bytes).substr(0, random() % bytes.size()), random);
    if (random() % 2 == 0) connection.read_some(1 + random() % 300);
  }

  // Bytes of a request changed at random: no answer is the server's fault, and none comes behind a refusal.
  void run_vandal(Random& random, const std::string& id) {
    Script script(random, id);
    std::string bytes = script.next().bytes + script.next().bytes;
    for (size_t i = 1 + random() % 3; i > 0; --i) bytes[random() % bytes.size()] = static_cast<char>(random());
    RawConnection connection(port());
    send_in_pieces(connection, bytes, random);
    connection.end_sending();
    const std::string text = read_in_pieces(connection, random);
    EXPECT_EQ(text.find("HTTP/1.1 5"), std::string::npos) << id << "\n" << bytes << "\n" << text;
    const size_t refusal = text.find("HTTP/1.1 4");
    if (refusal != std::string::npos) {
      EXPECT_EQ(text.find("HTTP/1.1 ", refusal + 1), std::string::npos) << id << text;
    }
  }

  std::atomic<int64_t> num_answers_{0}, num_submitted_{0}, num_connections_{0};
};

TEST_F(SocketFuzzTest, EveryConnectionGetsItsAnswersOrItsEnd) {
  start();
  constexpr int kClients = 6;
  const auto end = Clock::now() + std::chrono::duration<double>(test::fuzz_seconds());
  std::vector<std::thread> clients;
  for (uint64_t client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      Random random(4711 + client);
      for (int i = 0; Clock::now() < end && !HasFailure(); ++i) {
        const std::string id = "fuzz-" + std::to_string(client) + "-" + std::to_string(i);
        const uint64_t kind = random() % 10;
        kind < 7 ? run_client(random, id) : kind < 9 ? run_vandal(random, id) : run_deserter(random, id);
        ++num_connections_;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(test::wait_until([&] { return server().num_connections() <= 1; }, 20)) << server().num_connections();
  EXPECT_EQ(post_json(question())->status, 200);
  std::printf("%lld connections, %lld answers checked, %lld questions\n", static_cast<long long>(num_connections_),
              static_cast<long long>(num_answers_), static_cast<long long>(num_submitted_));
}

}  // namespace
}  // namespace sf::server

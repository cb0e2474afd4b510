// Clients at random, with fixed seeds, on bare HTTP/2 connections: calls of every kind beside each other, cut anywhere,
// read slowly, half closed, reset, damaged, hung up on. Every call that was not reset ends, the good ones with their
// answer and no other; and nothing is left behind. SF_LONG_TESTS: ten minutes of it (SF_FUZZ_SECONDS: as long as that
// says).
#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "tests/server/grpc/kserve_fixture.h"
#include "tests/support/fuzz_seconds.h"
#include "tests/support/process.h"
#include "tests/support/raw_http2.h"

namespace sf::server {
namespace {

class GrpcSocketFuzzTest : public KserveFixture {
 protected:
  using Random = std::mt19937_64;
  using Clock = std::chrono::steady_clock;

  struct Call {
    const char* path = "";
    std::vector<std::string> messages;
    std::string says = {};  // its answer holds that; empty: it has none
    size_t num_answers = 0;
    bool compressed = false;  // so its messages say
  };

  // The first four are good.
  static Call call_at_random(Random& random) {
    constexpr const char* kVqa = "/sparsefusion.v1.VisualQuestionAnswering/Answer";
    constexpr const char* kInfer = "/inference.GRPCInferenceService/ModelInfer";
    switch (random() % 9) {
      case 0:
        return {kVqa, {question().SerializeAsString()}, "circle", 1};
      case 1:
        return {kInfer, {infer("sparsefusion", std::string(random() % 200, 'i')).SerializeAsString()}, "circle", 1};
      case 2: {
        Call call{"/inference.GRPCInferenceService/ModelStreamInfer", {}, "circle", 0};
        call.num_answers = 1 + random() % 4;
        call.messages.assign(call.num_answers, infer().SerializeAsString());
        return call;
      }
      case 3:
        return {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", {kListServices}, "grpc.health", 1};
      case 4:
        return {kVqa, {std::string(random() % 3000, '\xff')}};  // no message
      case 5:
        return {kInfer, {question().SerializeAsString()}};  // another's
      case 6:
        return {"/sparsefusion.v1.VisualQuestionAnswering/NoSuchMethod", {""}};
      case 7:
        return {kVqa, {std::string("\x1f\x8b\x08\x00garbage", 11)}, {}, 0, true};
      default:
        return {"/grpc.health.v1.Health/Watch", {"\x08"}};  // half a field
    }
  }

  static size_t count(const std::string& text, const std::string& part) {
    size_t found = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  }

  void run_client(Random& random) {
    RawHttp2 client(server().port(), {.pieces_seed = random() | 1});
    std::vector<std::pair<uint32_t, Call>> calls;
    for (size_t left = 1 + random() % 8; left > 0; --left) {
      const Call call = call_at_random(random);
      const uint32_t stream =
          client.open(call.path, call.compressed ? RawHttp2::Headers{{"grpc-encoding", "gzip"}} : RawHttp2::Headers{});
      if (random() % 12 == 0) {
        client.reset(stream);
        continue;
      }
      for (size_t i = 0; i < call.messages.size(); ++i) {
        client.send_message(stream, call.messages[i], call.compressed, i + 1 == call.messages.size());
        if (random() % 4 == 0) client.read_until([] { return false; }, std::chrono::milliseconds(1));
      }
      calls.emplace_back(stream, call);
    }
    const auto all_ended = [&] {
      return std::all_of(calls.begin(), calls.end(), [&](const auto& call) { return client.has_ended(call.first); });
    };
    ASSERT_TRUE(client.read_until(all_ended, std::chrono::seconds(60))) << client.goodbye() << client.is_closed();
    for (const auto& [stream, call] : calls) {
      const std::string data = client.data(stream);
      if (call.says.empty()) {
        EXPECT_EQ(data, "") << call.path;
      } else {
        EXPECT_GE(count(data, call.says), call.num_answers) << call.path << " " << data.size();
      }
    }
    num_calls_ += static_cast<int64_t>(calls.size());
  }

  // One whose bytes are changed on the way, and one that leaves in the middle.
  void run_vandal(Random& random) {
    RawHttp2 client(server().port(), {.pieces_seed = random() | 1});
    for (int i = 0; i < 3; ++i) {
      const Call call = call_at_random(random);
      const uint32_t stream = client.open(call.path);
      std::string garbage(random() % 60, '\0');
      for (char& byte : garbage) byte = static_cast<char>(random());
      if (random() % 2 == 0) client.send(garbage);
      for (const std::string& message : call.messages) client.send_message(stream, message, random() % 2 == 0, false);
    }
    if (random() % 2 == 0) {
      client.end_sending();
      EXPECT_TRUE(client.read_until([&] { return client.is_closed(); }, std::chrono::seconds(60)));
    }
  }

  std::atomic<int64_t> num_calls_{0}, num_connections_{0};
};

TEST_F(GrpcSocketFuzzTest, EveryCallGetsItsAnswerOrItsEnd) {
  constexpr int kMaxCalls = 100;
  start_kserve({.max_open_calls_per_peer = kMaxCalls});
  const auto end = Clock::now() + std::chrono::duration<double>(test::fuzz_seconds());
  std::vector<std::thread> clients;
  for (uint64_t client = 0; client < 6; ++client) {
    clients.emplace_back([&, client] {
      Random random(1147 + client);
      while (Clock::now() < end && !HasFailure()) {
        random() % 4 == 0 ? run_vandal(random) : run_client(random);
        ++num_connections_;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  // As many calls as before find room: none is still held.
  EXPECT_TRUE(test::wait_until(
      [&] {
        RawHttp2 one(server().port()), other(server().port());
        for (RawHttp2* client : {&one, &other}) {
          for (int i = 0; i < kMaxCalls / 2 - 1; ++i) {
            client->open("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
          }
          client->ping();
          if (!client->read_until([&] { return client->num_pongs() == 1; })) return false;
        }
        return one.num_ended() + other.num_ended() == 0 && ask(question()).ok();
      },
      20));
  std::printf("%lld connections, %lld calls checked\n", static_cast<long long>(num_connections_),
              static_cast<long long>(num_calls_));
}

}  // namespace
}  // namespace sf::server

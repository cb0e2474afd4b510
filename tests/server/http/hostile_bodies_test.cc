// What a body may cost before anything of it is believed: memory, time, and the room of other requests.
#include <malloc.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <thread>

#include "tests/server/http/http_fixture.h"
#include "tests/support/sanitizers.h"

namespace sf::server {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMiB = 1 << 20;
constexpr bool kMeasuresMemory = !kHasAddressSanitizer && !kHasThreadSanitizer;  // whose own memory hides ours
constexpr size_t kBodyBytes = 8 * kMiB;
constexpr size_t kHostileBytes = kMeasuresMemory ? kBodyBytes : kMiB;

// The most memory that this process, client and server, held since the mark was last reset.
size_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    size_t kib = 0;
    status >> kib;
    return kib * 1024;
  }
  return 0;
}
void reset_peak() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

struct Body {
  std::string content_type, text;
};

std::string repeated(const std::string& head, const std::string& item, const std::string& tail) {
  std::string text = head;
  while (text.size() + item.size() + tail.size() <= kHostileBytes) text += item;
  return text + tail;
}

std::string numbered(const std::string& head, const std::string& before, const std::string& behind,
                     const std::string& tail) {
  std::string text = head;
  for (int i = 0; text.size() + before.size() + behind.size() + tail.size() + 10 <= kHostileBytes; ++i) {
    text += before + std::to_string(i) + behind;
  }
  return text + tail;
}

// Each as large as a body may be.
std::map<std::string, Body> hostile_bodies() {
  const std::string json = "application/json", form = "multipart/form-data; boundary=b";
  const std::string part = "--b\r\nContent-Disposition: form-data; name=";
  return {{"empty arrays", {json, repeated("{\"x\":[", "[],", "[]]}")}},
          {"empty objects", {json, repeated("{\"x\":[", "{},", "{}]}")}},
          {"numbers", {json, repeated("{\"x\":[", "1,", "1]}")}},
          {"keys", {json, numbered("{", "\"", "\":0,", "\"z\":1}")}},
          {"a long string", {json, repeated("{\"x\":\"", "a", "\"}")}},
          {"a long string of escapes", {json, repeated("{\"x\":\"", "\\u20ac", "\"}")}},
          {"a long key", {json, repeated("{\"", "k", "\":1}")}},
          {"a long number", {json, repeated("{\"x\":", "1", "}")}},
          {"stop strings", {json, repeated("{\"stop\":[", "\"a\",", "\"a\"]}")}},
          {"deep arrays", {json, repeated("", "[", "")}},
          {"deep objects", {json, repeated("", "{\"x\":", "")}},
          {"white space", {json, repeated("", " ", "{")}},
          {"an image", {json, repeated("{\"question\":\"q\",\"image\":\"", "AAAA", "\"}")}},
          {"headers of a part", {form, numbered(part + "question\r\n", "a", ":\r\n", "\r\nhi\r\n--b--\r\n")}},
          {"a header without end", {form, repeated(part, "a", "")}},
          {"parts", {form, numbered("", part + "a", "\r\n\r\nx\r\n", "--b--\r\n")}},
          {"a preamble", {"multipart/form-data; boundary=" + std::string(70, '-'), repeated("", "\r\n--", "--b--")}},
          {"an epilogue", {form, repeated(part + "a\r\n\r\nx\r\n--b--", "\r\n--", "")}}};
}

class HostileBodiesTest : public HttpFixture {
 protected:
  void start_with(HttpOptions options) {
    options.limits.max_body_bytes = kBodyBytes;
    start(options);
    ASSERT_EQ(post_json(question())->status, 200);  // warm
  }
  static std::string head(const std::string& content_type, size_t size) {
    return "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: " + content_type +
           "\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
  }
  std::string send(const Body& body) {
    RawConnection connection(port());
    connection.send(head(body.content_type, body.text.size()));
    connection.send(body.text);
    return connection.read_all();
  }
  static int status_of(const std::string& answer) {
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
  }
};

TEST_F(HostileBodiesTest, CostASmallMultipleOfTheirSize) {
  start_with({});
  for (const auto& [name, body] : hostile_bodies()) {
    for (const size_t count : {size_t{1}, size_t{6}}) {
      reset_peak();
      const size_t before = peak_bytes();
      std::vector<std::thread> senders;
      std::atomic<int> refused = 0;
      for (size_t i = 0; i < count; ++i) {
        senders.emplace_back([&, text = &body] { refused += status_of(send(*text)) == 400; });
      }
      for (std::thread& sender : senders) sender.join();
      if (name != "an image") {
        EXPECT_EQ(refused, count) << name;
      }
      if (kMeasuresMemory) {
        EXPECT_LT(peak_bytes() - before, count * 4 * kHostileBytes) << name << " x " << count;
      }
    }
  }
  EXPECT_EQ(post_json(question())->status, 200);
}

TEST_F(HostileBodiesTest, TheLimitOnValuesIsNamed) {
  start_with({});
  const auto [status, body] = refusal({{"question", "q"}, {"stop", std::vector<int>(70'000, 1)}});
  EXPECT_EQ(status, 400);
  EXPECT_EQ(body["error"]["message"], "body: JSON has more than 65536 values");
  EXPECT_EQ(body["error"]["param"], "stop");
}

// Half of what the budget holds is held by a body that does not go on: another large one is refused, a small one not.
TEST_F(HostileBodiesTest, LargeBodiesShareABudget) {
  const auto budget = std::make_shared<ByteBudget>(5 * kMiB);
  start_with({.body_budget = budget});
  const std::string large = "{\"question\":\"" + std::string(4 * kMiB, 'q') + "\"}";
  {
    RawConnection held(port());
    held.send(head("application/json", large.size()));
    held.send(std::string_view(large).substr(0, large.size() - 1));
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (budget->used() < 3 * kMiB - 65536 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    ASSERT_GE(budget->used(), 3 * kMiB - 65536);

    const std::string refused = send({"application/json", large});
    EXPECT_EQ(status_of(refused), 429) << refused;
    EXPECT_NE(refused.find("Retry-After: "), std::string::npos);
    EXPECT_NE(refused.find("too many large bodies"), std::string::npos);
    EXPECT_EQ(service.wait_for_rejected(1).back().reason, "queue_full");
    EXPECT_EQ(post_json(question(std::string(100'000, 'i')))->status, 200);
    EXPECT_GE(budget->used(), 3 * kMiB - 65536);

    held.send("}");
    EXPECT_EQ(status_of(held.read_all()), 400);  // image: missing
  }
  EXPECT_EQ(budget->used(), 0u);
  EXPECT_EQ(status_of(send({"application/json", large})), 400);
  EXPECT_EQ(budget->used(), 0u);
}

// Whose body says when it is too late.
TEST_F(HostileBodiesTest, ADeadlineEndsTheReading) {
  start_with({});
  size_t num_refused = 0;
  for (const char* field : {"\"timeout_ms\":20", "\"timeout\":20000", "\"parameters\":{\"timeout\":20000}"}) {
    RawConnection connection(port());
    connection.send(head("application/json", kBodyBytes));
    connection.send(std::string("{") + field + ",\"x\":\"");
    const auto start = std::chrono::steady_clock::now();
    std::atomic<bool> refused = false;
    std::thread sender([&] {  // the connection takes bytes for a while after its answer, into nothing
      while (!refused && connection.send("aaaa")) std::this_thread::yield();
    });
    const auto rejected = service.wait_for_rejected(++num_refused);
    const auto end = std::chrono::steady_clock::now();
    refused = true;
    sender.join();
    ASSERT_EQ(rejected.size(), num_refused) << field;
    EXPECT_EQ(rejected.back().reason, "deadline") << field;
    EXPECT_LT(end, start + 2s) << field;
  }
}

TEST_F(HostileBodiesTest, TheServersStopEndsTheReading) {
  start_with({});
  RawConnection connection(port());
  connection.send(head("application/json", kBodyBytes));
  connection.send("{\"x\":\"");
  std::atomic<bool> stopped = false;
  std::thread stopper([&] {
    server().stop();
    stopped = true;
  });
  const auto start = std::chrono::steady_clock::now();
  while (!stopped && std::chrono::steady_clock::now() < start + 10s) {
    if (!connection.send("a")) break;
    std::this_thread::yield();
  }
  stopper.join();
  EXPECT_LT(std::chrono::steady_clock::now(), start + 3s);
}

TEST_F(HostileBodiesTest, AClientThatLeavesEndsTheReading) {
  start_with({});
  {
    RawConnection connection(port());
    connection.send(head("application/json", kBodyBytes));
    connection.send("{\"x\":[" + repeated("", "{},", ""));
  }
  const std::string reason = service.wait_for_rejected(1).back().reason;
  EXPECT_TRUE(reason == "client_gone" || reason == "invalid_argument") << reason;
  EXPECT_EQ(post_json(question())->status, 200);
}

}  // namespace
}  // namespace sf::server

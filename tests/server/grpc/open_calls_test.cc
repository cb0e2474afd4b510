// Streams that strangers open and leave: what they hold, and when they lose it.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "sparsefusion/v1/vqa.pb.h"
#include "tests/server/grpc/kserve_fixture.h"
#include "tests/support/process.h"
#include "tests/support/raw_http2.h"

namespace sf::server {
namespace {

using std::chrono::milliseconds;
using Streamed = inference::ModelStreamInferResponse;

constexpr const char* kServerLive = "/inference.GRPCInferenceService/ServerLive";
constexpr const char* kServerMetadata = "/inference.GRPCInferenceService/ServerMetadata";
constexpr const char* kStreamInfer = "/inference.GRPCInferenceService/ModelStreamInfer";
constexpr const char* kAnswer = "/sparsefusion.v1.VisualQuestionAnswering/Answer";
constexpr const char* kStreamAnswer = "/sparsefusion.v1.VisualQuestionAnswering/StreamAnswer";
constexpr const char* kCheck = "/grpc.health.v1.Health/Check";
constexpr const char* kWatch = "/grpc.health.v1.Health/Watch";
constexpr const char* kReflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

class OpenCallsTest : public KserveFixture {
 protected:
  using Raw = std::unique_ptr<RawHttp2>;

  Raw connect(uint32_t stream_window = 65535) {
    return std::make_unique<RawHttp2>(server().port(), RawHttp2Options{.stream_window = stream_window});
  }
  bool is_healthy(int seconds = 10) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(seconds));
    inference::ServerLiveResponse response;
    return kserve->ServerLive(&context, {}, &response).ok() && response.live();
  }
  grpc::StatusCode list_services() {
    grpc::ClientContext context;
    const auto stream = reflect(context);
    grpc::ByteBuffer response;
    stream->Write(to_buffer(kListServices));
    const bool answered = stream->Read(&response);
    stream->WritesDone();
    const grpc::Status status = stream->Finish();
    return status.ok() && !answered ? grpc::UNKNOWN : status.error_code();
  }
  void expect_that_others_are_served() {
    EXPECT_TRUE(is_healthy());
    EXPECT_EQ(list_services(), grpc::OK);
    EXPECT_TRUE(ask(question()).ok());
    EXPECT_TRUE(ask_kserve(infer()).ok());
  }
};

TEST_F(OpenCallsTest, AThousandStreamsOfAnyKindLeaveRoomForTheOthers) {
  start_kserve();
  struct Kind {
    const char* path;
    uint32_t window;
    bool sends;
  };
  constexpr int kNumConnections = 10, kNumStreams = 100;
  for (const Kind& kind :
       {Kind{kServerLive, 0, true}, Kind{kCheck, 0, true}, Kind{kWatch, 65535, true}, Kind{kReflection, 65535, false},
        Kind{kStreamInfer, 65535, false}, Kind{kAnswer, 65535, false}, Kind{kCheck, 65535, false}}) {
    SCOPED_TRACE(concat(kind.path, ", window ", kind.window));
    std::vector<Raw> connections;
    for (int i = 0; i < kNumConnections; ++i) {
      connections.push_back(connect(kind.window));
      for (int k = 0; k < kNumStreams; ++k) {
        const uint32_t stream = connections.back()->open(kind.path);
        if (kind.sends) connections.back()->send_message(stream, "");
      }
      // An answered ping: what was sent before it was read.
      connections.back()->ping();
      ASSERT_TRUE(connections.back()->read_until([&] { return connections.back()->num_pongs() == 1; }));
    }
    expect_that_others_are_served();
    for (const Raw& connection : connections) EXPECT_EQ(connection->num_ended(), 0u);
  }
}

TEST_F(OpenCallsTest, AnswersThatNobodyTakesAreCutAndTheirSlotsFreed) {
  start_kserve({.max_open_calls_per_peer = 20, .write_stall_s = 0.2});
  const Raw client = connect(0);
  for (int i = 0; i < 20; ++i) client->send_message(client->open(kServerMetadata), "");
  EXPECT_TRUE(client->read_until([&] { return client->num_ended() == 20; }, std::chrono::seconds(60)));
  EXPECT_TRUE(test::wait_until([&] { return ask(question()).ok(); }));
}

TEST_F(OpenCallsTest, CallsOfOnePeerAreBoundedAndHealthIsCountedApart) {
  start_kserve({.max_open_calls_per_peer = 5});
  {
    const Raw client = connect();
    for (int i = 0; i < 5; ++i) client->open(kReflection);
    client->ping();
    ASSERT_TRUE(client->read_until([&] { return client->num_pongs() == 1; }));
    const grpc::Status refused = ask(question());
    EXPECT_EQ(refused.error_code(), grpc::RESOURCE_EXHAUSTED);
    EXPECT_EQ(details(refused).count("RetryInfo"), 1u);
    EXPECT_EQ(list_services(), grpc::RESOURCE_EXHAUSTED);
    EXPECT_EQ(service.wait_for_rejected(2).at(0).reason, "queue_full");
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(is_healthy());
  }
  EXPECT_TRUE(test::wait_until([&] { return ask(question()).ok(); })) << "the connection's end frees them";
}

TEST_F(OpenCallsTest, CallsAreBoundedInAll) {
  start_kserve({.max_open_calls = 2});
  const Raw client = connect();
  for (const char* path : {kReflection, kStreamInfer}) client->open(path);
  client->ping();
  ASSERT_TRUE(client->read_until([&] { return client->num_pongs() == 1; }));
  EXPECT_EQ(ask(question()).error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(is_healthy());
}

TEST_F(OpenCallsTest, SilentCallsEndOfEveryKind) {
  start_kserve({.read_timeout_s = 0.2, .reflection_idle_s = 0.2, .infer_stream_idle_s = 0.2});
  const Raw client = connect();
  const char* const paths[] = {kReflection,   "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                               kStreamInfer,  kAnswer,
                               kStreamAnswer, kCheck,
                               kWatch,        kServerLive};
  for (const char* path : paths) client->open(path);
  EXPECT_TRUE(client->read_until([&] { return client->num_ended() == std::size(paths); }));
  // Half a message is silence too.
  const uint32_t half = client->open(kAnswer);
  client->send(std::string("\0\0\x03\0\0\0\0\0", 8) + static_cast<char>(half) + std::string(3, '\0'));
  EXPECT_TRUE(client->read_until([&] { return client->has_ended(half); }));
  grpc::ClientContext context;
  const auto stream = reflect(context);
  grpc::ByteBuffer response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::DEADLINE_EXCEEDED);
}

TEST_F(OpenCallsTest, ARequestInFlightIsNoSilence) {
  service.hang_before_text = true;
  start_kserve({.infer_stream_idle_s = 0.2});
  grpc::ClientContext context;
  const auto stream = kserve->ModelStreamInfer(&context);
  ASSERT_TRUE(stream->Write(infer("sparsefusion_stream", "a")));
  EXPECT_EQ(service.wait_for_submitted(1), 1);
  const auto begin = std::chrono::steady_clock::now();
  test::wait_until([&] { return std::chrono::steady_clock::now() - begin > milliseconds(600); });
  EXPECT_TRUE(service.finished().empty());
  context.TryCancel();
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "CANCELLED");
}

TEST_F(OpenCallsTest, AnAnswerThatIsNotReadIsKeptUpToABound) {
  service.deltas.assign(100, std::string(10'000, 'a'));
  start_kserve({.max_backlog_bytes = 100'000});
  const Raw client = connect(0);
  const uint32_t stream = client->open(kStreamAnswer);
  client->send_message(stream, question().SerializeAsString());
  EXPECT_TRUE(client->read_until([&] { return client->was_reset(stream); }));
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "RESOURCE_EXHAUSTED");
  service.deltas.assign(3, std::string(10'000, 'a'));
  grpc::ClientContext context;
  const auto reader = stub->StreamAnswer(&context, question());
  int num_events = 0;
  for (wire::StreamAnswerResponse event; reader->Read(&event);) ++num_events;
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(num_events, 4);
}

TEST_F(OpenCallsTest, WhatWaitsForAllClientsIsBounded) {
  service.deltas.assign(10, std::string(10'000, 'a'));
  start_kserve({.max_pending_bytes = 250'000});
  const Raw client = connect(0);
  for (int i = 0; i < 5; ++i) client->send_message(client->open(kAnswer), question().SerializeAsString());
  EXPECT_TRUE(client->read_until([&] { return client->num_ended() == 3; }));
  EXPECT_EQ(service.wait_for_finished(5).size(), 5u);
  EXPECT_EQ(client->num_ended(), 3u);
}

TEST_F(OpenCallsTest, PingsOfAnIdleChannelAreNoFlood) {
  start_kserve({.min_ping_interval_ms = 0});
  const Raw client = connect();
  for (int i = 1; i <= 20; ++i) {
    client->ping();
    ASSERT_TRUE(client->read_until([&] { return client->num_pongs() == i || !client->goodbye().empty(); }));
  }
  EXPECT_EQ(client->goodbye(), "");
}

TEST_F(OpenCallsTest, AFloodOfPingsIsSentAway) {
  start_kserve();
  const Raw client = connect();
  for (int i = 0; i < 20 && !client->is_closed(); ++i) client->ping();
  EXPECT_TRUE(client->read_until([&] { return !client->goodbye().empty(); }));
  EXPECT_EQ(client->goodbye(), "too_many_pings");
}

TEST_F(OpenCallsTest, HealthIsNeverRefusedTheOldestUnreadAnswerGoes) {
  start_kserve({.max_open_calls = 5});
  const Raw client = connect(0);
  std::vector<uint32_t> streams;
  for (int i = 0; i < 10; ++i) {
    streams.push_back(client->open(i % 2 == 0 ? kServerLive : kCheck));
    client->send_message(streams.back(), "");
  }
  EXPECT_TRUE(client->read_until([&] { return client->num_ended() == 5; }));
  // gRPC's threads may begin two neighbours in the other order.
  const auto ended = [&](uint32_t stream) { return client->has_ended(stream); };
  EXPECT_GE(std::count_if(streams.begin(), streams.begin() + 5, ended), 4);
  EXPECT_TRUE(is_healthy());
  EXPECT_TRUE(ask(question()).ok());
}

// gRPC names what it cannot read with the client's own bytes.
TEST_F(OpenCallsTest, WhatGrpcSaysOfHostileBytesIsALineOfOurLogOnceASecond) {
  start_kserve();
  testing::internal::CaptureStderr();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    const Raw client = connect();
    client->open(kAnswer, {{":status", "\x1b[31m1\n{\"level\":\"error\"}"}});
    client->ping();
    client->read_until([&] { return client->num_pongs() == 1 || client->is_closed(); });
  }
  const auto took = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin).count();
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("\"event\":\"grpc\""), std::string::npos) << text;
  std::istringstream lines(text);
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_TRUE(line.starts_with("{\"time\":") && line.ends_with("}")) << line;
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
  }
  EXPECT_LE(count, took + 2);
}

// CVE-2023-44487.
class RapidResetTest : public OpenCallsTest {
 protected:
  // Opens and resets streams until `count` were, or the connection is shut down. Returns how many.
  int storm(int count) {
    const Raw client = connect();
    for (int i = 0; i < count; ++i) {
      if (!client->reset(client->open(i % 2 == 0 ? kAnswer : kServerLive))) return i;
      if (i % 50 == 0) client->read_until([] { return false; }, milliseconds(0));
      if (client->is_closed()) return i;
    }
    return count;
  }
};

TEST_F(RapidResetTest, AConnectionThatResetsWhatItOpensIsShutDown) {
  start_kserve();
  EXPECT_EQ(storm(100), 100);
  const Raw client = connect();
  for (int i = 0; i < 2000; ++i) client->reset(client->open(kAnswer));
  EXPECT_TRUE(client->read_until([&] { return client->is_closed(); }, std::chrono::seconds(60)));
  expect_that_others_are_served();
}

// SF_LONG_TESTS: 100,000 of them, and health within a second.
TEST_F(RapidResetTest, CostsNothingThatStays) {
  start_kserve();
  const bool is_long = std::getenv("SF_LONG_TESTS") != nullptr;
  const int num_streams = is_long ? 100'000 : 5'000;
  storm(1'000);  // what the libraries keep for good
  EXPECT_TRUE(is_healthy(10));
  const double before_mib = resident_mib();
  std::atomic<bool> done{false};
  std::thread watcher([&] {
    while (!done) EXPECT_TRUE(is_healthy(is_long ? 1 : 10));
  });
  for (int left = num_streams; left > 0;) left -= std::max(1, storm(left));
  done = true;
  watcher.join();
  expect_that_others_are_served();
  std::printf("%d streams: %.0f MiB before, %.0f at once\n", num_streams, before_mib, resident_mib());
  EXPECT_TRUE(!kMemoryIsGivenBack || test::wait_until([&] { return resident_mib() - before_mib < 20; }, 15))
      << resident_mib() - before_mib << " MiB more";
}

}  // namespace
}  // namespace sf::server

// The Service that serves: takes the current version from the slot, reserves the request's cost, decodes, queues.
//
//   AnswerService service({.model_name = "sparsefusion"}, {.slot = &slot, .metrics = &metrics, ...});
//   service.drain();                    // SIGTERM: not ready, refuses what is new
//   service.wait_idle(30);              // until every admitted answer was read to its end
//   service.abort();                    // what is left fails with Unavailable
//
// Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/mutex.h"
#include "server/service/fair_gate.h"
#include "server/service/request_log.h"
#include "server/service/service.h"
#include "server/versions/model_slot.h"

namespace sf::server {

struct ServiceOptions {
  std::string model_name = "sparsefusion";
  int decode_threads = 1;         // images decoded at once
  double request_timeout_s = 60;  // a request's own timeout_ms is never longer
  double stall_limit_s = 30;      // work without a step for longer: not live
  int max_explain = 1;            // explanations under way at once
  int max_stop_strings = 16;
  size_t max_stop_bytes = 256;  // of one stop string
};

struct ServiceDeps {
  ModelSlot* slot = nullptr;
  Metrics* metrics = nullptr;
  const DrainRate* drain_rate = nullptr;
  const Clock* clock = nullptr;
  std::function<void(const std::string& json_line)> log;
  ModelAdmin* admin = nullptr;
  TraceSink* traces = nullptr;  // null: no spans leave this server
  // Called at the end of every request that is counted, on its thread; may be empty. Must not block.
  std::function<void(const RequestRecord&)> on_request = {};
};

// What a request is sampled with: its own temperature, else the checkpoint's way of sampling, where a top_p or top_k of
// the request's own still counts. Pure.
SamplingParams resolve_sampling(SamplingParams asked, const SamplingParams& defaults);

class AnswerService final : public Service {
 public:
  // REQUIRES: what `deps` points to outlives this.
  AnswerService(ServiceOptions options, ServiceDeps deps);

  std::shared_ptr<ResponseStream> submit(AnswerRequest request) override;
  std::vector<std::shared_ptr<ResponseStream>> submit_batch(size_t count, const RequestOf& request_of) override;
  ExplainResult explain(ExplainRequest request, const std::function<bool()>& is_unwanted) override;
  std::vector<ModelDescription> models() const override;
  std::string model_name() const override { return options_.model_name; }
  Health health() const override;
  std::string metrics_text() const override;
  void record_rejected(const std::string& api, const std::string& code, const std::string& reason,
                       const RequestIds& ids) override;
  void record_finished(const std::string& api, const std::string& code, const RequestIds& ids, int64_t model_version,
                       const Summary* summary, double duration_seconds) override;
  void log_request(const RequestRecord& record) override { deps_.log(request_log_line(record)); }
  int retry_after_seconds() const override;
  ModelAdmin* admin() const override { return deps_.admin; }

  // Requests that wait for their turn to decode an image.
  int num_waiting_to_decode() const { return decode_gate_.num_waiting(); }

  void drain() { draining_.store(true); }
  // False if answers are left after `seconds`.
  bool wait_idle(double seconds);
  void abort();

 private:
  class InFlight;
  // A request with a place in the queue.
  struct Admitted {
    double begin_s = 0;
    PreparedChoicesPtr choices;
    Ticket ticket;
  };
  using Streams = std::vector<std::shared_ptr<ResponseStream>>;

  // The request counts as in flight until the value goes: it may outlive this.
  std::shared_ptr<void> count_in_flight() const;

  // What `work` gives, on the version that serves. Its errors are counted. `in_flight` is held until an answer was
  // read.
  using SubmitWork = std::function<Streams(const ServingVersionPtr&, const std::shared_ptr<void>& in_flight)>;
  Streams submit_counted(const std::string& request_id, const SubmitWork& work);
  Admitted admit(ServingVersion& version, const AnswerRequest& request);
  std::shared_ptr<ResponseStream> enqueue(const ServingVersionPtr& version, AnswerRequest request, Admitted admitted,
                                          std::shared_ptr<void> in_flight);
  ExplainResult explain_on(ServingVersion& version, ExplainRequest& request);
  void check(const AnswerRequest& request) const;
  // The request's own timeout, or the server's where it is shorter.
  double timeout_s(const AnswerRequest& request) const;
  // What the request's choices are to `version`'s engine; null where it gave none.
  PreparedChoicesPtr prepare_choices(const ServingVersion& version, const AnswerRequest& request) const;
  PreparedPromptPtr prepare(const ServingVersion& version, const AnswerRequest& request, double deadline_s);
  // What waits for a place at a gate: until the client leaves, the deadline passes or the server is aborted.
  GateWait gate_wait(const AnswerRequest& request, double deadline_s) const;
  // Errors: Unavailable, DeadlineExceeded, Cancelled where the request is to go no further.
  void check_goes_on(const AnswerRequest& request, double deadline_s) const;
  LiveGauges live_gauges() const;
  // Effect: the log line, and the spans where they are wanted.
  void end_request(RequestRecord record) const;

  const ServiceOptions options_;
  const ServiceDeps deps_;
  FairGate decode_gate_, explain_gate_;
  std::shared_ptr<InFlight> in_flight_;  // shared with streams that outlive this
  Mutex batch_mutex_;                    // two batches that reserved in turns could fill the queue and both be refused
  std::atomic<int> num_preparing_{0};
  std::atomic<bool> draining_{false};
  std::atomic<bool> aborted_{false};
};

}  // namespace sf::server

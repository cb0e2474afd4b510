// A Service without a model: it echoes, fails or hangs as configured, and remembers what the frontends asked and
// reported.
//
//   FakeService service;
//   service.deltas = {"red", " circle"};
//   HttpServer http({.port = 0}, service);
//
// Thread-safe; what it should do is set before requests come in.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/mutex.h"
#include "server/service/service.h"
#include "tests/support/fake_model_admin.h"

namespace sf::server {

struct FakeRecord {
  std::string api, code, reason, request_id;
  int64_t model_version = 0;
  bool has_summary = false;
  TraceContext trace = {};
  RequestOrigin origin = {};
  std::string field = {};
};

class FakeService final : public Service {
 public:
  // --- what it does ---
  std::vector<std::string> deltas = {"circle"};
  bool hang_before_text = false;      // no event until the stream is cancelled
  bool hang_after_text = false;       // all deltas, then no end until the stream is cancelled
  std::optional<Error> submit_error;  // thrown by submit and explain
  ExplainResult explanation{
      .model = "sparsefusion", .model_version = 3, .explanation = {}, .png = {}};  // what explain returns
  std::optional<Error> explain_error;                                              // thrown by explain alone
  bool hang_explain = false;                                                       // until it is unwanted
  std::optional<Error> stream_error;                                               // the stream's end
  int refuse_from = 0;         // the submit with this number, from 1, and all later ones find the queue full
  bool throw_unknown = false;  // submit throws what is no Error
  bool ready = true, live = true;
  bool published = true;
  bool reads_images = true;  // else its model is one of text alone
  // As the engine would: picks the image out and refuses it with this.
  std::function<void(const std::string& image)> check_image;

  // --- what was seen ---
  std::vector<AnswerRequest> requests() const;
  std::vector<ExplainRequest> explain_requests() const;
  std::vector<FakeRecord> rejected() const;
  std::vector<FakeRecord> finished() const;
  std::vector<RequestRecord> logged() const;  // only logged, not counted
  // Blocks until `count` streams were cancelled, or for at most 10 s. Returns how many were.
  int wait_for_cancelled(int count) const;
  // Likewise for record_finished.
  std::vector<FakeRecord> wait_for_finished(size_t count) const;
  std::vector<FakeRecord> wait_for_rejected(size_t count) const;
  // Until there are so many records of all kinds.
  void wait_for_recorded(size_t count) const;
  int wait_for_submitted(int count) const;

  // --- Service ---
  std::shared_ptr<ResponseStream> submit(AnswerRequest request) override;
  ExplainResult explain(ExplainRequest request, const std::function<bool()>& is_unwanted) override;
  std::vector<ModelDescription> models() const override;
  std::string model_name() const override { return "sparsefusion"; }
  Health health() const override { return {live, ready}; }
  std::string metrics_text() const override {
    return "# HELP fake_total One.\n# TYPE fake_total counter\nfake_total 1\n";
  }
  void record_rejected(const std::string& api, const std::string& code, const std::string& reason,
                       const RequestIds& ids) override;
  void record_finished(const std::string& api, const std::string& code, const RequestIds& ids, int64_t model_version,
                       const Summary* summary, double duration_seconds) override;
  void log_request(const RequestRecord& record) override;
  int retry_after_seconds() const override { return 7; }
  ModelAdmin* admin() const override { return model_admin.get(); }

  std::shared_ptr<FakeModelAdmin> model_admin = std::make_shared<FakeModelAdmin>();

  // Counts shared with the streams, which may outlive a request's handler.
  struct Seen {
    mutable Mutex mutex;
    mutable CondVar changed;
    std::vector<AnswerRequest> requests SF_GUARDED_BY(mutex);
    std::vector<ExplainRequest> explain_requests SF_GUARDED_BY(mutex);
    std::vector<FakeRecord> rejected SF_GUARDED_BY(mutex);
    std::vector<FakeRecord> finished SF_GUARDED_BY(mutex);
    std::vector<RequestRecord> logged SF_GUARDED_BY(mutex);
    int cancelled SF_GUARDED_BY(mutex) = 0;
  };

 private:
  const std::shared_ptr<Seen> seen_ = std::make_shared<Seen>();
};

}  // namespace sf::server

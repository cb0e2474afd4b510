#include "tests/support/fake_service.h"

#include <chrono>
#include <thread>

namespace sf::server {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr int64_t kVersion = 3;

// Waits until `done()` under the lock, or gives up.
template <typename Done>
void wait_until(const FakeService::Seen& seen, const Done& done) SF_REQUIRES(seen.mutex) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (!seen.changed.wait_until(seen.mutex, deadline) && !done()) return;
  }
}

class FakeStream final : public ResponseStream {
 public:
  FakeStream(const FakeService& service, const AnswerRequest& request, std::shared_ptr<FakeService::Seen> seen)
      : deltas_(request.choices.empty() ? service.deltas : std::vector<std::string>{request.choices.back()}),
        choices_(request.choices),
        logprobs_(request.logprobs),
        top_logprobs_(request.sampling.top_logprobs),
        record_routing_(request.sampling.record_routing),
        error_(service.stream_error),
        hang_at_(service.hang_before_text  ? 0
                 : service.hang_after_text ? deltas_.size()
                                           : SIZE_MAX),
        seen_(std::move(seen)) {}

  Event next(bool merge_pending) override {
    while (true) {
      if (std::optional<Event> event = next_for(1000, merge_pending)) return *event;
    }
  }

  std::optional<Event> next_for(int timeout_ms, bool) override {
    MutexLock lock(mutex_);
    if (at_ == hang_at_ && !cancelled_) changed_.wait_for(mutex_, std::chrono::milliseconds(timeout_ms));
    if (cancelled_) return end(Error(Code::kCancelled, "cancelled"));
    if (at_ == hang_at_) return std::nullopt;
    if (at_ < deltas_.size()) {
      const std::string& text = deltas_[at_++];
      Event event{.text = text};
      if (logprobs_) event.tokens = {{text, -0.5f}};
      for (int i = 0; i < top_logprobs_; ++i) event.tokens[0].top.push_back({i == 0 ? text : "</s>", -0.5f - i});
      return event;
    }
    return error_ ? end(*error_) : whole();
  }

  void cancel() override {
    {
      MutexLock lock(mutex_);
      if (cancelled_) return;
      cancelled_ = true;
    }
    changed_.notify_all();
    {
      MutexLock lock(seen_->mutex);
      ++seen_->cancelled;
    }
    seen_->changed.notify_all();
  }

  int64_t model_version() const override { return kVersion; }

 private:
  static Event end(const Error& error) { return Event{.finished = true, .error = error}; }

  Event whole() const {
    Summary summary;
    summary.usage = {.image_tokens = 9,
                     .prompt_tokens = 20,
                     .completion_tokens = static_cast<int>(deltas_.size()),
                     .cached_tokens = 2};
    summary.assigned_tokens = 40;
    summary.overflow_tokens = 1;
    if (record_routing_) {
      summary.routing =
          std::make_shared<const RoutingRecord>(RoutingRecord{1, 2, {3, 258, 0, 1}, {0.75f, 0.25f, 1, 0}});
    }
    // The last one answers, with one half; the others share the rest.
    for (const std::string& text : choices_) {
      const double share = 0.5 / static_cast<double>(choices_.size() - 1);
      summary.choices.push_back({text, text == choices_.back() ? 0.5 : share});
    }
    summary.timings = {.queue_ms = 0.5, .image_ms = 1.25, .prefill_ms = 2, .decode_ms = 3, .total_ms = 6.75};
    return Event{.finished = true, .summary = summary};
  }

  const std::vector<std::string> deltas_;
  const std::vector<std::string> choices_;
  const bool logprobs_;
  const int top_logprobs_;
  const bool record_routing_;
  const std::optional<Error> error_;
  const size_t hang_at_;
  const std::shared_ptr<FakeService::Seen> seen_;
  Mutex mutex_;
  CondVar changed_;
  size_t at_ SF_GUARDED_BY(mutex_) = 0;
  bool cancelled_ SF_GUARDED_BY(mutex_) = false;
};

}  // namespace

std::shared_ptr<ResponseStream> FakeService::submit(AnswerRequest request) {
  const std::vector<Part>& parts = request.messages.at(0).parts;
  const std::string image = parts.empty() ? "" : parts.front().data;
  auto stream = std::make_shared<FakeStream>(*this, request, seen_);
  int number = 0;
  {
    MutexLock lock(seen_->mutex);
    seen_->requests.push_back(std::move(request));
    number = static_cast<int>(seen_->requests.size());
  }
  seen_->changed.notify_all();
  if (refuse_from > 0 && number >= refuse_from) throw Error(Code::kResourceExhausted, "full", "", Reason::kQueueFull);
  if (check_image) check_image(image);
  if (throw_unknown) throw std::runtime_error("secret internals");
  if (submit_error) throw *submit_error;
  return stream;
}

ExplainResult FakeService::explain(ExplainRequest request, const std::function<bool()>& is_unwanted) {
  {
    MutexLock lock(seen_->mutex);
    seen_->explain_requests.push_back(std::move(request));
  }
  seen_->changed.notify_all();
  if (submit_error) throw *submit_error;
  if (explain_error) throw *explain_error;
  while (hang_explain) {
    if (is_unwanted()) throw Error(Code::kCancelled, "the client closed the connection");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return explanation;
}

std::vector<ExplainRequest> FakeService::explain_requests() const {
  MutexLock lock(seen_->mutex);
  return seen_->explain_requests;
}

std::vector<ModelDescription> FakeService::models() const {
  if (!published) return {};
  ModelDescription model{.id = "sparsefusion", .version = kVersion, .info = {}};
  model.info.digest = "abc";
  model.info.step = 100;
  model.info.created_unix = 1700000000;
  model.info.max_context = 512;
  model.info.max_image_tokens = reads_images ? 36 : 0;
  model.info.image_size = 192;
  return {model};
}

void FakeService::record_rejected(const std::string& api, const std::string& code, const std::string& reason,
                                  const RequestIds& ids) {
  {
    MutexLock lock(seen_->mutex);
    seen_->rejected.push_back({api, code, reason, ids.request, 0, false, ids.trace, ids.origin, ids.field});
  }
  seen_->changed.notify_all();
}

void FakeService::record_finished(const std::string& api, const std::string& code, const RequestIds& ids,
                                  int64_t model_version, const Summary* summary, double) {
  {
    MutexLock lock(seen_->mutex);
    seen_->finished.push_back(
        {api, code, "", ids.request, model_version, summary != nullptr, ids.trace, ids.origin, ids.field});
  }
  seen_->changed.notify_all();
}

void FakeService::log_request(const RequestRecord& record) {
  {
    MutexLock lock(seen_->mutex);
    seen_->logged.push_back(record);
  }
  seen_->changed.notify_all();
}

void FakeService::wait_for_recorded(size_t count) const {
  MutexLock lock(seen_->mutex);
  wait_until(*seen_, [&] { return seen_->rejected.size() + seen_->finished.size() + seen_->logged.size() >= count; });
}

std::vector<RequestRecord> FakeService::logged() const {
  MutexLock lock(seen_->mutex);
  return seen_->logged;
}

std::vector<AnswerRequest> FakeService::requests() const {
  MutexLock lock(seen_->mutex);
  return seen_->requests;
}

std::vector<FakeRecord> FakeService::rejected() const {
  MutexLock lock(seen_->mutex);
  return seen_->rejected;
}

std::vector<FakeRecord> FakeService::finished() const {
  MutexLock lock(seen_->mutex);
  return seen_->finished;
}

int FakeService::wait_for_cancelled(int count) const {
  MutexLock lock(seen_->mutex);
  wait_until(*seen_, [&] { return seen_->cancelled >= count; });
  return seen_->cancelled;
}

std::vector<FakeRecord> FakeService::wait_for_finished(size_t count) const {
  MutexLock lock(seen_->mutex);
  wait_until(*seen_, [&] { return seen_->finished.size() >= count; });
  return seen_->finished;
}

std::vector<FakeRecord> FakeService::wait_for_rejected(size_t count) const {
  MutexLock lock(seen_->mutex);
  wait_until(*seen_, [&] { return seen_->rejected.size() >= count; });
  return seen_->rejected;
}

int FakeService::wait_for_submitted(int count) const {
  MutexLock lock(seen_->mutex);
  wait_until(*seen_, [&] { return static_cast<int>(seen_->requests.size()) >= count; });
  return static_cast<int>(seen_->requests.size());
}

}  // namespace sf::server

#include "server/service/answer_service.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "server/wire/reject_reason.h"

namespace sf::server {
namespace {

class Counted {
 public:
  explicit Counted(std::atomic<int>& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<int>& count_;
};

// Of tenants other than those that explain: each holds a thread of its frontend while it waits.
constexpr int kMaxWaitingExplains = 8;

// The answer is a choice whole: what cuts an answer or its distribution, or reports its single tokens, says nothing.
void check_with_choices(const AnswerRequest& request) {
  const auto refuse = [](const char* name) {
    throw invalid_argument(name, name, ": has no meaning together with choices");
  };
  const SamplingParams& sampling = request.sampling;
  if (!request.stop.empty()) refuse("stop");
  if (request.logprobs) refuse("logprobs");
  if (sampling.top_p < 1) refuse("top_p");
  if (sampling.top_k > 0) refuse("top_k");
  if (sampling.min_tokens > 0) refuse("min_tokens");
  if (sampling.ignore_eos) refuse("ignore_eos");
  if (sampling.presence_penalty != 0) refuse("presence_penalty");
  if (sampling.frequency_penalty != 0) refuse("frequency_penalty");
  if (sampling.repetition_penalty != 1) refuse("repetition_penalty");
  if (!sampling.logit_bias.empty()) refuse("logit_bias");
  if (sampling.record_routing || sampling.replay_routing) refuse("routing");
}

void check_room(const PreparedChoices& choices, const PreparedPrompt& prompt, int max_context) {
  if (prompt.num_tokens() + choices.longest_tokens <= max_context) return;
  throw invalid_argument("choices", "choices: the prompt's ", prompt.num_tokens(), " tokens and the longest choice's ",
                         choices.longest_tokens, " are more than the context of ", max_context);
}

}  // namespace

// Requests between submit and the reader that took their terminal event: what a drain waits for. Thread-safe.
class AnswerService::InFlight {
 public:
  void add() {
    MutexLock lock(mutex_);
    ++count_;
  }
  void remove() {
    {
      MutexLock lock(mutex_);
      --count_;
    }
    none_left_.notify_all();
  }
  // False if some are left after `seconds`.
  bool wait_until_none(double seconds) {
    const auto patience = std::chrono::duration<double>(std::clamp(seconds, 0.0, 86400.0));
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(patience);
    MutexLock lock(mutex_);
    while (count_ > 0) {
      if (!none_left_.wait_until(mutex_, deadline) && count_ > 0) return false;
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar none_left_;
  int count_ SF_GUARDED_BY(mutex_) = 0;
};

SamplingParams resolve_sampling(SamplingParams asked, const SamplingParams& defaults) {
  if (asked.temperature >= 0) return asked;
  asked.temperature = defaults.temperature;
  if (asked.top_p >= 1) asked.top_p = defaults.top_p;
  if (asked.top_k == 0) asked.top_k = defaults.top_k;
  return asked;
}

AnswerService::AnswerService(ServiceOptions options, ServiceDeps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      decode_gate_({.places = std::max(1, options_.decode_threads)}),
      explain_gate_(
          {.places = std::max(1, options_.max_explain), .max_waiting = kMaxWaitingExplains, .one_each = true}),
      in_flight_(std::make_shared<InFlight>()) {}

std::shared_ptr<void> AnswerService::count_in_flight() const {
  in_flight_->add();
  return {nullptr, [counter = in_flight_](void*) { counter->remove(); }};
}

bool AnswerService::wait_idle(double seconds) { return in_flight_->wait_until_none(seconds); }

std::shared_ptr<ResponseStream> AnswerService::submit(AnswerRequest request) {
  return submit_counted(request.request_id,
                        [&](const ServingVersionPtr& version, const auto& in_flight) {
                          Admitted admitted = admit(*version, request);
                          return Streams{enqueue(version, std::move(request), std::move(admitted), in_flight)};
                        })
      .front();
}

AnswerService::Streams AnswerService::submit_batch(size_t count, const RequestOf& request_of) {
  if (count == 1) return {submit(request_of(0))};
  std::string request_id;  // for the log, once a request is there that has it
  return submit_counted(request_id, [&](const ServingVersionPtr& version, const auto& in_flight) {
    std::vector<Admitted> admitted;
    {
      MutexLock lock(batch_mutex_);
      for (size_t i = 0; i < count; ++i) {
        const AnswerRequest request = request_of(i);
        request_id = request.request_id;
        admitted.push_back(admit(*version, request));
      }
    }
    Streams streams;
    try {
      for (size_t i = 0; i < count; ++i) {
        streams.push_back(enqueue(version, request_of(i), std::move(admitted[i]), in_flight));
      }
    } catch (...) {
      for (const auto& stream : streams) stream->cancel();
      throw;
    }
    return streams;
  });
}

AnswerService::Streams AnswerService::submit_counted(const std::string& request_id, const SubmitWork& work) {
  // Counted before `draining_` is read: a drain that sees no request in flight has seen all of them.
  const std::shared_ptr<void> in_flight = count_in_flight();
  try {
    if (draining_) throw Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining);
    const ServingVersionPtr version = deps_.slot->current();
    if (!version) throw Error(Code::kUnavailable, "no model is loaded", "", Reason::kDraining);
    return work(version, in_flight);
  } catch (const Error& error) {
    deps_.metrics->count_rejection(reject_reason(error));
    throw;
  } catch (const std::exception& error) {
    deps_.metrics->count_rejection("internal");
    deps_.log(failure_log_line(request_id, concat("submit: ", error.what())));
    throw Error(Code::kInternal, "the server failed this request");
  }
}

AnswerService::Admitted AnswerService::admit(ServingVersion& version, const AnswerRequest& request) {
  check(request);
  if (request.sampling.replay_routing) check_routing(*request.sampling.replay_routing, version.engine->info());
  check_logit_bias(request.sampling, version.engine->info());
  const double begin_s = deps_.clock->now_s();
  const PromptCost cost = version.engine->estimate_cost(request.messages);
  PreparedChoicesPtr choices = prepare_choices(version, request);
  const int choice_tokens = choices ? choices->num_tokens : 0;
  std::optional<Ticket> ticket =
      version.scheduler().reserve(cost.image_tokens + cost.max_text_tokens + choice_tokens, request.tenant);
  if (!ticket) throw Error(Code::kResourceExhausted, "the queue is full, try again later", "", Reason::kQueueFull);
  return {begin_s, std::move(choices), std::move(*ticket)};
}

std::shared_ptr<ResponseStream> AnswerService::enqueue(const ServingVersionPtr& version, AnswerRequest request,
                                                       Admitted admitted, std::shared_ptr<void> in_flight) {
  JobRequest job;
  job.deadline_s = admitted.begin_s + timeout_s(request);
  job.prompt = prepare(*version, request, job.deadline_s);
  if (admitted.choices) check_room(*admitted.choices, *job.prompt, version->engine->info().max_context);
  job.request_id = std::move(request.request_id);
  job.api = std::move(request.api);
  job.tenant = request.tenant;
  job.sampling = resolve_sampling(request.sampling, version->engine->info().default_sampling);
  job.sampling.choices = std::move(admitted.choices);
  job.sampling.cache_salt = request.tenant;  // what one tenant cached no other sees
  job.stop = std::move(request.stop);
  job.logprobs = request.logprobs;
  job.priority = request.priority;
  job.submitted_s = admitted.begin_s;
  const double seconds_left = std::clamp(job.deadline_s - deps_.clock->now_s(), 0.0, 86400.0);
  auto stream = std::make_shared<EventQueue>(
      version->version, [held = std::move(in_flight)]() mutable { held.reset(); },
      std::chrono::steady_clock::now() + std::chrono::milliseconds(std::llround(seconds_left * 1e3)));
  version->scheduler().submit(
      std::make_unique<Job>(std::move(job), *version->engine, stream, std::move(admitted.ticket), version));
  return stream;
}

double AnswerService::timeout_s(const AnswerRequest& request) const {
  if (request.timeout_ms <= 0) return options_.request_timeout_s - request.spent_s;
  return std::min(static_cast<double>(request.timeout_ms) / 1e3, options_.request_timeout_s) - request.spent_s;
}

PreparedChoicesPtr AnswerService::prepare_choices(const ServingVersion& version, const AnswerRequest& request) const {
  if (request.choices.empty()) return nullptr;
  PreparedChoicesPtr choices = version.engine->prepare_choices(request.choices);
  if (choices->longest_tokens > request.sampling.max_tokens) {
    throw invalid_argument("max_tokens", "max_tokens: the longest of the choices has ", choices->longest_tokens,
                           " tokens with its end, got ", request.sampling.max_tokens);
  }
  return choices;
}

void AnswerService::check(const AnswerRequest& request) const {
  if (!request.model.empty() && request.model != options_.model_name) {
    throw Error(Code::kNotFound, concat("model: unknown model, this server has ", options_.model_name), "model");
  }
  if (request.sampling.max_tokens < 1) {
    throw invalid_argument("max_tokens", "max_tokens: must be at least 1, got ", request.sampling.max_tokens);
  }
  if (request.sampling.min_tokens > request.sampling.max_tokens) {
    throw invalid_argument("min_tokens", "min_tokens: must be at most max_tokens, ", request.sampling.max_tokens,
                           ", got ", request.sampling.min_tokens);
  }
  if (request.timeout_ms < 0) {
    throw invalid_argument("timeout_ms", "timeout_ms: must not be negative, got ", request.timeout_ms);
  }
  if (request.stop.size() > static_cast<size_t>(options_.max_stop_strings)) {
    throw invalid_argument("stop", "stop: at most ", options_.max_stop_strings, " strings, got ", request.stop.size());
  }
  if (!request.choices.empty()) check_with_choices(request);
  for (const std::string& stop : request.stop) {
    if (stop.size() > options_.max_stop_bytes) {
      throw invalid_argument("stop", "stop: a string has at most ", options_.max_stop_bytes, " bytes, got ",
                             stop.size());
    }
  }
}

PreparedPromptPtr AnswerService::prepare(const ServingVersion& version, const AnswerRequest& request,
                                         double deadline_s) {
  Counted preparing(num_preparing_);
  const FairGate::Pass pass = decode_gate_.enter(gate_wait(request, deadline_s));
  check_goes_on(request, deadline_s);
  if (pass.outcome() != GateOutcome::kEntered) {
    throw Error(Code::kDeadlineExceeded, "the request's deadline passed before its image was decoded");
  }
  PreparedPromptPtr prompt = version.engine->prepare(request.messages, [&] { check_goes_on(request, deadline_s); });
  if (prompt->num_image_tokens() > 0) version.metrics->record_image_decode(prompt->image_decode_seconds());
  return prompt;
}

GateWait AnswerService::gate_wait(const AnswerRequest& request, double deadline_s) const {
  const double seconds_left = std::clamp(deadline_s - deps_.clock->now_s(), 0.0, 86400.0);
  return {.tenant = request.tenant,
          .deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(std::llround(seconds_left * 1e3)),
          .is_unwanted = [&] { return aborted_ || (request.is_unwanted && request.is_unwanted()); }};
}

void AnswerService::check_goes_on(const AnswerRequest& request, double deadline_s) const {
  if (aborted_) throw Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining);
  if (deps_.clock->now_s() > deadline_s) throw Error(Code::kDeadlineExceeded, "the request's deadline has passed");
  if (request.is_unwanted && request.is_unwanted()) throw Error(Code::kCancelled, "the client closed the connection");
}

std::vector<ModelDescription> AnswerService::models() const {
  const ServingVersionPtr version = deps_.slot->current();
  if (!version) return {};
  return {{options_.model_name, version->version, version->engine->info()}};
}

Health AnswerService::health() const {
  Health health;
  health.ready = !draining_ && deps_.slot->current() != nullptr;
  for (const ServingVersionPtr& version : deps_.slot->live()) {
    if (version->scheduler().last_step_age_s() > options_.stall_limit_s) health.live = false;
  }
  return health;
}

LiveGauges AnswerService::live_gauges() const {
  LiveGauges gauges;
  for (const ServingVersionPtr& version : deps_.slot->live()) {
    const QueueLoad load = version->scheduler().queue_load();
    gauges.queue_depth += load.requests;
    gauges.queue_tokens += load.tokens;
    gauges.running += version->scheduler().num_running();
    gauges.versions.push_back({version->version, version->engine->info().digest, version->engine->info().step,
                               version->scheduler().last_step_age_s()});
  }
  gauges.preparing = num_preparing_;
  gauges.waiting = std::max(0, gauges.queue_depth - gauges.preparing);
  if (const ServingVersionPtr version = deps_.slot->current()) {
    gauges.checkpoint_age_s =
        std::max(0.0, deps_.clock->unix_s() - static_cast<double>(version->engine->info().created_unix));
  }
  return gauges;
}

std::string AnswerService::metrics_text() const { return deps_.metrics->text(live_gauges(), deps_.clock->now_s()); }

void AnswerService::end_request(RequestRecord record) const {
  if (deps_.traces != nullptr && !record.trace.is_set()) record.trace = deps_.traces->begin();
  deps_.log(request_log_line(record));
  if (deps_.on_request) deps_.on_request(record);
  if (deps_.traces == nullptr) return;
  record.ended_unix_s = deps_.clock->unix_s();
  deps_.traces->add(record);
}

void AnswerService::record_rejected(const std::string& api, const std::string& code, const std::string& reason,
                                    const RequestIds& ids) {
  deps_.metrics->count_refused(api, code);
  deps_.metrics->count_rejection(reason);
  end_request({.request_id = ids.request,
               .api = api,
               .code = code,
               .reason = reason,
               .trace = ids.trace,
               .origin = ids.origin,
               .field = ids.field});
}

void AnswerService::record_finished(const std::string& api, const std::string& code, const RequestIds& ids,
                                    int64_t model_version, const Summary* summary, double duration_seconds) {
  deps_.metrics->count_request(api, code, duration_seconds);
  end_request({.request_id = ids.request,
               .api = api,
               .code = code,
               .model_version = model_version,
               .summary = summary,
               .duration_s = duration_seconds,
               .trace = ids.trace,
               .origin = ids.origin,
               .field = ids.field});
}

int AnswerService::retry_after_seconds() const {
  int waiting = 0;
  for (const ServingVersionPtr& version : deps_.slot->live()) waiting += version->scheduler().queue_load().requests;
  return deps_.drain_rate->seconds_for(waiting, deps_.clock->now_s());
}

void AnswerService::abort() {
  aborted_ = true;
  for (const ServingVersionPtr& version : deps_.slot->live()) version->scheduler().abort();
}

}  // namespace sf::server

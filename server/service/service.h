// One service behind every API: the frontends only translate.
//
//   auto stream = service.submit(std::move(request));           // throws Error: bad input, queue full, draining
//   for (Event event = stream->next(); !event.finished; event = stream->next()) write(event.text);
//
// submit() runs on the caller's thread: it reserves the request's cost from the image header (so a full queue refuses
// before any pixel is decoded), then waits for its tenant's turn to decode, decodes and tokenises, then queues. A
// client that leaves and a deadline that passes end it there too. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/scheduler/response_stream.h"
#include "server/scheduler/step_planner.h"
#include "server/service/model_admin.h"
#include "server/service/request_log.h"

namespace sf::server {

struct AnswerRequest {
  std::string request_id;  // already validated or made by the frontend
  std::string api;         // metric label: "rest", "openai", "grpc", "kserve_rest", "kserve_grpc"
  std::string model;       // empty = the default; unknown -> NotFound
  std::vector<Message> messages;
  SamplingParams sampling;        // temperature < 0 = not given: the checkpoint's default
  std::vector<std::string> stop;  // at most 16 strings of at most 256 bytes
  bool logprobs = false;          // events carry their tokens and log-probabilities, and sampling.top_logprobs others
  std::vector<std::string> choices;  // the answer is one of these (parameters.h); empty = any answer
  Priority priority = Priority::kInteractive;
  int64_t timeout_ms = 0;  // 0 = request_timeout_s; never longer than it
  double spent_s = 0;      // of that time, before submit
  size_t body_bytes = 0;   // for the log line
  std::string tenant;      // the API key's name, empty without keys: what one tenant cached no other sees
  // Whether the client left; asked on the calling thread while submit() and explain() block, null = it never does.
  std::function<bool()> is_unwanted;
};

struct ExplainRequest {
  AnswerRequest question;  // its stop strings and priority do not count
  ExplainOptions options;
  bool image = false;    // the heatmap over the image too, as a PNG
  int image_token = -1;  // of this answer token; -1 = the mean of all
};

struct ExplainResult {
  std::string model;
  int64_t model_version = 0;
  Explanation explanation;
  std::string png;  // empty unless asked for
};

struct ModelDescription {
  std::string id;  // --model-name
  int64_t version = 0;
  ModelInfo info;
};

struct Health {
  bool live = true;    // false after stall_limit_s without a step while there is work
  bool ready = false;  // a model is published and the server is not draining
};

class Service {
 public:
  virtual ~Service() = default;
  // Errors (InvalidArgument, NotFound, ResourceExhausted, Unavailable, DeadlineExceeded, Cancelled) are counted in
  // requests_rejected_total here; the frontend reports the outcome with record_finished, as for every other answer.
  virtual std::shared_ptr<ResponseStream> submit(AnswerRequest request) = 0;
  // All of `count` requests or none, on one version: a batch, or the choices of one question. Their places are reserved
  // together, before an image is decoded. `request_of(i)` gives the i-th request and is asked twice for each at most,
  // in order. Errors: as submit(), for whichever has one; those submitted before it are cancelled.
  using RequestOf = std::function<AnswerRequest(size_t i)>;
  virtual std::vector<std::shared_ptr<ResponseStream>> submit_batch(size_t count, const RequestOf& request_of);
  // Effect: answers and explains beside the scheduler, at a priority that never delays serving, few at a time; where
  // tenants differ one of another tenant waits for its turn. Blocks; `is_unwanted` is asked now and then, on another
  // thread, and ends it with Cancelled. Errors: as submit(); ResourceExhausted while --max-explain others are under
  // way; Cancelled, DeadlineExceeded.
  virtual ExplainResult explain(ExplainRequest request, const std::function<bool()>& is_unwanted) = 0;
  // Empty while nothing is published.
  virtual std::vector<ModelDescription> models() const = 0;
  // The id of the one model that this server has, whether or not a version of it is published.
  virtual std::string model_name() const = 0;
  virtual Health health() const = 0;
  // Prometheus text format 0.0.4 of every family.
  virtual std::string metrics_text() const = 0;
  // A request that a frontend refused before submit (bad JSON, body too large, unknown route ...): counted and logged
  // like any other. `code` is the HTTP status, or gRPC's code name.
  virtual void record_rejected(const std::string& api, const std::string& code, const std::string& reason,
                               const RequestIds& ids) = 0;
  // A terminal answer as the frontend sent it: feeds requests_total{api,code} and the JSON log line.
  virtual void record_finished(const std::string& api, const std::string& code, const RequestIds& ids,
                               int64_t model_version, const Summary* summary, double duration_seconds) = 0;
  // A request that is logged and counted nowhere: one that reads what the server knows, or one refused on the
  // management port.
  virtual void log_request(const RequestRecord& record) = 0;
  // Seconds a refused client should wait, from the measured drain rate; at least 1.
  virtual int retry_after_seconds() const = 0;
  // Versions and experts; null for a service that has none.
  virtual ModelAdmin* admin() const { return nullptr; }
};

}  // namespace sf::server

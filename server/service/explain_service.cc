// AnswerService::explain: like an answer up to the prepared prompt, then beside the scheduler instead of through it.
#include <utility>

#include "engine/explain/overlay.h"
#include "server/service/answer_service.h"
#include "server/versions/background_work.h"
#include "server/wire/reject_reason.h"

namespace sf::server {
namespace {

Error explain_busy(GateOutcome outcome, int places) {
  if (outcome == GateOutcome::kLate) {
    return Error(Code::kDeadlineExceeded, "the request's deadline passed while others were explained");
  }
  return Error(Code::kResourceExhausted,
               concat("at most ", places, places == 1 ? " explanation runs" : " explanations run",
                      " at a time, try again later"),
               "", Reason::kQueueFull);
}

const std::string& image_of(const AnswerRequest& request) {
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) {
      if (part.kind == Part::Kind::kImage) return part.data;
    }
  }
  throw invalid_argument("image", "image: a picture is needed");
}

}  // namespace

ExplainResult AnswerService::explain(ExplainRequest request, const std::function<bool()>& is_unwanted) {
  const std::shared_ptr<void> in_flight = count_in_flight();
  const std::string request_id = request.question.request_id;
  request.question.is_unwanted = is_unwanted;
  try {
    if (draining_) throw Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining);
    const ServingVersionPtr version = deps_.slot->current();
    if (!version) throw Error(Code::kUnavailable, "no model is loaded", "", Reason::kDraining);
    return explain_on(*version, request);
  } catch (const Error& error) {
    deps_.metrics->count_rejection(reject_reason(error));
    throw;
  } catch (const std::exception& error) {
    deps_.metrics->count_rejection("internal");
    deps_.log(failure_log_line(request_id, concat("explain: ", error.what())));
    throw Error(Code::kInternal, "the server failed this request");
  }
}

ExplainResult AnswerService::explain_on(ServingVersion& version, ExplainRequest& request) {
  check(request.question);
  check_logit_bias(request.question.sampling, version.engine->info());
  const double deadline_s = deps_.clock->now_s() + timeout_s(request.question);
  version.engine->estimate_cost(request.question.messages);  // refuses a bad image from its header
  const FairGate::Pass pass = explain_gate_.enter(gate_wait(request.question, deadline_s));
  check_goes_on(request.question, deadline_s);
  if (pass.outcome() != GateOutcome::kEntered) throw explain_busy(pass.outcome(), options_.max_explain);
  const PreparedPromptPtr prompt = prepare(version, request.question, deadline_s);
  const auto check_on = [&] { check_goes_on(request.question, deadline_s); };
  const SamplingParams sampling = resolve_sampling(request.question.sampling, version.engine->info().default_sampling);
  ExplainResult result{.model = options_.model_name, .model_version = version.version, .explanation = {}, .png = {}};
  run_at_low_priority(kExplainNiceness, *deps_.slot, [&] {
    result.explanation = version.engine->explain(*prompt, sampling, request.options, check_on);
    if (request.image)
      result.png = explanation_png(image_of(request.question), result.explanation, request.image_token);
  });
  return result;
}

}  // namespace sf::server

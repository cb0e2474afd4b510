#include "server/grpc/answer_messages.h"

#include "server/wire/routing_wire.h"

namespace sf::server {

AnswerFields answer_fields_from(sparsefusion::v1::AnswerRequest& message) {
  AnswerFields fields;
  if (!message.image().empty()) fields.image = std::move(*message.mutable_image());
  fields.question = std::move(*message.mutable_question());
  if (message.has_max_tokens()) fields.max_tokens = message.max_tokens();
  if (message.has_temperature()) fields.temperature = message.temperature();
  if (message.has_top_p()) fields.top_p = message.top_p();
  if (message.has_top_k()) fields.top_k = message.top_k();
  if (message.has_seed()) fields.seed = message.seed();
  if (message.has_timeout_ms()) fields.timeout_ms = message.timeout_ms();
  fields.stop.assign(message.stop().begin(), message.stop().end());
  if (message.choices_size() > 0) fields.choices.emplace(message.choices().begin(), message.choices().end());
  if (message.has_min_tokens()) fields.logits.min_tokens = message.min_tokens();
  if (message.has_presence_penalty()) fields.logits.presence_penalty = message.presence_penalty();
  if (message.has_frequency_penalty()) fields.logits.frequency_penalty = message.frequency_penalty();
  if (message.has_repetition_penalty()) fields.logits.repetition_penalty = message.repetition_penalty();
  fields.logits.ignore_eos = message.ignore_eos();
  fields.logits.logit_bias.insert(message.logit_bias().begin(), message.logit_bias().end());
  fields.model = std::move(*message.mutable_model());
  fields.record_routing = message.record_routing();
  if (message.has_replay_routing()) {
    const sparsefusion::v1::Routing& routing = message.replay_routing();
    fields.replay_routing = routing_from_bytes(routing.layers(), routing.top_k(), routing.ids());
  }
  switch (message.priority()) {
    case sparsefusion::v1::PRIORITY_UNSPECIFIED:
      break;
    case sparsefusion::v1::PRIORITY_INTERACTIVE:
      fields.priority = "interactive";
      break;
    case sparsefusion::v1::PRIORITY_BATCH:
      fields.priority = "batch";
      break;
    default:
      throw invalid_argument("priority", "priority: unknown value ", message.priority());
  }
  return fields;
}

sparsefusion::v1::AnswerResponse answer_message(const std::string& id, const std::string& model, int64_t model_version,
                                                const std::string& text, const Summary& summary) {
  sparsefusion::v1::AnswerResponse message;
  message.set_id(id);
  message.set_answer(text);
  message.set_model(model);
  message.set_model_version(model_version);
  message.set_finish_reason(summary.finish_reason == FinishReason::kStop ? sparsefusion::v1::FINISH_REASON_STOP
                                                                         : sparsefusion::v1::FINISH_REASON_LENGTH);
  sparsefusion::v1::Usage* usage = message.mutable_usage();
  usage->set_image_tokens(summary.usage.image_tokens);
  usage->set_prompt_tokens(summary.usage.prompt_tokens);
  usage->set_completion_tokens(summary.usage.completion_tokens);
  usage->set_cached_tokens(summary.usage.cached_tokens);
  message.mutable_moe()->set_assigned_tokens(summary.assigned_tokens);
  message.mutable_moe()->set_overflow_tokens(summary.overflow_tokens);
  sparsefusion::v1::Timings* timings = message.mutable_timings();
  timings->set_queue_ms(summary.timings.queue_ms);
  timings->set_image_ms(summary.timings.image_ms);
  timings->set_prefill_ms(summary.timings.prefill_ms);
  timings->set_decode_ms(summary.timings.decode_ms);
  timings->set_total_ms(summary.timings.total_ms);
  for (const ChoiceProbability& choice : summary.choices) {
    sparsefusion::v1::Choice* out = message.add_choices();
    out->set_text(choice.text);
    out->set_probability(choice.probability);
  }
  if (summary.routing) {
    sparsefusion::v1::Routing* routing = message.mutable_routing();
    routing->set_layers(summary.routing->num_layers);
    routing->set_top_k(summary.routing->top_k);
    routing->set_ids(routing_id_bytes(*summary.routing));
    routing->set_gates(routing_gate_bytes(*summary.routing));
  }
  return message;
}

}  // namespace sf::server

#include "server/wire/unread_fields.h"

#include <algorithm>
#include <string_view>

#include "engine/base/error.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr size_t kMaxQuotedName = 128;
// A form's value that is longer than any neutral one is not parsed.
constexpr size_t kMaxNeutralBytes = 32;

constexpr const char* kAny = nullptr;    // cannot change the answer
constexpr const char* kNone = "[]";      // every value but null would
constexpr const char* kOff = "[false]";  // a switch that is not offered

constexpr UnreadField kFields[] = {
    {"adapter_id", kNone},
    {"add_generation_prompt", "[true]"},
    {"add_special_tokens", kOff},
    {"allowed_token_ids", "[[]]"},
    {"audio", kNone},
    {"bad_words", "[[]]"},
    {"best_of", "[1]"},
    {"cache_prompt", kAny},
    {"cache_salt", kAny},
    {"chat_template", kNone},
    {"chat_template_kwargs", "[{}]"},
    {"choices", kNone},
    {"continue_final_message", kOff},
    {"decoder_input_details", kOff},
    {"details", kOff},
    {"disable_log_stats", kAny},
    {"do_sample", kOff},
    {"documents", "[[]]"},
    {"dry_allowed_length", kAny},
    {"dry_base", kAny},
    {"dry_multiplier", "[0]"},
    {"dry_penalty_last_n", kAny},
    {"dry_sequence_breakers", kAny},
    {"dynatemp_exponent", kAny},
    {"dynatemp_range", "[0]"},
    {"early_stopping", kOff},
    {"echo", kOff},
    {"enable_thinking", kOff},
    {"explain", kOff},
    {"format", R"([""])"},
    {"function_call", R"(["none","auto"])"},
    {"functions", "[[]]"},
    {"grammar", R"([""])"},
    {"guided_choice", kNone},
    {"guided_decoding_backend", kAny},
    {"guided_grammar", R"([""])"},
    {"guided_json", kNone},
    {"guided_regex", R"([""])"},
    {"guided_whitespace_pattern", kAny},
    {"id_slot", kAny},
    {"include_reasoning", kAny},
    {"include_stop_str_in_output", kOff},
    {"json_schema", "[{}]"},
    {"keep_alive", kAny},
    {"length_penalty", "[1]"},
    {"logits_processors", "[[]]"},
    {"logprobs", "[false,0]"},
    {"lora", "[[]]"},
    {"media_io_kwargs", "[{}]"},
    {"metadata", kAny},
    {"min_keep", "[0]"},
    {"min_p", "[0]"},
    {"mirostat", "[0]"},
    {"mirostat_eta", kAny},
    {"mirostat_tau", kAny},
    {"mm_processor_kwargs", "[{}]"},
    {"modalities", R"([["text"]])"},
    {"n", "[1]"},
    {"n_predict", kNone},
    {"n_probs", "[0]"},
    {"num_ctx", kNone},
    {"num_predict", kNone},
    {"options", "[{}]"},
    {"parallel_tool_calls", kAny},
    {"penalize_nl", kAny},
    {"prediction", kAny},
    {"prompt_cache_key", kAny},
    {"prompt_cache_retention", kAny},
    {"prompt_logprobs", kOff},
    {"reasoning_effort", R"(["none"])"},
    {"reasoning_format", kAny},
    {"repeat_last_n", kAny},
    {"repeat_penalty", "[1]"},
    {"request_id", kAny},
    {"response_format", R"([{"type":"text"}])"},
    {"return_full_text", kOff},
    {"return_token_ids", kOff},
    {"return_tokens", kOff},
    {"return_tokens_as_token_ids", kOff},
    {"routing", kOff},
    {"safety_identifier", kAny},
    {"samplers", kNone},
    {"service_tier", kAny},
    {"skip_special_tokens", "[true]"},
    {"slot_id", kAny},
    {"spaces_between_special_tokens", kAny},
    {"stop_token_ids", "[[]]"},
    {"store", kAny},
    {"stream_options", kNone},
    {"structured_outputs", "[{}]"},
    {"suffix", R"([""])"},
    {"system", R"([""])"},
    {"template", R"([""])"},
    {"tfs_z", "[1]"},
    {"think", kOff},
    {"timings_per_token", kAny},
    {"tool_choice", R"(["none","auto"])"},
    {"tool_prompt", R"([""])"},
    {"tools", "[[]]"},
    {"top_a", "[0]"},
    {"top_logprobs", "[0]"},
    {"truncate", kNone},
    {"truncate_prompt_tokens", kNone},
    {"typical", "[1]"},
    {"typical_p", "[1]"},
    {"use_beam_search", kOff},
    {"user", kAny},
    {"verbosity", R"(["medium"])"},
    {"vllm_xargs", "[{}]"},
    {"watermark", kOff},
    {"web_search_options", kNone},
    {"xtc_probability", "[0]"},
    {"xtc_threshold", kAny},
};

static_assert(std::is_sorted(std::begin(kFields), std::end(kFields), [](const UnreadField& a, const UnreadField& b) {
  return std::string_view(a.name) < std::string_view(b.name);
}));

const UnreadField* find_row(std::string_view name) {
  const auto row = std::lower_bound(std::begin(kFields), std::end(kFields), name,
                                    [](const UnreadField& field, std::string_view key) { return field.name < key; });
  return row != std::end(kFields) && row->name == name ? row : nullptr;
}

}  // namespace

std::span<const UnreadField> unread_fields() { return kFields; }

void throw_not_offered(const std::string& field, const std::string& what) {
  throw Error(Code::kUnimplemented, concat(field, ": ", what, " is not supported by this server"), field);
}

void check_unread_field(const std::string& name, const json& value) {
  const UnreadField* const row = find_row(name);
  if (row == nullptr) {
    const std::string quoted = name.empty() ? "\"\"" : name.substr(0, kMaxQuotedName);
    throw Error(Code::kUnimplemented, concat("unknown parameter ", quoted), quoted);
  }
  if (row->neutral == kAny || value.is_null()) return;
  const json neutral = json::parse(row->neutral);
  if (std::find(neutral.begin(), neutral.end(), value) == neutral.end()) throw_not_offered(name, "this value");
}

void check_unread_form_field(const std::string& name, const std::string& value) {
  json parsed = value.size() <= kMaxNeutralBytes ? json::parse(value, nullptr, false) : json(json::value_t::discarded);
  check_unread_field(name, parsed.is_discarded() ? json(value.substr(0, kMaxNeutralBytes)) : parsed);
}

}  // namespace sf::server

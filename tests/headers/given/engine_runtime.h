#pragma once

#include "engine/runtime/batch.h"
#include "engine/runtime/choice_trie.h"
#include "engine/runtime/expert_stats.h"
#include "engine/runtime/kv_cache.h"
#include "engine/runtime/logits_processors.h"
#include "engine/runtime/page_routing.h"
#include "engine/runtime/sequence_pages.h"

namespace sf::examples_engine_runtime {

extern const Vlm& vlm;
extern const std::vector<BatchPart> parts;
extern const Batch batch;
extern KvCache cache;
extern const at::Device device;
extern const DecoderConfig decoder_config, config, decoder;
extern DecoderInput input;
extern ExpertStats stats;
extern PageRouting routing;
extern SequencePages pages;
extern Sequence sequence;
extern const at::Tensor rows_LTW;
extern at::Tensor logits_V;
extern const LogitsContext context;
extern const SamplingParams sampling;
extern const std::shared_ptr<const ChoiceTrie> trie;
extern const std::string checkpoint_digest, salt;
extern const std::vector<PrefixToken> tokens, tokens_of_a_page;
extern const Sha256Digest key;
extern const std::filesystem::path dir;
extern std::vector<int> ids;
extern const std::vector<std::vector<double>> logprobs;
extern const std::vector<int> prompt;
extern const std::vector<std::string> texts;
extern const std::vector<std::vector<int>> paths;
extern const int page, page_size, begin, end, end_token, position;
extern const double factor;

}  // namespace sf::examples_engine_runtime

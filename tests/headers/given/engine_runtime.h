#pragma once

#include "engine/image/image.h"
#include "engine/model/attention.h"
#include "engine/runtime/batch.h"
#include "engine/runtime/choice_trie.h"
#include "engine/runtime/expert_stats.h"
#include "engine/runtime/kv_cache.h"
#include "engine/runtime/logits_processors.h"
#include "engine/runtime/page_routing.h"
#include "engine/runtime/sampler.h"
#include "engine/runtime/sequence_pages.h"

namespace sf::examples_engine_runtime {

extern const Vlm& vlm;
extern const std::vector<BatchPart> parts;
extern const Batch batch;
extern KvCache cache;
extern const at::Device device;
extern const DecoderConfig decoder_config, config, decoder;
extern DecoderInput input;
extern const ModelConfig model_config;
extern const ImageLimits image_limits;
extern const std::shared_ptr<const Tokenizer> tokenizer;
extern const std::vector<Message> messages;
extern const Sampled sampled;
extern AttentionBackend& attention;
extern PageRouting routing;
extern SequencePages pages;
extern Sequence sequence;
extern const at::Tensor rows_LTW, logits_SV;
extern at::Tensor logits_V;
extern const LogitsContext context;
extern const SamplingParams sampling;
extern const std::shared_ptr<const ChoiceTrie> trie;
extern const std::string checkpoint_digest, salt;
extern const std::vector<PrefixToken> tokens, tokens_of_a_page;
extern const Sha256Digest key;
extern const std::filesystem::path dir;
extern const std::vector<std::vector<float>> logprobs;
extern const std::shared_ptr<const EnginePrompt> prompt;
extern const std::vector<std::string> texts;
extern const std::vector<std::vector<int>> paths;
extern const int num_layers, num_experts, layer, expert, page, begin, end, token, end_token, position;
extern const int64_t capacity, cache_bytes;
extern int64_t overflow;
extern const double factor;
std::vector<float> logprobs_of(const ChoiceTrie::Branch& node);

}  // namespace sf::examples_engine_runtime

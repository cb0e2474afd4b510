#pragma once

#include "engine/text/tokenizer.h"

namespace sf::examples_engine_text {

extern const std::shared_ptr<const Tokenizer> tokenizer;
extern const std::string bytes_of_tokenizer_model;
extern const std::vector<std::string> sentences;
extern const int vocab_size;

}  // namespace sf::examples_engine_text

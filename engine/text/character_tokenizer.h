// A token for each character, as in the original SparseFusion and seemore.
//
//   auto tokenizer = make_character_tokenizer(shakespeare_characters());
//
// Thread-safe: a tokenizer is immutable.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"

namespace sf {

// The 65 characters of the text that the original was trained on, in its order.
std::vector<std::string> shakespeare_characters();

// Token i is characters[i]; no BOS, EOS or padding. encode() throws InvalidArgument (field "question") for a character
// that is not there. Errors: InvalidArgument where an entry is not one UTF-8 character, or stands there twice.
std::shared_ptr<const Tokenizer> make_character_tokenizer(const std::vector<std::string>& characters);

}  // namespace sf

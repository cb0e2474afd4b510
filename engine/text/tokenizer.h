// Text <-> token ids. Implementations: SentencePiece BPE (sentencepiece_tokenizer.h), that with what an imported model
// adds (tokenizer_config.h), single characters (character_tokenizer.h).
//
//   std::vector<int> ids = tokenizer->encode("what shape is the red object?");
//   Detokenizer stream(tokenizer);
//   for (int id : ids) text += stream.push(id);
//   text += stream.finish();
//
// A Tokenizer is thread-safe, a Detokenizer belongs to one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sf {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual int vocab_size() const = 0;
  virtual int bos_id() const = 0;  // -1 where the model has none
  virtual int eos_id() const = 0;
  virtual int pad_id() const = 0;  // -1 where the model has none
  // Whether the token ends an answer; some models have several such.
  virtual bool is_end(int id) const { return id == eos_id(); }
  // The token that stands in an image's places; -1 where the model has none.
  virtual int image_id() const { return token_id("<image>"); }
  // Whether the vocabulary is another project's: then it lacks this one's special tokens.
  virtual bool imported() const { return false; }
  // Whether a prompt begins with bos_id().
  virtual bool add_bos() const { return false; }
  // Effect: ids of `text`, no BOS or EOS added. Errors: InvalidArgument (field "question") for invalid UTF-8.
  virtual std::vector<int> encode(std::string_view text) const = 0;
  // The same for a text that follows a special token of a prompt; some models put no leading space there.
  virtual std::vector<int> encode_inside(std::string_view text) const { return encode(text); }
  // The bytes of text that the token stands for; none for a special token.
  virtual std::string bytes_of(int id) const = 0;
  // A special token stands for no text: beginning and end of a text, padding, an image's place.
  virtual bool is_special(int id) const = 0;
  // The token as its vocabulary writes it: "<image>", "<0x0A>" for a byte. Its spaces may be written otherwise.
  virtual std::string token_text(int id) const = 0;
  // The same with plain spaces, for lists of tokens. Always UTF-8.
  virtual std::string display_text(int id) const { return token_text(id); }
  // The id of the token that token_text() gives back as `text`; -1 where the vocabulary lacks it.
  virtual int token_id(std::string_view text) const = 0;
};

// Streams one answer. Never emits half a UTF-8 character: incomplete bytes are held back until they are whole, and
// invalid ones come out as U+FFFD. The first piece's leading space is dropped.
class Detokenizer {
 public:
  explicit Detokenizer(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {}
  std::string push(int id);
  std::string finish();
  // What push() would return, or token_text() where that is nothing. Changes nothing.
  std::string peek(int id) const;

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string pending_;
  bool at_start_ = true;
};

}  // namespace sf

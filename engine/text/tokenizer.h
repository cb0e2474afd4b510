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
  virtual int image_id() const { return piece_id("<image>"); }
  // Whether the vocabulary is another project's: then it has not this one's control pieces.
  virtual bool imported() const { return false; }
  // Whether a prompt begins with bos_id().
  virtual bool add_bos() const { return false; }
  // Effect: ids of `text`, no BOS or EOS added. Errors: InvalidArgument (field "question") for invalid UTF-8.
  virtual std::vector<int> encode(std::string_view text) const = 0;
  // The same for a text that follows a control token of a prompt; some models put no leading space there.
  virtual std::vector<int> encode_inside(std::string_view text) const { return encode(text); }
  // The id of a whole piece such as "<image>"; -1 where the vocabulary lacks it.
  virtual int piece_id(std::string_view piece) const = 0;
  // The piece's text as stored: U+2581 marks a leading space, "<0xNN>" a byte.
  virtual std::string piece(int id) const = 0;
  virtual bool is_control(int id) const = 0;
  // The raw bytes that the piece stands for, its leading-space mark as ' '; a byte piece gives one byte; control pieces
  // none.
  virtual std::string piece_bytes(int id) const = 0;
};

// Streams one answer. Never emits half a UTF-8 character: incomplete bytes are held back until they are whole, and
// invalid ones come out as U+FFFD. The first piece's leading space is dropped.
class Detokenizer {
 public:
  explicit Detokenizer(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {}
  std::string push(int id);
  std::string finish();
  // What push() would return, or the piece as stored where that is nothing. Changes nothing.
  std::string peek(int id) const;

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string pending_;
  bool at_start_ = true;
};

}  // namespace sf

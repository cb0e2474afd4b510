#include "server/grpc/message_buffer.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpc/byte_buffer_reader.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <zlib.h>

#include <array>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace sf::server {
namespace {

namespace io = google::protobuf::io;

// The bytes as they came. Whether they are compressed stands in the C buffer alone.
class BufferReader final : public grpc::ProtoBufferReader {
 public:
  explicit BufferReader(grpc::ByteBuffer& buffer) : grpc::ProtoBufferReader(&buffer) {}
  bool is_compressed() { return reader()->buffer_in->data.raw.compression != GRPC_COMPRESS_NONE; }
};

// A gzip or zlib stream inflated as it is read. Bytes behind its end are an error, as a cut before it is.
class InflatingStream final : public io::ZeroCopyInputStream {
 public:
  explicit InflatingStream(io::ZeroCopyInputStream& source) : source_(source) {
    constexpr int kEitherHeader = MAX_WBITS + 32;
    SF_CHECK(inflateInit2(&zlib_, kEitherHeader) == Z_OK, "zlib cannot be set up");
  }
  ~InflatingStream() override { inflateEnd(&zlib_); }
  InflatingStream(const InflatingStream&) = delete;
  InflatingStream& operator=(const InflatingStream&) = delete;

  bool Next(const void** data, int* size) override {
    if (num_backed_up_ == 0 && !inflate_more()) return false;
    *data = buffer_.data() + num_filled_ - num_backed_up_;
    *size = num_backed_up_;
    byte_count_ += num_backed_up_;
    num_backed_up_ = 0;
    return true;
  }
  void BackUp(int count) override {
    num_backed_up_ = count;
    byte_count_ -= count;
  }
  bool Skip(int count) override {
    const void* data = nullptr;
    for (int size = 0; count > 0; count -= size) {
      if (!Next(&data, &size)) return false;
      if (size > count) {
        BackUp(size - count);
        return true;
      }
    }
    return true;
  }
  int64_t ByteCount() const override { return byte_count_; }
  // Whether the stream was read to its end, and nothing stands behind.
  bool is_whole() { return ended_ && zlib_.avail_in == 0 && !take_input(); }

 private:
  bool take_input() {
    const void* data = nullptr;
    int size = 0;
    while (size == 0) {
      if (!source_.Next(&data, &size)) return false;
    }
    zlib_.next_in = static_cast<Bytef*>(const_cast<void*>(data));
    zlib_.avail_in = static_cast<uInt>(size);
    return true;
  }
  // Fills the buffer with at least one byte: num_backed_up_ says how many.
  bool inflate_more() {
    num_filled_ = 0;
    while (num_filled_ == 0) {
      if (ended_ || (zlib_.avail_in == 0 && !take_input())) return false;
      zlib_.next_out = buffer_.data();
      zlib_.avail_out = static_cast<uInt>(buffer_.size());
      const int result = inflate(&zlib_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END) return false;
      ended_ = result == Z_STREAM_END;
      num_filled_ = static_cast<int>(buffer_.size() - zlib_.avail_out);
    }
    num_backed_up_ = num_filled_;
    return true;
  }

  io::ZeroCopyInputStream& source_;
  z_stream zlib_ = {};
  std::array<Bytef, 32 << 10> buffer_;
  int num_filled_ = 0, num_backed_up_ = 0;
  int64_t byte_count_ = 0;
  bool ended_ = false;
};

Error too_large(size_t max_bytes, const char* when) {
  return Error(Code::kResourceExhausted, concat("the message is larger than ", max_bytes, " bytes", when), "",
               Reason::kTooLarge);
}

Error malformed(const google::protobuf::Message& message) {
  return invalid_argument("", "the message is not a valid ", message.GetDescriptor()->name());
}

// The top-level text field whose bytes are not UTF-8; empty if that is not what is wrong.
std::string field_without_utf8(io::ZeroCopyInputStream& bytes, const google::protobuf::Descriptor& descriptor) {
  google::protobuf::UnknownFieldSet fields;
  if (!fields.ParseFromZeroCopyStream(&bytes)) return "";
  for (int i = 0; i < fields.field_count(); ++i) {
    const google::protobuf::UnknownField& field = fields.field(i);
    if (field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) continue;
    const google::protobuf::FieldDescriptor* known = descriptor.FindFieldByNumber(field.number());
    if (known == nullptr || known->type() != google::protobuf::FieldDescriptor::TYPE_STRING) continue;
    if (!is_valid_utf8(field.length_delimited())) return known->name();
  }
  return "";
}

// Gives `use` the bytes as they were before the client compressed them, and no more than one above `max_bytes`.
// Returns how many `use` has read. Errors: InvalidArgument for a damaged stream.
template <typename Use>
size_t with_bytes(grpc::ByteBuffer& buffer, size_t max_bytes, const Use& use) {
  BufferReader raw(buffer);
  if (!raw.status().ok()) throw Error(Code::kInvalidArgument, "the message cannot be read");
  const auto limit = static_cast<int64_t>(max_bytes) + 1;
  if (!raw.is_compressed()) {
    io::LimitingInputStream limited(&raw, limit);
    use(limited);
    return static_cast<size_t>(limited.ByteCount());
  }
  InflatingStream inflated(raw);
  io::LimitingInputStream limited(&inflated, limit);
  use(limited);
  const auto num_bytes = static_cast<size_t>(limited.ByteCount());
  if (num_bytes <= max_bytes && !inflated.is_whole()) {
    throw Error(Code::kInvalidArgument, "the compressed message is damaged or cut short");
  }
  return num_bytes;
}

}  // namespace

size_t parse_message(const grpc::ByteBuffer& buffer, google::protobuf::Message& message, size_t max_bytes) {
  if (buffer.Length() > max_bytes) throw too_large(max_bytes, "");
  grpc::ByteBuffer bytes = buffer;  // shares them
  bool parsed = false;
  const size_t num_bytes = with_bytes(bytes, max_bytes, [&](io::ZeroCopyInputStream& in) {
    parsed = message.ParseFromZeroCopyStream(&in);
    // What stands behind an error still counts.
    for (const void* data = nullptr; !parsed;) {
      int size = 0;
      if (!in.Next(&data, &size)) break;
    }
  });
  if (num_bytes > max_bytes) throw too_large(max_bytes, " when inflated");
  if (parsed) return num_bytes;
  std::string field;
  with_bytes(bytes, max_bytes, [&](io::ZeroCopyInputStream& in) {
    field = field_without_utf8(in, *message.GetDescriptor());
    const void* data = nullptr;
    for (int size = 0; in.Next(&data, &size);) continue;
  });
  if (!field.empty()) throw invalid_argument(field, field, ": not valid UTF-8");
  throw malformed(message);
}

grpc::ByteBuffer serialize_message(const google::protobuf::Message& message) {
  grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace sf::server

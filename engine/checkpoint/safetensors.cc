#include "engine/checkpoint/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"

namespace sf {
namespace {

using Json = nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMaxDimensions = 64;
constexpr std::string_view kMetadataKey = "__metadata__";

struct TensorEntry {
  std::optional<Dtype> dtype;
  std::optional<std::vector<uint64_t>> shape;
  std::optional<std::vector<uint64_t>> offsets;  // begin and end, relative to the byte buffer
};

// Follows the JSON header event by event and keeps only what the format knows, so a hostile header costs no more than
// its length and nests no deeper than three levels.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(const std::string& file_name) : file_name_(file_name) {}

  std::map<std::string, TensorEntry> tensors;
  std::map<std::string, std::string> metadata;

  [[noreturn]] void fail(const std::string& reason) const {
    const std::string where = name_.empty() ? "" : "tensor '" + name_ + "': ";
    throw Error(Code::kDataLoss, file_name_ + ": " + where + reason, name_);
  }

  bool null() override { fail("null in the header"); }
  bool boolean(bool) override { fail("boolean in the header"); }
  bool number_float(double, const std::string&) override { fail("number is no integer, or too large"); }
  bool number_integer(int64_t) override { fail("negative number"); }
  bool binary(Json::binary_t&) override { fail("binary in the header"); }

  bool number_unsigned(uint64_t value) override {
    if (list_ == nullptr) fail("number in the wrong place");
    if (list_->size() >= kMaxDimensions) fail("too many numbers in a list");
    list_->push_back(value);
    return true;
  }

  bool string(std::string& value) override {
    if (depth_ == 2 && in_metadata_) {
      if (!metadata.emplace(field_, value).second) fail("duplicate metadata key '" + field_ + "'");
    } else if (depth_ == 2 && field_ == "dtype") {
      if (tensor_->dtype) fail("duplicate dtype");
      tensor_->dtype = dtype_of(value);
      if (!tensor_->dtype) fail("unknown dtype '" + value + "'");
    } else {
      fail("string in the wrong place");
    }
    return true;
  }

  bool start_object(size_t) override {
    if (depth_ >= 2 || list_ != nullptr) fail("object in the wrong place");
    if (++depth_ == 2 && !in_metadata_) tensor_ = &tensors[name_];
    return true;
  }

  bool end_object() override {
    if (depth_-- == 2) {
      if (!in_metadata_ && !(tensor_->dtype && tensor_->shape && tensor_->offsets)) {
        fail("dtype, shape or data_offsets is missing");
      }
      in_metadata_ = false;
    }
    name_.clear();
    return true;
  }

  bool key(std::string& value) override {
    if (depth_ == 2) {
      field_ = value;
      return true;
    }
    name_ = value;
    in_metadata_ = value == kMetadataKey;
    const bool seen = in_metadata_ ? std::exchange(metadata_seen_, true) : tensors.contains(value);
    if (seen) fail("duplicate key");
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata_ || list_ != nullptr) fail("list in the wrong place");
    std::optional<std::vector<uint64_t>>* list = field_ == "shape"          ? &tensor_->shape
                                                 : field_ == "data_offsets" ? &tensor_->offsets
                                                                            : nullptr;
    if (list == nullptr) fail("unknown field '" + field_ + "'");
    if (list->has_value()) fail("duplicate " + field_);
    list_ = &list->emplace();
    return true;
  }

  bool end_array() override {
    list_ = nullptr;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    name_.clear();
    fail(concat("header is not JSON at byte ", position));
  }

 private:
  const std::string& file_name_;
  int depth_ = 0;
  bool in_metadata_ = false;
  bool metadata_seen_ = false;
  std::string name_;   // key of the top level
  std::string field_;  // key below it
  TensorEntry* tensor_ = nullptr;
  std::vector<uint64_t>* list_ = nullptr;  // the list being read
};

// Bytes that the shape asks for; nothing where the product does not fit 63 bits.
std::optional<uint64_t> bytes_of_shape(const std::vector<uint64_t>& shape, Dtype dtype) {
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  // A zero anywhere makes the product zero, but its neighbours must be sizes too.
  uint64_t product = dtype_size(dtype);
  bool empty = false;
  for (const uint64_t side : shape) {
    if (side > kMax) return std::nullopt;
    if (side == 0) {
      empty = true;
    } else if (product > kMax / side) {
      return std::nullopt;
    } else {
      product *= side;
    }
  }
  return empty ? 0 : product;
}

TensorView view_of(const TensorEntry& entry, std::string_view buffer, const std::string& name,
                   const std::string& file_name) {
  const auto fail = [&](const auto&... reason) {
    throw Error(Code::kDataLoss, concat(file_name, ": tensor '", name, "': ", reason...), name);
  };
  const std::vector<uint64_t>& offsets = *entry.offsets;
  if (offsets.size() != 2) fail("data_offsets must be two numbers, got ", offsets.size());
  const uint64_t begin = offsets[0], end = offsets[1];
  if (begin > end) fail("data_offsets run backwards");
  if (end > buffer.size()) fail("data ends at byte ", end, " of ", buffer.size());
  const std::optional<uint64_t> expected = bytes_of_shape(*entry.shape, *entry.dtype);
  if (!expected) fail("shape is too large");
  if (*expected != end - begin) fail("shape needs ", *expected, " bytes, data_offsets span ", end - begin);
  return {*entry.dtype, {entry.shape->begin(), entry.shape->end()}, buffer.substr(begin, end - begin)};
}

// The tensors must tile the buffer: no byte unnamed, no byte named twice.
void check_tiling(const std::map<std::string, TensorEntry>& entries, size_t buffer_size, const std::string& file_name) {
  struct Span {
    uint64_t begin, end;
    const std::string* name;
  };
  std::vector<Span> spans;
  for (const auto& [name, entry] : entries) spans.push_back({(*entry.offsets)[0], (*entry.offsets)[1], &name});
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t covered = 0;
  for (const Span& span : spans) {
    if (span.begin != covered) {
      const char* reason = span.begin < covered ? "overlaps the tensor before it" : "leaves a hole before it";
      throw Error(Code::kDataLoss, concat(file_name, ": tensor '", *span.name, "': ", reason, ", at byte ", covered),
                  *span.name);
    }
    covered = span.end;
  }
  if (covered != buffer_size) {
    throw Error(Code::kDataLoss, concat(file_name, ": ", buffer_size - covered, " bytes behind the last tensor"));
  }
}

std::string_view header_of(std::string_view bytes, const std::string& file_name) {
  if (bytes.size() < kLengthBytes) throw Error(Code::kDataLoss, file_name + ": truncated before the header");
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  if (length > kMaxHeaderBytes)
    throw Error(Code::kDataLoss,
                concat(file_name, ": header of ", length, " bytes is over the limit of ", kMaxHeaderBytes));
  if (length > bytes.size() - kLengthBytes) throw Error(Code::kDataLoss, file_name + ": truncated in the header");
  const std::string_view header = bytes.substr(kLengthBytes, length);
  if (header.empty() || header.front() != '{')
    throw Error(Code::kDataLoss, file_name + ": header does not start with '{'");
  return header;
}

}  // namespace

int64_t num_elements(const std::vector<int64_t>& shape) {
  int64_t product = 1;
  for (const int64_t side : shape) product *= side;
  return product;
}

Safetensors Safetensors::parse(std::string_view bytes, const std::string& file_name) {
  const std::string_view header = header_of(bytes, file_name);
  const std::string_view buffer = bytes.substr(kLengthBytes + header.size());
  HeaderReader reader(file_name);
  Json::sax_parse(header.begin(), header.end(), &reader);

  Safetensors file;
  file.file_name_ = file_name;
  for (const auto& [name, entry] : reader.tensors) {
    file.tensors_.emplace_hint(file.tensors_.end(), name, view_of(entry, buffer, name, file_name));
  }
  check_tiling(reader.tensors, buffer.size(), file_name);
  file.metadata_ = std::move(reader.metadata);
  return file;
}

const TensorView* Safetensors::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const TensorView& Safetensors::at(const std::string& name) const {
  const TensorView* tensor = find(name);
  if (tensor == nullptr) throw Error(Code::kDataLoss, file_name_ + ": tensor '" + name + "' is missing", name);
  return *tensor;
}

uint64_t num_bytes(const TensorLayout& tensor) {
  const bool negative = std::any_of(tensor.shape.begin(), tensor.shape.end(), [](int64_t side) { return side < 0; });
  const auto bytes = bytes_of_shape({tensor.shape.begin(), tensor.shape.end()}, tensor.dtype);
  SF_REQUIRE(!negative && bytes, "safetensors: the shape of a tensor is negative or too large");
  return *bytes;
}

SafetensorsHead safetensors_head(const std::map<std::string, TensorLayout>& tensors,
                                 const std::map<std::string, std::string>& metadata) {
  SafetensorsHead head;
  for (const auto& [name, tensor] : tensors) {
    SF_REQUIRE(name != kMetadataKey && !name.empty(), "safetensors: name is reserved, '", name, "'");
    head.order.push_back(name);
  }
  std::stable_sort(head.order.begin(), head.order.end(), [&](const std::string& a, const std::string& b) {
    return dtype_size(tensors.at(a).dtype) > dtype_size(tensors.at(b).dtype);
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  uint64_t offset = 0;
  for (const std::string& name : head.order) {
    const TensorLayout& tensor = tensors.at(name);
    const uint64_t end = offset + num_bytes(tensor);
    header[name] = {{"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }

  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(Code::kInvalidArgument, "safetensors: a name or metadata value is not UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  SF_REQUIRE(text.size() <= kMaxHeaderBytes, "safetensors: header is over the format's limit");
  for (size_t i = 0; i < kLengthBytes; ++i) head.bytes += static_cast<char>(text.size() >> (8 * i));
  head.bytes += text;
  return head;
}

std::string write_safetensors(const std::map<std::string, TensorView>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::map<std::string, TensorLayout> layouts;
  size_t size = 0;
  for (const auto& [name, tensor] : tensors) {
    layouts[name] = {tensor.dtype, tensor.shape};
    const bool negative = std::any_of(tensor.shape.begin(), tensor.shape.end(), [](int64_t side) { return side < 0; });
    const auto expected = bytes_of_shape({tensor.shape.begin(), tensor.shape.end()}, tensor.dtype);
    SF_REQUIRE(!negative && expected == tensor.bytes.size(), "safetensors: bytes do not match the shape of tensor '",
               name, "'");
    size += tensor.bytes.size();
  }
  SafetensorsHead head = safetensors_head(layouts, metadata);
  std::string bytes = std::move(head.bytes);
  bytes.reserve(bytes.size() + size);
  for (const std::string& name : head.order) bytes += tensors.at(name).bytes;
  return bytes;
}

}  // namespace sf

#include "server/http/kserve_request.h"

#include "server/kserve/bytes_tensor.h"
#include "server/wire/base64.h"
#include "server/wire/json_parse.h"
#include "server/wire/unread_fields.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr size_t kMaxTensors = 16;

// The bytes after the JSON, handed out in order.
class BinaryPart {
 public:
  explicit BinaryPart(std::string_view bytes) : bytes_(bytes) {}

  std::string_view take(const std::string& name, uint64_t size) {
    if (size > bytes_.size()) {
      throw invalid_argument(name, name, ": binary_data_size is ", size, ", ", bytes_.size(), " bytes are left");
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  void check_all_taken() const {
    if (!bytes_.empty()) throw invalid_argument("", "body: ", bytes_.size(), " bytes after the last tensor");
  }

 private:
  std::string_view bytes_;
};

InferValue read_value(const std::string& name, const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) return get_strings(json{{name, value}}, name);
  throw invalid_argument(excerpt(name), excerpt(name), ": must be a number, a string, true or false");
}

void add_parameter(InferParameterMap& map, const std::string& name, const json& value) {
  if (value.is_null()) return;
  if (!map.emplace(name, read_value(name, value)).second) {
    throw invalid_argument(excerpt(name), excerpt(name), ": given twice");
  }
}

InferParameterMap read_parameters(const json& body) {
  InferParameterMap map;
  const json* parameters = find_value(body, "parameters");
  if (parameters == nullptr) return map;
  if (!parameters->is_object()) throw invalid_argument("parameters", "parameters: must be an object");
  for (const auto& [name, value] : parameters->items()) add_parameter(map, name, value);
  return map;
}

// Parameters of one tensor: only those in `known` mean anything here (shared memory and classes do not).
json tensor_parameters(const json& tensor, const std::string& name, const char* known) {
  const json* parameters = find_value(tensor, "parameters");
  if (parameters == nullptr) return json::object();
  if (!parameters->is_object()) throw invalid_argument(name, name, ".parameters: must be an object");
  for (const auto& [key, value] : parameters->items()) {
    if (key != known) throw invalid_argument(name, name, ".parameters: ", excerpt(key), " is not supported");
  }
  return *parameters;
}

const json::array_t& read_tensors(const json& body, const char* name) {
  static const json::array_t kNone;
  const json* list = find_value(body, name);
  if (list == nullptr) return kNone;
  if (!list->is_array() || list->size() > kMaxTensors) {
    throw invalid_argument(name, name, ": must be an array of at most ", kMaxTensors, " tensors");
  }
  for (const json& tensor : *list) {
    if (!tensor.is_object()) throw invalid_argument(name, name, ": each must be an object");
  }
  return list->get_ref<const json::array_t&>();
}

std::string tensor_name(const json& tensor, const char* list) {
  const std::optional<std::string> name = get_string(tensor, "name");
  if (!name) throw invalid_argument(list, list, ": a tensor has no name");
  return *name;
}

// KServe's SDK says the model's name in the body too; the path is what counts.
constexpr const char* kInferFields[] = {"id", "inputs", "model_name", "model_version", "outputs", "parameters"};
constexpr const char* kTensorFields[] = {"name", "datatype", "shape", "data", "parameters"};

InferTensorHead read_head(const json& tensor) {
  InferTensorHead head{tensor_name(tensor, "inputs"), get_string(tensor, "datatype").value_or(""), {}};
  const json* shape = find_value(tensor, "shape");
  if (shape == nullptr || !shape->is_array()) {
    throw invalid_argument(excerpt(head.name), excerpt(head.name), ": shape must be an array of integers");
  }
  for (const auto& [key, value] : tensor.items()) {
    if (!is_one_of(kTensorFields, key)) check_unread_field(key, value);
  }
  for (const json& dim : *shape) head.shape.push_back(get_integer(json{{"shape", dim}}, "shape").value_or(-1));
  return head;
}

void add_texts(const json& data, const std::string& name, int depth, std::vector<std::string>& texts) {
  if (data.is_string()) {
    texts.push_back(data.get<std::string>());
  } else if (data.is_array() && depth > 0) {
    for (const json& part : data) add_texts(part, name, depth - 1, texts);
  } else {
    throw invalid_argument(name, name, ": data must be an array of strings");
  }
}

// The texts of "data", which may be nested as the shape is or flat.
std::vector<std::string> read_texts(const json& tensor, const std::string& name, size_t num_elements) {
  constexpr int kMaxDepth = 2;
  const json* data = find_value(tensor, "data");
  if (data == nullptr) throw invalid_argument(name, name, ": has neither data nor binary_data_size");
  std::vector<std::string> texts;
  if (data->is_array()) add_texts(*data, name, kMaxDepth, texts);
  if (texts.size() != num_elements) {
    const std::string expected = num_elements == 1 ? "one string" : std::to_string(num_elements) + " strings";
    throw invalid_argument(name, name, ": data must be an array of ", expected, " as the shape says");
  }
  return texts;
}

// Base64 texts and data URIs become images.
void decode_images(std::vector<std::string>& texts, const RequestLimits& limits) {
  for (std::string& text : texts) text = decode_image_text(text, limits.max_image_bytes, kImageTensor);
}

void read_input(InferRequest& request, const json& tensor, BinaryPart& binary, const RequestLimits& limits) {
  const InferTensorHead head = read_head(tensor);
  const size_t num_elements = check_input(head, limits.max_batch);
  const std::optional<uint64_t> size =
      get_unsigned(tensor_parameters(tensor, head.name, "binary_data_size"), "binary_data_size");
  if (size) {
    if (find_value(tensor, "data")) throw invalid_argument(head.name, head.name, ": has data and binary_data_size");
    set_input(request, head, split_bytes_tensor(binary.take(head.name, *size), num_elements, head.name));
    return;
  }
  std::vector<std::string> texts = read_texts(tensor, head.name, num_elements);
  if (head.name == kImageTensor) decode_images(texts, limits);
  set_input(request, head, std::move(texts));
}

// An input of generate: a text, or a list of them.
std::optional<std::vector<std::string>> read_generate_input(const json& body, const char* name, int max_batch) {
  const json* value = find_value(body, name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) return std::vector<std::string>{get_string(body, name).value_or("")};
  const auto num_elements = static_cast<int64_t>(value->size());
  check_input({name, kBytesDatatype, {num_elements}}, max_batch);
  std::vector<std::string> texts;
  add_texts(*value, name, 1, texts);
  return texts;
}

// Whether ANSWER is wanted as binary: its own word, else the request's.
bool read_outputs(const json& body, bool by_default) {
  std::vector<std::string> names;
  bool binary = by_default;
  for (const json& output : read_tensors(body, "outputs")) {
    names.push_back(tensor_name(output, "outputs"));
    const json parameters = tensor_parameters(output, excerpt(names.back()), "binary_data");
    binary = get_bool(parameters, "binary_data").value_or(by_default);
  }
  check_outputs(names);
  return binary;
}

}  // namespace

HttpInfer read_infer_body(const json& object, std::string_view binary_part, const RequestLimits& limits) {
  BinaryPart binary(binary_part);
  HttpInfer infer;
  InferRequest& request = infer.request;
  request.id = get_string(object, "id").value_or("");
  for (const auto& [name, value] : object.items()) {
    if (!is_one_of(kInferFields, name)) check_unread_field(name, value);
  }
  request.parameters = read_infer_parameters(read_parameters(object));
  for (const json& tensor : read_tensors(object, "inputs")) read_input(request, tensor, binary, limits);
  binary.check_all_taken();
  infer.binary_output = read_outputs(object, request.parameters.binary_output);
  return infer;
}

InferRequest read_generate_body(const json& object, const RequestLimits& limits) {
  InferRequest request;
  request.id = get_string(object, "id").value_or("");
  request.images = read_generate_input(object, kImageTensor, limits.max_batch);
  if (request.images) decode_images(*request.images, limits);
  request.questions = read_generate_input(object, kQuestionTensor, limits.max_batch);
  if (request.questions) request.shape = {static_cast<int64_t>(request.questions->size())};
  InferParameterMap map = read_parameters(object);
  for (const auto& [name, value] : object.items()) {
    if (name == "id" || name == "parameters" || name == kImageTensor || name == kQuestionTensor) continue;
    add_parameter(map, name, value);
  }
  request.parameters = read_infer_parameters(map);
  return request;
}

}  // namespace sf::server

#include "engine/import/pickle.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "engine/base/error.h"

namespace sf {
namespace {

constexpr int kMaxDepth = 16;
constexpr int64_t kMaxValues = 1 << 20;  // a tensor takes about 15

// What the values may take, in bytes of memory for a byte of pickle: a tensor of torch.save needs about 30. Without it
// a few opcodes that repeat what stands there once (a long name, a long shape) are worth gigabytes.
constexpr int64_t kMemoryFactor = 64, kMemoryBase = 64 << 10;
// What the library spends on a node of its maps, beside the entry itself.
constexpr int64_t kNodeBytes = 64;
constexpr int64_t kStackBytes = 2 * sizeof(void*);  // a vector has up to twice the room of what is in it

enum class Kind { kNone, kBool, kInt, kText, kTuple, kDict, kGlobal, kStorage, kTensor, kMark };

// Bytes of a storage, as the pickle speaks of them.
struct Storage {
  Dtype dtype = Dtype::kF32;
  std::string_view name;
  int64_t elements = 0;
};

struct Tensor {
  Storage storage;
  int64_t offset = 0;
  std::vector<int64_t> shape;
};

// Small, because a byte of pickle can make one. Texts are views of the pickle; nothing is copied before the end.
struct Value {
  Kind kind = Kind::kNone;
  // Whether it lies inside another value. Then it may not change any more, so there are no cycles and depths stay true.
  bool held = false;
  int depth = 1;
  int64_t number = 0;                      // kInt, kBool
  std::string_view text;                   // kText, kGlobal ("module\nname")
  std::vector<Value*> items;               // kTuple; kDict: key, value, key, value
  std::unique_ptr<const Storage> storage;  // kStorage
  std::unique_ptr<const Tensor> tensor;    // kTensor
};
using ValuePtr = Value*;  // owned by the reader

// Globals are written as they stand in the pickle, module and name on a line each.
std::optional<Dtype> dtype_of_storage(std::string_view global) {
  static const std::map<std::string_view, Dtype> table = {
      {"torch\nDoubleStorage", Dtype::kF64}, {"torch\nFloatStorage", Dtype::kF32},
      {"torch\nHalfStorage", Dtype::kF16},   {"torch\nBFloat16Storage", Dtype::kBF16},
      {"torch\nLongStorage", Dtype::kI64},   {"torch\nIntStorage", Dtype::kI32},
      {"torch\nShortStorage", Dtype::kI16},  {"torch\nCharStorage", Dtype::kI8},
      {"torch\nByteStorage", Dtype::kU8},    {"torch\nBoolStorage", Dtype::kBool}};
  const auto found = table.find(global);
  if (found == table.end()) return std::nullopt;
  return found->second;
}

constexpr std::string_view kOrderedDict = "collections\nOrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils\n_rebuild_tensor_v2";

// A stack machine over the pickle's opcodes; their names are those of Python's pickletools.
class PickleReader {
 public:
  PickleReader(std::string_view bytes, const std::string& file_name)
      : bytes_(bytes),
        file_name_(file_name),
        memory_left_(kMemoryBase + kMemoryFactor * static_cast<int64_t>(bytes.size())) {
    mark_.kind = Kind::kMark;
  }

  std::map<std::string, PickledTensor> read() {
    while (step()) {
    }
    const ValuePtr root = pop();
    if (!stack_.empty()) fail("values are left over");
    if (root->kind != Kind::kDict) fail("holds no dictionary of tensors");
    std::map<std::string, PickledTensor> tensors;
    for (size_t i = 0; i < root->items.size(); i += 2) {
      const Value &key = *root->items[i], &value = *root->items[i + 1];
      if (value.kind != Kind::kTensor) fail("'", key.text, "' is no tensor");
      if (!tensors.emplace(key.text, pickled(*value.tensor, key.text)).second)
        fail("tensor '", key.text, "' stands there twice");
    }
    return tensors;
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(const Args&... reason) const {
    throw Error(Code::kDataLoss, concat(file_name_, ": pickle: ", reason...), file_name_);
  }

  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - at_) fail("cut off at byte ", at_);
    const std::string_view out = bytes_.substr(at_, size);
    at_ += size;
    return out;
  }

  uint64_t number(int size) {
    const std::string_view text = take(static_cast<uint64_t>(size));
    uint64_t value = 0;
    for (int i = 0; i < size; ++i) value |= uint64_t{static_cast<uint8_t>(text[static_cast<size_t>(i)])} << (8 * i);
    return value;
  }

  // One line without its end, of at most 256 bytes.
  std::string_view line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos || end - at_ > 256) fail("a name is cut off or too long");
    const std::string_view out = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return out;
  }

  void charge(int64_t bytes) {
    memory_left_ -= bytes;
    if (memory_left_ < 0) fail("takes more than ", kMemoryFactor, " times its length in memory, at byte ", at_);
  }

  PickledTensor pickled(const Tensor& tensor, std::string_view name) {
    const size_t copied = sizeof(PickledTensor) + sizeof(std::string) + name.size() + tensor.storage.name.size() +
                          tensor.shape.size() * sizeof(int64_t);
    charge(kNodeBytes + static_cast<int64_t>(copied));
    return {tensor.storage.dtype, std::string(tensor.storage.name), tensor.storage.elements, tensor.offset,
            tensor.shape};
  }

  void count_value() {
    if (++num_values_ > kMaxValues) fail("more than ", kMaxValues, " values");
  }

  ValuePtr make(Kind kind) {
    count_value();
    charge(sizeof(Value));
    Value& value = values_.emplace_back();
    value.kind = kind;
    return &value;
  }

  void push(ValuePtr value) {
    charge(kStackBytes);
    stack_.push_back(value);
  }

  void push(Kind kind, int64_t number = 0, std::string_view text = {}) {
    const ValuePtr value = make(kind);
    value->number = number;
    value->text = text;
    push(value);
  }

  // Marks and None are all alike.
  void push_shared(Value& value) {
    count_value();
    push(&value);
  }

  ValuePtr pop() {
    if (stack_.empty()) fail("the stack is empty at byte ", at_);
    const ValuePtr top = stack_.back();
    stack_.pop_back();
    memory_left_ += kStackBytes;
    if (top->kind == Kind::kMark) fail("a mark where a value is needed, at byte ", at_);
    return top;
  }

  ValuePtr top() {
    const ValuePtr value = pop();
    push(value);
    return value;
  }

  std::vector<ValuePtr> pop_to_mark() {
    size_t begin = stack_.size();
    while (begin > 0 && stack_[begin - 1]->kind != Kind::kMark) --begin;
    if (begin == 0) fail("no mark, at byte ", at_);
    std::vector<ValuePtr> items(stack_.begin() + static_cast<ptrdiff_t>(begin), stack_.end());
    memory_left_ += static_cast<int64_t>(stack_.size() - (begin - 1)) * kStackBytes;
    stack_.resize(begin - 1);
    return items;
  }

  void hold(Value& holder, ValuePtr item) {
    if (item->kind != Kind::kTuple && item->kind != Kind::kDict) return;
    if (item == &holder) fail("a value holds itself");
    item->held = true;
    holder.depth = std::max(holder.depth, item->depth + 1);
    if (holder.depth > kMaxDepth) fail("values nest deeper than ", kMaxDepth);
  }

  void push_tuple(std::vector<ValuePtr> items) {
    const ValuePtr tuple = make(Kind::kTuple);
    for (const ValuePtr item : items) hold(*tuple, item);
    charge(static_cast<int64_t>(items.size() * sizeof(ValuePtr)));
    tuple->items = std::move(items);
    push(tuple);
  }

  void push_popped_tuple(size_t size) {
    std::vector<ValuePtr> items(size);
    while (size > 0) items[--size] = pop();
    push_tuple(std::move(items));
  }

  void set_items(const std::vector<ValuePtr>& items) {
    const ValuePtr dict = top();
    if (dict->kind != Kind::kDict || dict->held || items.size() % 2 != 0)
      fail("SETITEMS on what is no fresh dictionary");
    for (size_t i = 0; i < items.size(); i += 2) {
      if (items[i]->kind != Kind::kText) fail("a key of a dictionary is no text");
      hold(*dict, items[i + 1]);
      charge(4 * sizeof(ValuePtr));
      dict->items.insert(dict->items.end(), {items[i], items[i + 1]});
    }
  }

  void put(uint64_t key) {
    const auto [entry, is_new] = memo_.insert_or_assign(key, top());
    if (is_new) charge(kNodeBytes);
  }
  void get(uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("no value ", key, " is remembered");
    push(found->second);
  }

  void push_global() {
    const size_t begin = at_;
    const std::string_view module = line(), name = line();
    const std::string_view global = bytes_.substr(begin, at_ - 1 - begin);
    if (global != kOrderedDict && global != kRebuildTensor && !dtype_of_storage(global)) {
      fail("global ", module, ".", name, " is not allowed");
    }
    push(Kind::kGlobal, 0, global);
  }

  // ('storage', torch.FloatStorage, key, device, elements)
  void push_storage() {
    const ValuePtr id = pop();
    const auto& items = id->items;
    const bool right = id->kind == Kind::kTuple && items.size() == 5 && items[0]->kind == Kind::kText &&
                       items[0]->text == "storage" && items[1]->kind == Kind::kGlobal &&
                       dtype_of_storage(items[1]->text) && items[2]->kind == Kind::kText &&
                       items[3]->kind == Kind::kText && items[4]->kind == Kind::kInt && items[4]->number >= 0;
    if (!right) fail("BINPERSID of what is no storage");
    const ValuePtr storage = make(Kind::kStorage);
    charge(sizeof(Storage));
    storage->storage.reset(new Storage{*dtype_of_storage(items[1]->text), items[2]->text, items[4]->number});
    push(storage);
  }

  std::vector<int64_t> sizes_of(ValuePtr tuple) {
    std::vector<int64_t> sizes;
    if (tuple->kind != Kind::kTuple || tuple->items.size() > 64) fail("a tensor's size is no tuple");
    charge(static_cast<int64_t>(tuple->items.size() * sizeof(int64_t)));
    sizes.reserve(tuple->items.size());
    for (const ValuePtr item : tuple->items) {
      if (item->kind != Kind::kInt || item->number < 0) fail("a tensor's size is no number");
      sizes.push_back(item->number);
    }
    return sizes;
  }

  // _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)
  void rebuild_tensor(const std::vector<ValuePtr>& arguments) {
    const bool right = (arguments.size() == 6 || arguments.size() == 7) && arguments[0]->kind == Kind::kStorage &&
                       arguments[1]->kind == Kind::kInt && arguments[1]->number >= 0;
    if (!right) fail("_rebuild_tensor_v2 with other arguments than a tensor's");
    const ValuePtr value = make(Kind::kTensor);
    charge(sizeof(Tensor));
    Tensor tensor;
    tensor.storage = *arguments[0]->storage;
    tensor.offset = arguments[1]->number;
    tensor.shape = sizes_of(arguments[2]);
    const std::vector<int64_t> strides = sizes_of(arguments[3]);
    if (strides.size() != tensor.shape.size()) fail("a tensor has other strides than sizes");
    int64_t elements = 1;
    for (size_t i = tensor.shape.size(); i-- > 0;) {
      if (tensor.shape[i] > 1 && strides[i] != elements)
        fail("a tensor is not contiguous; save it after .contiguous()");
      if (tensor.shape[i] > 0 && elements > std::numeric_limits<int64_t>::max() / tensor.shape[i])
        fail("a tensor is too large");
      elements *= tensor.shape[i];
    }
    if (elements > tensor.storage.elements || tensor.offset > tensor.storage.elements - elements) {
      fail("a tensor reaches beyond its storage");
    }
    value->tensor = std::make_unique<const Tensor>(std::move(tensor));
    push(value);
  }

  static std::string one_line(std::string_view global) {
    std::string text(global);
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  }

  void reduce() {
    const ValuePtr arguments = pop(), callee = pop();
    if (callee->kind != Kind::kGlobal || arguments->kind != Kind::kTuple) fail("REDUCE of what is no known call");
    if (callee->text == kRebuildTensor) return rebuild_tensor(arguments->items);
    if (callee->text != kOrderedDict || !arguments->items.empty())
      fail("REDUCE of ", one_line(callee->text), " is not allowed");
    push(Kind::kDict);
  }

  // A state_dict's _metadata is set as an attribute; it holds versions of modules only.
  void build() {
    const ValuePtr state = pop(), target = top();
    if (target->kind != Kind::kDict || state->kind != Kind::kDict) fail("BUILD of what is no OrderedDict");
  }

  int64_t long_integer() {
    const uint64_t size = number(1);
    if (size > 8) fail("LONG1 of more than 8 bytes");
    if (size == 0) return 0;
    uint64_t value = number(static_cast<int>(size));
    if (size < 8 && value >> (8 * size - 1) & 1) value |= ~uint64_t{0} << (8 * size);
    return static_cast<int64_t>(value);
  }

  // Runs one opcode; false after STOP.
  bool step() {
    const auto opcode = static_cast<uint8_t>(take(1)[0]);
    // clang-format off
    switch (opcode) {
      case 0x80: if (number(1) > 5) fail("a protocol newer than 5"); break;       // PROTO
      case '.': return false;                                                     // STOP
      case '(': push_shared(mark_); break;                                        // MARK
      case 'N': push_shared(none_); break;                                        // NONE
      case 0x88: push(Kind::kBool, 1); break;                                     // NEWTRUE
      case 0x89: push(Kind::kBool, 0); break;                                     // NEWFALSE
      case 'J': push(Kind::kInt, static_cast<int32_t>(number(4))); break;         // BININT
      case 'K': push(Kind::kInt, static_cast<int64_t>(number(1))); break;         // BININT1
      case 'M': push(Kind::kInt, static_cast<int64_t>(number(2))); break;         // BININT2
      case 0x8a: push(Kind::kInt, long_integer()); break;                         // LONG1
      case 'X': push(Kind::kText, 0, take(number(4))); break;                     // BINUNICODE
      case '}': push(Kind::kDict); break;                                         // EMPTY_DICT
      case ')': push_tuple({}); break;                                            // EMPTY_TUPLE
      case 't': push_tuple(pop_to_mark()); break;                                 // TUPLE
      case 0x85: push_popped_tuple(1); break;                                     // TUPLE1
      case 0x86: push_popped_tuple(2); break;                                     // TUPLE2
      case 0x87: push_popped_tuple(3); break;                                     // TUPLE3
      case 's': {                                                                 // SETITEM
        const ValuePtr value = pop(), key = pop();
        set_items({key, value});
        break;
      }
      case 'u': set_items(pop_to_mark()); break;                                  // SETITEMS
      case 'q': put(number(1)); break;                                            // BINPUT
      case 'r': put(number(4)); break;                                            // LONG_BINPUT
      case 'h': get(number(1)); break;                                            // BINGET
      case 'j': get(number(4)); break;                                            // LONG_BINGET
      case 'c': push_global(); break;                                             // GLOBAL
      case 'Q': push_storage(); break;                                            // BINPERSID
      case 'R': reduce(); break;                                                  // REDUCE
      case 'b': build(); break;                                                   // BUILD
      default: fail_opcode(opcode);
    }
    // clang-format on
    return true;
  }

  [[noreturn]] void fail_opcode(uint8_t opcode) const {
    static const std::map<uint8_t, const char*> names = {{'i', "INST"},
                                                         {'o', "OBJ"},
                                                         {0x81, "NEWOBJ"},
                                                         {0x92, "NEWOBJ_EX"},
                                                         {0x93, "STACK_GLOBAL"},
                                                         {0x82, "EXT1"},
                                                         {0x83, "EXT2"},
                                                         {0x84, "EXT4"},
                                                         {'P', "PERSID"},
                                                         {']', "EMPTY_LIST"},
                                                         {'a', "APPEND"},
                                                         {'e', "APPENDS"},
                                                         {'G', "BINFLOAT"},
                                                         {'I', "INT"},
                                                         {'L', "LONG"},
                                                         {'S', "STRING"},
                                                         {'T', "BINSTRING"},
                                                         {'U', "SHORT_BINSTRING"},
                                                         {'V', "UNICODE"},
                                                         {'B', "BINBYTES"},
                                                         {'C', "SHORT_BINBYTES"},
                                                         {0x8b, "LONG4"},
                                                         {0x8c, "SHORT_BINUNICODE"},
                                                         {0x8d, "BINUNICODE8"},
                                                         {0x8e, "BINBYTES8"},
                                                         {0x94, "MEMOIZE"},
                                                         {0x95, "FRAME"},
                                                         {'d', "DICT"},
                                                         {'l', "LIST"},
                                                         {'0', "POP"},
                                                         {'1', "POP_MARK"},
                                                         {'2', "DUP"},
                                                         {'p', "PUT"},
                                                         {'g', "GET"},
                                                         {0x8f, "EMPTY_SET"},
                                                         {0x90, "ADDITEMS"},
                                                         {0x91, "FROZENSET"},
                                                         {0x96, "BYTEARRAY8"},
                                                         {0x97, "NEXT_BUFFER"},
                                                         {0x98, "READONLY_BUFFER"}};
    const auto name = names.find(opcode);
    fail("opcode ", name == names.end() ? "of number " + std::to_string(opcode) : std::string(name->second),
         " at byte ", at_ - 1, " is not allowed in a state_dict");
  }

  std::string_view bytes_;
  const std::string& file_name_;
  size_t at_ = 0;
  int64_t num_values_ = 0;
  int64_t memory_left_;
  Value mark_, none_;
  std::deque<Value> values_;  // all of them: pointers stay valid, and nothing is freed one by one
  std::vector<ValuePtr> stack_;
  std::unordered_map<uint64_t, ValuePtr> memo_;
};

}  // namespace

std::map<std::string, PickledTensor> parse_state_dict(std::string_view pickle, const std::string& file_name) {
  return PickleReader(pickle, file_name).read();
}

}  // namespace sf

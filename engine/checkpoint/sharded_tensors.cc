#include "engine/checkpoint/sharded_tensors.h"

#include <sys/mman.h>

#include <set>

#include "engine/base/error.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/manifest.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

const std::string kWholeName = "model.safetensors";
const std::string kIndexName = "model.safetensors.index.json";
constexpr int64_t kMaxIndexBytes = 64 << 20;

// A read-only view of a whole file. Only the pages that are looked at take memory.
class Mapping {
 public:
  explicit Mapping(const RandomAccessFile& file) : size_(static_cast<size_t>(file.size())) {
    if (size_ == 0) return;
    address_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
    if (address_ == MAP_FAILED) throw Error(Code::kUnavailable, "safetensors: the file cannot be mapped");
  }
  ~Mapping() {
    if (size_ > 0) ::munmap(address_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  std::string_view bytes() const { return {static_cast<const char*>(address_), size_}; }

 private:
  void* address_ = nullptr;
  size_t size_;
};

std::map<std::string, std::string> parse_weight_map(const std::string& text) {
  const nlohmann::json index = parse_strict_json(text, kIndexName);
  const nlohmann::json& map = json_member(index, "weight_map", kIndexName);
  if (!map.is_object() || map.empty())
    throw invalid_argument(kIndexName, kIndexName, ": weight_map must be an object with tensors");
  std::map<std::string, std::string> file_of;
  for (const auto& [tensor, file] : map.items()) {
    if (!file.is_string() || !is_plain_file_name(file.get<std::string>())) {
      throw invalid_argument(kIndexName, kIndexName, ": the file of tensor '", tensor,
                             "' must be a plain name in the same directory, got ", file.dump());
    }
    file_of[tensor] = file;
  }
  return file_of;
}

}  // namespace

ShardedTensors::ShardedTensors(const fs::path& directory) {
  if (fs::exists(directory / kIndexName)) {
    add_shards(directory, read_file(directory / kIndexName, kMaxIndexBytes));
  } else if (fs::exists(directory / kWholeName)) {
    add_file(directory / kWholeName);
  } else {
    throw Error(Code::kNotFound, concat(directory.string(), " has neither ", kWholeName, " nor ", kIndexName),
                kWholeName);
  }
}

ShardedTensors ShardedTensors::of_file(const fs::path& file) {
  ShardedTensors out;
  out.add_file(file);
  return out;
}

std::vector<std::string> ShardedTensors::add_file(const fs::path& path) {
  const std::string file_name = path.filename().string();
  RandomAccessFile file(path);
  const Mapping mapping(file);
  const Safetensors header = Safetensors::parse(mapping.bytes(), file_name);
  std::vector<std::string> names;
  for (const auto& [name, view] : header.tensors()) {
    if (!tensors_.emplace(name, TensorLayout{view.dtype, view.shape}).second) {
      throw invalid_argument(name, file_name, ": tensor '", name, "' is in another shard too");
    }
    places_[name] = {files_.size(), view.bytes.data() - mapping.bytes().data()};
    names.push_back(name);
  }
  files_.push_back(std::move(file));
  return names;
}

void ShardedTensors::add_shards(const fs::path& directory, const std::string& index) {
  const std::map<std::string, std::string> file_of = parse_weight_map(index);
  std::set<std::string> shards;
  for (const auto& [tensor, file] : file_of) shards.insert(file);
  for (const std::string& shard : shards) {
    if (!fs::exists(directory / shard))
      throw Error(Code::kNotFound, concat(kIndexName, ": shard ", shard, " is missing"), shard);
    for (const std::string& name : add_file(directory / shard)) {
      const auto listed = file_of.find(name);
      if (listed == file_of.end() || listed->second != shard) {
        throw invalid_argument(name, shard, ": tensor '", name, "' is not listed there by ", kIndexName);
      }
    }
  }
  for (const auto& [tensor, file] : file_of) {
    if (!tensors_.contains(tensor))
      throw invalid_argument(tensor, file, ": tensor '", tensor, "' of ", kIndexName, " is missing");
  }
}

void ShardedTensors::read(const std::string& name, int64_t begin, int64_t size, char* out) const {
  const Place& place = places_.at(name);
  SF_CHECK(begin >= 0 && size >= 0 && begin + size <= static_cast<int64_t>(num_bytes(tensors_.at(name))),
           "sharded_tensors: beyond tensor '", name, "'");
  files_[place.file].read(place.offset + begin, size, out);
}

}  // namespace sf

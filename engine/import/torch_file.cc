#include "engine/import/torch_file.h"

#include "engine/base/error.h"
#include "engine/import/pickle.h"
#include "engine/import/zip_reader.h"

namespace sf {
namespace {

constexpr int64_t kMaxPickleBytes = 16 << 20;
// Tied weights share a storage; more than this is a file whose tensors would fill a disk.
constexpr int64_t kMaxSharing = 8;
const std::string kPickleName = "/data.pkl";

std::string bytes_of(const RandomAccessFile& file, const ZipEntry& entry) {
  std::string bytes(static_cast<size_t>(entry.size), '\0');
  file.read(entry.begin, entry.size, bytes.data());
  return bytes;
}

}  // namespace

TorchFile::TorchFile(const std::filesystem::path& path) : file_(path) {
  const std::string file_name = path.filename().string();
  const auto fail = [&](const auto&... reason) {
    throw Error(Code::kDataLoss, concat(file_name, ": ", reason...), file_name);
  };
  const std::map<std::string, ZipEntry> entries = read_zip_directory(file_, file_name);
  std::string folder;
  for (const auto& [name, entry] : entries) {
    if (!name.ends_with(kPickleName)) continue;
    if (!folder.empty()) fail("two pickles in one file");
    folder = name.substr(0, name.size() - kPickleName.size());
  }
  const auto pickle = entries.find(folder + kPickleName);
  if (pickle == entries.end()) fail("no data.pkl: not a file of torch.save");
  if (pickle->second.size > kMaxPickleBytes)
    fail("data.pkl of ", pickle->second.size, " bytes is over the limit of ", kMaxPickleBytes);
  const auto order = entries.find(folder + "/byteorder");
  if (order != entries.end() && (order->second.size != 6 || bytes_of(file_, order->second) != "little")) {
    fail("its byte order is not little-endian");
  }
  int64_t left = kMaxSharing * file_.size();
  for (const auto& [name, tensor] : parse_state_dict(bytes_of(file_, pickle->second), file_name)) {
    const auto storage = entries.find(folder + "/data/" + tensor.storage);
    if (storage == entries.end()) fail("the storage of tensor '", name, "' is missing");
    const auto size = static_cast<int64_t>(dtype_size(tensor.dtype));
    if (storage->second.size / size < tensor.storage_elements) fail("the storage of tensor '", name, "' is too short");
    left -= num_elements(tensor.shape) * size;
    if (left < 0) fail("its tensors share their bytes more than ", kMaxSharing, " times over, up to '", name, "'");
    tensors_[name] = {tensor.dtype, tensor.shape};
    begin_[name] = storage->second.begin + tensor.offset * size;
  }
}

void TorchFile::read(const std::string& name, int64_t begin, int64_t size, char* out) const {
  SF_CHECK(begin >= 0 && size >= 0 && begin + size <= static_cast<int64_t>(num_bytes(tensors_.at(name))),
           "torch_file: beyond tensor '", name, "'");
  file_.read(begin_.at(name) + begin, size, out);
}

}  // namespace sf

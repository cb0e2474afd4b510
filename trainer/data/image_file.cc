#include "trainer/data/image_file.h"

#include <cerrno>
#include <fstream>

#include "engine/base/machine_fault.h"

namespace sf::data {

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  errno = 0;
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw_errno("cannot write file " + path.string(), errno != 0 ? errno : EIO, path.string());
}

std::string read_file(const std::filesystem::path& path, int64_t max_bytes) {
  std::error_code failed;
  const bool regular = std::filesystem::is_regular_file(path, failed);
  const auto size = regular ? std::filesystem::file_size(path, failed) : 0;
  if (is_machine_errno(failed.value())) throw_errno("cannot read file " + path.string(), failed.value(), path.string());
  if (!regular || failed) throw Error(Code::kUnavailable, "cannot read file " + path.string(), path.string());
  if (static_cast<int64_t>(size) > max_bytes) {
    throw Error(Code::kResourceExhausted, concat("file has more than ", max_bytes, " bytes: ", path.string()),
                path.string(), Reason::kTooLarge);
  }
  std::string bytes(size, '\0');
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!in) throw_errno("cannot read file " + path.string(), errno != 0 ? errno : EIO, path.string());
  return bytes;
}

}  // namespace sf::data

#include "server/versions/pin_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string>
#include <system_error>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/machine_fault.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxBytes = 64;

[[noreturn]] void throw_unwritable(const fs::path& path, const std::string& why) {
  throw Error(Code::kFailedPrecondition,
              concat("pin: cannot be kept in ", path.string(), ": ", why, "; see --state-dir"), "version");
}

void require_place(bool kept) {
  if (kept) return;
  throw Error(Code::kFailedPrecondition, "pin: a checkpoint directory is one version, there is nothing to choose",
              "version");
}

}  // namespace

std::optional<int64_t> PinFile::read() const {
  if (!is_kept()) return std::nullopt;
  std::string text;
  try {
    text = read_file(path_, kMaxBytes);
  } catch (const Error& failure) {
    if (failure.code() == Code::kNotFound) return std::nullopt;
    if (is_machine_fault(failure)) throw_prefixed("pin: ", failure);
    throw Error(Code::kDataLoss, concat("pin: ", failure.what()), "version");
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r')) text.pop_back();
  int64_t version = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (wrong != std::errc() || end != text.data() + text.size() || version < 1) {
    throw Error(Code::kDataLoss, concat("pin: ", path_.string(), " holds no version"), "version");
  }
  return version;
}

void PinFile::write(int64_t version) const {
  require_place(is_kept());
  const fs::path temporary = path_.string() + ".tmp";
  try {
    write_file(temporary, concat(version, "\n"));
    const FileDescriptor file(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::fsync(file.get()) != 0) throw_errno("it cannot be synced", errno);
    fs::rename(temporary, path_);
    sync_directory(path_.parent_path());
  } catch (const std::exception& error) {
    throw_unwritable(path_, error.what());
  }
}

void PinFile::clear() const {
  require_place(is_kept());
  std::error_code error;
  fs::remove(path_, error);
  if (error) throw_unwritable(path_, error.message());
}

}  // namespace sf::server

#include "server/versions/checkpoint_source.h"

#include <charconv>
#include <set>
#include <system_error>
#include <utility>

#include "engine/base/file.h"
#include "engine/base/machine_fault.h"
#include "engine/checkpoint/sha256.h"
#include "engine/checkpoint/store.h"
#include "engine/checkpoint/version_lock.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGoldenName = "golden.json";
constexpr int64_t kMaxManifestBytes = 16 << 20;

class CheckpointCandidate final : public Candidate {
 public:
  CheckpointCandidate(VerifiedCheckpoint checkpoint, const EngineFactory& factory)
      : checkpoint_(std::move(checkpoint)), factory_(factory) {}
  std::optional<double> score() const override { return headline_score(checkpoint_.manifest().scores); }
  std::string evaluation_id() const override { return checkpoint_.manifest().evaluation_id; }
  std::vector<GoldenImage> golden() const override {
    if (!checkpoint_.has_file(kGoldenName)) return {};
    return parse_golden(checkpoint_.file(kGoldenName));
  }
  std::unique_ptr<Engine> load() override { return factory_(checkpoint_); }

 private:
  VerifiedCheckpoint checkpoint_;
  const EngineFactory& factory_;
};

// Names, sizes and times of all files: whatever is replaced changes one of them. Empty where it is gone or cannot be
// read.
std::string fingerprint_of(const fs::path& directory) {
  std::set<std::string> lines;
  std::error_code error;
  for (fs::directory_iterator file(directory, error), end; !error && file != end; file.increment(error)) {
    std::error_code no_type, no_size, no_time;
    const auto size = file->is_regular_file(no_type) ? file->file_size(no_size) : 0;
    const auto time = file->last_write_time(no_time).time_since_epoch().count();
    for (const std::error_code& failed : {no_type, no_size, no_time}) {
      if (is_machine_errno(failed.value())) return "";
    }
    lines.insert(concat(file->path().filename().string(), " ", size, " ", time, "\n"));
  }
  if (error) return "";
  std::string all = ";";
  for (const std::string& line : lines) all += line;
  return all;
}

std::optional<VersionFacts> facts_of(const fs::path& directory) {
  try {
    const std::string bytes = read_file(directory / kManifestName, kMaxManifestBytes);
    const Manifest manifest = parse_manifest(bytes);
    return VersionFacts{sha256_hex(bytes), manifest.step, manifest.created_unix, headline_score(manifest.scores),
                        manifest.evaluation_id};
  } catch (const std::exception& error) {
    if (is_machine_fault(error)) return std::nullopt;
    return VersionFacts{};  // the load, if it comes to one, says what is wrong
  }
}

// Without the folder too it was pruned.
bool waits_for_manifest(const fs::path& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) return false;
  return fs::symlink_status(directory / kManifestName, error).type() == fs::file_type::not_found;
}

// A file system without locks (some network mounts) must not keep a server from serving: it then has no such mark.
std::shared_ptr<const void> hold_directory(const fs::path& directory) {
  try {
    return std::make_shared<VersionLock>(VersionLock::hold(directory));
  } catch (const Error& error) {
    if (error.code() == Code::kUnimplemented) return nullptr;
    throw;
  }
}

class StoreSource final : public VersionSource {
 public:
  StoreSource(fs::path root, EngineFactory factory) : root_(std::move(root)), factory_(std::move(factory)) {}

  std::vector<int64_t> versions() override {
    std::vector<int64_t> numbers;
    const std::vector<StoreVersion> found = list_versions(root_);
    std::error_code error;
    if (found.empty() && !fs::exists(root_, error)) {
      throw Error(Code::kNotFound, concat("store: it is gone, '", root_.string(), "'"));
    }
    paths_.clear();
    for (const StoreVersion& version : found) {
      paths_[version.number] = version.path;
      numbers.push_back(version.number);
    }
    return numbers;
  }
  std::string fingerprint(int64_t version) override { return fingerprint_of(paths_[version]); }
  std::optional<VersionFacts> facts(int64_t version) override { return facts_of(paths_[version]); }
  bool waiting(int64_t version) override { return waits_for_manifest(paths_[version]); }
  std::shared_ptr<const void> hold(int64_t version) override { return hold_directory(paths_[version]); }
  std::unique_ptr<Candidate> open(int64_t version) override {
    return std::make_unique<CheckpointCandidate>(open_checkpoint(paths_[version]), factory_);
  }

 private:
  const fs::path root_;
  const EngineFactory factory_;
  std::map<int64_t, fs::path> paths_;  // of the last listing
};

class DirectorySource final : public VersionSource {
 public:
  DirectorySource(fs::path directory, EngineFactory factory)
      : directory_(std::move(directory)),
        version_(version_of_name(directory_).value_or(1)),
        factory_(std::move(factory)) {}

  std::vector<int64_t> versions() override { return {version_}; }
  std::string fingerprint(int64_t) override { return fingerprint_of(directory_); }
  std::optional<VersionFacts> facts(int64_t) override { return facts_of(directory_); }
  std::shared_ptr<const void> hold(int64_t) override { return hold_directory(directory_); }
  std::unique_ptr<Candidate> open(int64_t) override {
    return std::make_unique<CheckpointCandidate>(open_checkpoint(directory_), factory_);
  }

 private:
  const fs::path directory_;
  const int64_t version_;
  const EngineFactory factory_;
};

}  // namespace

bool is_checkpoint_directory(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path / kManifestName, error);
  // What cannot be looked at is neither: taken for a store, the checkpoint would get a version of its own inside.
  if (error && is_machine_errno(error.value())) {
    throw_errno(concat("file: cannot stat '", (path / kManifestName).string(), "'"), error.value());
  }
  return fs::is_regular_file(status);
}

std::unique_ptr<VersionSource> open_checkpoint_source(const fs::path& path, EngineFactory factory) {
  if (is_checkpoint_directory(path)) return std::make_unique<DirectorySource>(path, std::move(factory));
  return std::make_unique<StoreSource>(path, std::move(factory));
}

std::optional<double> headline_score(const std::map<std::string, double>& scores) {
  for (const char* name : {"score", "accuracy"}) {
    const auto found = scores.find(name);
    if (found != scores.end()) return found->second;
  }
  if (scores.empty()) return std::nullopt;
  double sum = 0;
  for (const auto& [name, value] : scores) sum += value;
  return sum / static_cast<double>(scores.size());
}

std::optional<int64_t> version_of_name(const fs::path& directory) {
  const fs::path path = directory.lexically_normal();
  const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number < 1) return std::nullopt;
  return number;
}

}  // namespace sf::server

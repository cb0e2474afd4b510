#include "trainer/tasks/user_rows/user_data.h"

#include <cerrno>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "engine/base/base64.h"
#include "engine/base/error.h"
#include "engine/base/machine_fault.h"
#include "engine/base/utf8.h"
#include "trainer/data/image_file.h"
#include "trainer/tasks/user_rows/csv.h"

namespace sf::data {
namespace {

constexpr size_t kNamedBadRows = 5;  // in the error message
constexpr size_t kMaxPathBytes = 4096;

// A row that is skipped. Its message is the reason.
struct RowError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Loader {
 public:
  Loader(std::filesystem::path folder, const UserDataOptions& options) : folder_(std::move(folder)), options_(options) {
    data_.limits = options.limits;
  }

  // Effect: adds the row that `read` gives, or records why it cannot.
  template <typename Read>
  void row(int line, const Read& read) {
    try {
      read();
      ++data_.num_rows;
    } catch (const RowError& error) {
      data_.bad_rows.push_back({line, error.what()});
    } catch (const MachineFault& error) {
      // Skipped, it would be missing from the training without a fault of its own.
      throw_prefixed(concat("data: line ", line, ": "), error);
    } catch (const Error& error) {
      data_.bad_rows.push_back({line, error.what()});
    }
  }

  void add(std::string image_bytes, UserQuestion question) {
    check_text(question.text, "question", options_.max_text_bytes);
    check_text(question.answer, "answer", options_.max_text_bytes);
    if (!question.kind.empty()) check_text(question.kind, "kind", options_.max_kind_bytes);
    image_of(std::move(image_bytes)).questions.push_back(std::move(question));
  }

  // A path where a file of that name exists, else a data URI or plain base64.
  std::string image_bytes(const std::string& image) {
    if (image.empty()) throw RowError("image is empty");
    if (is_data_uri(image)) return decode_data_uri(image, static_cast<size_t>(options_.limits.max_bytes), "image");
    if (image.size() <= kMaxPathBytes && image.find('\0') == std::string::npos) {
      std::error_code failed;
      const std::filesystem::path path = folder_ / image;
      if (std::filesystem::is_regular_file(path, failed)) return read_file(path, options_.limits.max_bytes);
      if (is_machine_errno(failed.value())) throw_errno(concat("image: '", path.string(), "'"), failed.value());
    }
    if (image.size() <= 255 && image.find('.') != std::string::npos) throw RowError("image: no such file");
    return base64_bytes(image);
  }

  UserData take() { return std::move(data_); }

 private:
  std::string base64_bytes(std::string_view text) {
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    try {
      return decode_base64(text, static_cast<size_t>(options_.limits.max_bytes), "image");
    } catch (const Error& error) {
      if (error.reason() == Reason::kTooLarge) throw;
      throw RowError(concat("image: neither a file nor base64 (", error.what(), ")"));
    }
  }

  static void check_text(const std::string& text, const std::string& field, size_t max_bytes) {
    if (text.empty()) throw RowError(field + " is empty");
    if (text.size() > max_bytes) throw RowError(field + " is longer than " + std::to_string(max_bytes) + " bytes");
    if (!is_valid_utf8(text)) throw RowError(field + " is not valid UTF-8");
  }

  UserImage& image_of(std::string bytes) {
    const size_t hash = std::hash<std::string>()(bytes);
    const auto [first, last] = index_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      if (data_.images[at->second].bytes == bytes) return data_.images[at->second];
    }
    const Image decoded = decode_image(bytes, options_.limits);
    index_.emplace(hash, data_.images.size());
    UserImage& image = data_.images.emplace_back();
    image.bytes = std::move(bytes);
    image.width = decoded.width;
    image.height = decoded.height;
    return image;
  }

  std::filesystem::path folder_;
  const UserDataOptions& options_;
  UserData data_;
  std::unordered_multimap<size_t, size_t> index_;  // hash of an image's bytes -> its place in data_.images
};

std::string text_field(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) throw RowError(std::string(name) + " is missing");
  if (!found->is_string()) throw RowError(std::string(name) + " is not a string");
  return found->get<std::string>();
}

// Empty where the row has no such field.
std::string optional_text_field(const nlohmann::json& object, const char* name) {
  return object.contains(name) ? text_field(object, name) : "";
}

UserQuestion question_of(const nlohmann::json& object) {
  UserQuestion question{text_field(object, "question"), text_field(object, "answer"),
                        optional_text_field(object, "kind")};
  const std::string split = optional_text_field(object, "split");
  if (!split.empty() && split != "train" && split != "eval") throw RowError("split is neither train nor eval");
  question.held_out = split == "eval";
  return question;
}

void load_jsonl(std::istream& in, Loader& loader) {
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    loader.row(number, [&] {
      const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (object.is_discarded()) throw RowError("not valid JSON");
      if (!object.is_object()) throw RowError("not a JSON object");
      const std::string image = text_field(object, "image");
      loader.add(loader.image_bytes(image), question_of(object));
    });
  }
}

void load_csv(std::istream& in, Loader& loader) {
  CsvReader reader(in);
  bool first = true;
  while (std::optional<CsvRow> row = reader.next()) {
    const bool heading = first && row->fields.size() == 2 && row->fields[0] == "image";
    first = false;
    if (heading) continue;
    loader.row(row->line, [&] {
      if (!row->error.empty()) throw RowError(row->error);
      if (row->fields.size() != 2) throw RowError("expected 2 fields, got " + std::to_string(row->fields.size()));
      loader.add(loader.image_bytes(row->fields[0]), {"describe the picture", row->fields[1]});
    });
  }
}

std::string named_lines(const std::vector<BadRow>& rows) {
  std::string text;
  for (size_t i = 0; i < rows.size() && i < kNamedBadRows; ++i) {
    text += concat(i == 0 ? "" : "; ", "line ", rows[i].line, ": ", rows[i].reason);
  }
  return rows.size() > kNamedBadRows ? text + "; ..." : text;
}

}  // namespace

UserData read_user_data(std::istream& in, UserDataFormat format, const std::filesystem::path& folder,
                        const UserDataOptions& options) {
  Loader loader(folder, options);
  if (format == UserDataFormat::kCsv)
    load_csv(in, loader);
  else
    load_jsonl(in, loader);
  UserData data = loader.take();
  SF_REQUIRE(static_cast<int64_t>(data.bad_rows.size()) <= options.max_bad_rows, "data: ", data.bad_rows.size(),
             " bad rows, at most ", options.max_bad_rows, " allowed: ", named_lines(data.bad_rows));
  SF_REQUIRE(data.num_rows > 0, "data: no good rows");
  return data;
}

UserData load_user_data(const std::filesystem::path& path, const UserDataOptions& options) {
  const std::string extension = path.extension().string();
  SF_REQUIRE(extension == ".jsonl" || extension == ".csv", "data: expected a .jsonl or .csv file, got ", path.string());
  std::error_code failed;
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) throw_errno("cannot read file " + path.string(), errno != 0 ? errno : EIO, path.string());
  if (!std::filesystem::is_regular_file(path, failed)) {
    throw Error(Code::kUnavailable, "cannot read file " + path.string(), path.string());
  }
  const auto format = extension == ".csv" ? UserDataFormat::kCsv : UserDataFormat::kJsonl;
  return read_user_data(in, format, path.parent_path(), options);
}

}  // namespace sf::data

#include "engine/checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>

#include "engine/base/error.h"
#include "engine/checkpoint/sha256.h"
#include "tests/engine/checkpoint/checkpoint_fixtures.h"

namespace sf {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

Manifest example() {
  Manifest manifest{.step = 12, .parent = std::string(64, 'a'), .created_unix = 1'700'000'000};
  manifest.scores = {{"accuracy", 0.1}, {"loss", 1e-300}};
  manifest.expert_histogram = {{0, 9'007'199'254'740'993}, {5, 6}};
  manifest.files = {{"config.json", {std::string(64, '0'), 0}}, {"model.safetensors", {std::string(64, 'f'), 1234}}};
  manifest.training_state = {{"state.safetensors", {std::string(64, '1'), 5}}};
  return manifest;
}

Error error_of(std::string_view bytes) {
  try {
    parse_manifest(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "manifest.json");
    return error;
  }
  ADD_FAILURE() << "accepted";
  return Error(Code::kOk, "");
}

// `text` with its checksum made right again, so that the checks behind the checksum are reached.
std::string sealed(std::string text) {
  const size_t at = text.size() - 4 - 64;
  text.replace(at, 64, std::string(64, '0'));
  return text.replace(at, 64, sha256_hex(text));
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = manifest_to_json(example());
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return sealed(text.replace(at, from.size(), to));
}

TEST(ManifestTest, RoundTrips) {
  const std::string text = manifest_to_json(example());
  EXPECT_EQ(parse_manifest(text), example());
  EXPECT_EQ(manifest_to_json(parse_manifest(text)), text);
  EXPECT_EQ(parse_manifest(manifest_to_json(Manifest{})), Manifest{});
}

TEST(ManifestTest, EveryFlippedBitIsSeen) {
  const std::string text = manifest_to_json(example());
  for (size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = text;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_NE(error_of(flipped).code(), Code::kOk) << "byte " << i << " bit " << bit;
    }
  }
}

TEST(ManifestTest, TruncationAtEveryByteIsSeen) {
  const std::string text = manifest_to_json(example());
  for (size_t length = 0; length < text.size(); ++length) error_of(std::string_view(text).substr(0, length));
  error_of(text + " ");
}

TEST(ManifestTest, NewerFormatIsRefusedByName) {
  const Error error = error_of(with("\"format_version\": 1", "\"format_version\": 2"));
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.what(), HasSubstr("format_version 2 is newer"));
  EXPECT_EQ(error_of(with("\"format_version\": 1", "\"format_version\": 0")).code(), Code::kDataLoss);
}

TEST(ManifestTest, FieldsAreCheckedBehindAValidChecksum) {
  EXPECT_THAT(error_of(with("\"step\": 12", "\"step\": -1")).what(), HasSubstr("'step'"));
  EXPECT_THAT(error_of(with("\"step\": 12", "\"step\": 18446744073709551615")).what(), HasSubstr("'step'"));
  EXPECT_THAT(error_of(with("\"step\": 12", "\"step\": 1.5")).what(), HasSubstr("'step'"));
  EXPECT_THAT(error_of(with("\"step\": 12,", "")).what(), HasSubstr("'step' is missing"));
  EXPECT_THAT(error_of(with("\"step\": 12", "\"step\": 12, \"step\": 12")).what(), HasSubstr("duplicate key 'step'"));
  EXPECT_THAT(error_of(with("\"step\": 12", "\"step\": 12, \"stop\": 12")).what(), HasSubstr("unknown fields"));
  EXPECT_THAT(error_of(with("\"accuracy\": 0.1", "\"accuracy\": \"high\"")).what(), HasSubstr("accuracy"));
  EXPECT_THAT(error_of(with("\"accuracy\": 0.1", "\"accuracy\": 1e999")).what(), HasSubstr("manifest.json"));
  EXPECT_THAT(error_of(with("\"size\": 1234", "\"size\": -5")).what(), HasSubstr("'size'"));
  EXPECT_THAT(error_of(with(std::string(64, 'f'), std::string(63, 'f'))).what(), HasSubstr("model.safetensors"));
  EXPECT_THAT(error_of(with(std::string(64, 'a'), "abc")).what(), HasSubstr("parent"));
  EXPECT_THAT(error_of(with("      6\n", "      6, 7\n")).what(), HasSubstr("rectangle"));
  EXPECT_THAT(error_of(with("      6\n", "      -6\n")).what(), HasSubstr("counts"));
}

TEST(ManifestTest, TheHistogramOfImageTokensIsOptionalAndAPartOfTheWhole) {
  EXPECT_EQ(manifest_to_json(example()).find("image_expert_histogram"), std::string::npos);
  Manifest manifest = example();
  manifest.image_expert_histogram = {{0, 7}, {5, 0}};
  EXPECT_EQ(parse_manifest(manifest_to_json(manifest)), manifest);
  for (const auto& wrong :
       std::vector<std::vector<std::vector<int64_t>>>{{{1, 7}, {5, 0}}, {{0, 7}}, {{0}, {5}}, {{0, -1}, {5, 0}}}) {
    manifest.image_expert_histogram = wrong;
    EXPECT_THROW(manifest_to_json(manifest), Error);
  }
  const std::string field = "\"expert_histogram\": [";
  EXPECT_THAT(error_of(with(field, "\"image_expert_histogram\": [[1, 0], [0, 0]], " + field)).what(),
              HasSubstr("part of"));
  EXPECT_THAT(error_of(with(field, "\"image_expert_histogram\": 3, " + field)).what(),
              HasSubstr("image_expert_histogram"));
}

TEST(ManifestTest, WhatTheScoresWereMeasuredOnIsOptionalAndADigest) {
  EXPECT_EQ(manifest_to_json(example()).find("evaluation_id"), std::string::npos);
  Manifest manifest = example();
  manifest.evaluation_id = std::string(64, 'e');
  EXPECT_EQ(parse_manifest(manifest_to_json(manifest)), manifest);
  manifest.evaluation_id = "circles";
  EXPECT_THROW(manifest_to_json(manifest), Error);
  const std::string field = "\"expert_histogram\": [";
  EXPECT_THAT(error_of(with(field, "\"evaluation_id\": \"circles\", " + field)).what(), HasSubstr("evaluation_id"));
}

TEST(ManifestTest, NamesThatLeadElsewhereAreRefused) {
  for (const char* name :
       {"../x", "a/b", "..", ".", "", ".hidden", "/etc/passwd", "a\\\\b", "manifest.json", "a b", "\\u0000"}) {
    EXPECT_THAT(error_of(with("\"config.json\"", concat("\"", name, "\""))).what(), HasSubstr("not plain")) << name;
  }
  EXPECT_TRUE(is_plain_file_name("model.safetensors"));
  EXPECT_FALSE(is_plain_file_name(std::string(129, 'a')));
  EXPECT_FALSE(is_plain_file_name(std::string_view("a\0b", 3)));
}

TEST(ManifestTest, DeepJsonIsRefused) { EXPECT_THAT(error_of(std::string(100'000, '[')).what(), HasSubstr("nested")); }

TEST(ManifestTest, WriterRefusesWhatItCouldNotReadBack) {
  Manifest manifest = example();
  manifest.scores["loss"] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(manifest_to_json(manifest), Error);
  manifest = example();
  manifest.step = -1;
  EXPECT_THROW(manifest_to_json(manifest), Error);
  manifest = example();
  manifest.files["../x"] = {std::string(64, '0'), 1};
  EXPECT_THROW(manifest_to_json(manifest), Error);
  manifest = example();
  manifest.expert_histogram = {{1}, {1, 2}};
  EXPECT_THROW(manifest_to_json(manifest), Error);
}

TEST(ManifestTest, DescribesWhatLiesInTheDirectory) {
  const fixtures::TemporaryFolder folder;
  const Manifest manifest = fixtures::write_small_checkpoint(folder.path());
  EXPECT_EQ(manifest.files.size(), 3u);
  EXPECT_EQ(manifest.files.at("tokenizer.model"), (ManifestFile{sha256_hex("pieces"), 6}));
  EXPECT_EQ(manifest.training_state.at("state.safetensors").size, 7);
  EXPECT_EQ(parse_manifest(read_file(folder.path() / kManifestName, 1 << 20)), manifest);
}

TEST(ManifestTest, RefusesToDescribeLinksAndFolders) {
  const fixtures::TemporaryFolder folder;
  write_file(folder.path() / "config.json", "{}");
  fs::create_symlink("config.json", folder.path() / "link.json");
  EXPECT_THROW(write_checkpoint_manifest(folder.path(), {}), Error);
  fs::remove(folder.path() / "link.json");
  fs::create_directory(folder.path() / "sub");
  EXPECT_THROW(write_checkpoint_manifest(folder.path(), {}), Error);
  EXPECT_FALSE(fs::exists(folder.path() / kManifestName));
}

TEST(Sha256Test, KnownDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),  // more than one piece
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace sf

// A store in memory: versions appear, vanish, are broken or repaired as a test says.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/versions/version_source.h"
#include "tests/support/fake_engine.h"

namespace sf::server {

// One thread only, like the source of any reloader.
class FakeSource final : public VersionSource {
 public:
  struct Entry {
    std::optional<double> score;
    std::string evaluation_id;
    std::string fingerprint = "1";
    bool is_waiting = false;  // for its manifest
    std::vector<GoldenImage> golden;
    std::function<void()> on_open = [] {};  // throws what opening should throw
    std::function<std::unique_ptr<Engine>()> load;
    int num_opened = 0;
  };

  // Engines answer every question with `v<version>`.
  Entry& add(int64_t version, std::optional<double> score = std::nullopt) {
    Entry& entry = entries[version];
    entry.score = score;
    entry.load = [version] {
      auto engine = std::make_unique<FakeEngine>(FakeEngineOptions{.digest = "digest" + std::to_string(version)});
      engine->script("version?", {"v", std::to_string(version)});
      return engine;
    };
    return entry;
  }

  std::vector<int64_t> versions() override {
    if (!listing_error.empty()) throw Error(Code::kInternal, listing_error);
    std::vector<int64_t> numbers;
    for (const auto& [version, entry] : entries) numbers.push_back(version);
    return numbers;
  }
  std::string fingerprint(int64_t version) override { return entries[version].fingerprint; }
  std::optional<VersionFacts> facts(int64_t version) override {
    ++num_facts;
    if (!facts_known) return std::nullopt;
    return VersionFacts{"digest" + std::to_string(version), version * 100, 1'700'000'000, entries[version].score,
                        entries[version].evaluation_id};
  }
  bool waiting(int64_t version) override { return entries[version].is_waiting; }
  std::shared_ptr<const void> hold(int64_t version) override {
    auto held = std::make_shared<int64_t>(version);
    holds[version] = held;
    return held;
  }
  std::unique_ptr<Candidate> open(int64_t version) override {
    Entry& entry = entries.at(version);
    ++entry.num_opened;
    entry.on_open();
    return std::make_unique<FakeCandidate>(entry);
  }
  bool is_held(int64_t version) const {
    const auto found = holds.find(version);
    return found != holds.end() && !found->second.expired();
  }

  std::map<int64_t, Entry> entries;
  std::map<int64_t, std::weak_ptr<int64_t>> holds;
  std::string listing_error;
  bool facts_known = true;
  int num_facts = 0;

 private:
  class FakeCandidate final : public Candidate {
   public:
    explicit FakeCandidate(const Entry& entry)
        : score_(entry.score), evaluation_id_(entry.evaluation_id), golden_(entry.golden), load_(entry.load) {}
    std::optional<double> score() const override { return score_; }
    std::string evaluation_id() const override { return evaluation_id_; }
    std::vector<GoldenImage> golden() const override { return golden_; }
    std::unique_ptr<Engine> load() override { return load_(); }

   private:
    std::optional<double> score_;
    std::string evaluation_id_;
    std::vector<GoldenImage> golden_;
    std::function<std::unique_ptr<Engine>()> load_;
  };
};

}  // namespace sf::server

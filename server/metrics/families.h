// The server's metric families: name, type and help of each, and one scrape being filled in. Why the server fills in
// prometheus-cpp's families itself and has no registry: docs/architecture.md.
//
//   FamilySet families;                                                   // every family, no series yet
//   families["sparsefusion_queue_depth"].add({}, 3);
//   families["sparsefusion_step_duration_seconds"].add({{"version", "7"}}, histogram);
//   std::string text = families.text();                                   // Prometheus text format 0.0.4
//
// One thread only: a scrape has a set of its own.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/metrics/histogram.h"

namespace sf::server {

using Labels = std::vector<std::pair<std::string, std::string>>;

struct FamilyInfo {
  const char* name;
  prometheus::MetricType type;
  const char* help;
};

// Every family that the server exports, in the order of the scrape.
const std::vector<FamilyInfo>& family_infos();

class SeriesList {
 public:
  explicit SeriesList(prometheus::MetricFamily* family) : family_(family) {}
  // A counter or a gauge, as the family's type says.
  void add(const Labels& labels, double value);
  void add(const Labels& labels, const Histogram& histogram);

 private:
  prometheus::MetricFamily* family_;
};

// One thread only.
class FamilySet {
 public:
  FamilySet();
  // Errors: Internal for a name that is not in family_infos().
  SeriesList operator[](std::string_view name);
  std::string text() const;

 private:
  std::vector<prometheus::MetricFamily> families_;
  std::unordered_map<std::string_view, size_t> index_;
};

}  // namespace sf::server

// A scrape in Prometheus' text format, taken apart.
#pragma once

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace sf::test {

struct ScrapedFamily {
  std::string type, help;
  std::set<std::string> labels;                         // of any of its series, without le
  std::set<std::string> series;                         // name and labels, without the value
  std::map<std::string, std::set<std::string>> values;  // by label
};

// By family; a histogram's _bucket, _sum and _count are its own.
inline std::map<std::string, ScrapedFamily> parse_scrape(const std::string& text) {
  static const std::regex sample(R"(^([a-zA-Z0-9_]+)(\{.*\})? \S+$)");
  static const std::regex label(R"re(([a-z_]+)="([^"]*)")re");
  std::map<std::string, ScrapedFamily> families;
  std::istringstream in(text);
  std::string family;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      families[family].help = line.substr(7 + family.size());
    } else if (line.starts_with("# TYPE ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      families[family].type = line.substr(8 + family.size());
    } else {
      std::smatch match;
      if (!std::regex_match(line, match, sample)) continue;
      ScrapedFamily& found = families[family];
      found.series.insert(line.substr(0, line.rfind(' ')));
      const std::string list = match[2];
      for (std::sregex_iterator it(list.begin(), list.end(), label), end; it != end; ++it) {
        if ((*it)[1] == "le") continue;
        found.labels.insert((*it)[1]);
        found.values[(*it)[1]].insert((*it)[2]);
      }
    }
  }
  return families;
}

// The names of all series.
inline std::set<std::string> series_of(const std::string& text) {
  std::set<std::string> all;
  for (const auto& [name, family] : parse_scrape(text)) all.insert(family.series.begin(), family.series.end());
  return all;
}

}  // namespace sf::test

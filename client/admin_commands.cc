#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "client/commands.h"

namespace sf::client {
namespace {

template <typename... Values>
std::string formatted(const char* format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof(line), format, values...);
  return line;
}

std::string version_line(const ModelVersion& version) {
  const std::string score = version.score ? formatted("%.4f", *version.score) : "-";
  std::string line = formatted("%8lld  %-11s %10lld  %8s  %-12.12s", static_cast<long long>(version.version),
                               (version.state + (version.pinned ? "*" : "")).c_str(),
                               static_cast<long long>(version.step), score.c_str(), version.digest.c_str());
  if (!version.reason.empty()) line += "  " + version.reason + ": " + version.message;
  return line;
}

nlohmann::ordered_json version_json(const ModelVersion& version) {
  return {{"version", version.version}, {"state", version.state},
          {"reason", version.reason},   {"message", version.message},
          {"pinned", version.pinned},   {"step", version.step},
          {"digest", version.digest},   {"score", version.score ? nlohmann::ordered_json(*version.score) : nullptr}};
}

std::string dump(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// Counts since `before`, where that is the same version's.
ExpertTable since(ExpertTable now, const ExpertTable& before) {
  if (now.model_version != before.model_version || now.rows.size() != before.rows.size()) return now;
  for (size_t i = 0; i < now.rows.size(); ++i) {
    now.rows[i].image_tokens -= before.rows[i].image_tokens;
    now.rows[i].text_tokens -= before.rows[i].text_tokens;
    now.rows[i].gate_mass -= before.rows[i].gate_mass;
    now.rows[i].overflow_tokens -= before.rows[i].overflow_tokens;
  }
  return now;
}

// One bar of 20 characters for the share of the layer's busiest expert.
std::string bar(double value, double most) {
  const auto width = most > 0 ? static_cast<size_t>(20 * value / most + 0.5) : 0;
  return std::string(width, '#');
}

void print_window(const ExpertTable& table, int layer, std::ostream& out) {
  for (const ExpertWindow& window : table.windows) {
    if (window.layer != layer) continue;
    out << formatted("  entropy %.3f nats, busiest/mean %.2f, dead %d", window.entropy_nats, window.imbalance,
                     window.dead_experts);
    if (window.drift_js) out << formatted(", drift %.4f", *window.drift_js);
  }
  out << "\n";
}

void print_table(const ExpertTable& table, std::ostream& out) {
  out << "version " << table.model_version << "\n";
  for (size_t begin = 0; begin < table.rows.size();) {
    const int layer = table.rows[begin].layer;
    size_t end = begin;
    double most = 0;
    for (; end < table.rows.size() && table.rows[end].layer == layer; ++end) {
      most = std::max(most, table.rows[end].image_tokens + table.rows[end].text_tokens);
    }
    out << "layer " << layer;
    print_window(table, layer, out);
    out << "  expert      image       text  mean gate   overflow\n";
    for (size_t i = begin; i < end; ++i) {
      const ExpertRow& row = table.rows[i];
      const double tokens = row.image_tokens + row.text_tokens;
      out << formatted("  %6d %10.0f %10.0f %10.3f %10.0f  ", row.expert, row.image_tokens, row.text_tokens,
                       tokens > 0 ? row.gate_mass / tokens : 0.0, row.overflow_tokens)
          << bar(tokens, most) << "\n";
    }
    begin = end;
  }
  out.flush();
}

void print_json(const ExpertTable& table, std::ostream& out) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const ExpertRow& row : table.rows) {
    rows.push_back({{"layer", row.layer},
                    {"expert", row.expert},
                    {"image_tokens", row.image_tokens},
                    {"text_tokens", row.text_tokens},
                    {"gate_mass", row.gate_mass},
                    {"overflow_tokens", row.overflow_tokens}});
  }
  out << dump({{"model_version", table.model_version}, {"experts", rows}}) << std::endl;
}

}  // namespace

int run_versions(Client& client, bool json, std::ostream& out) {
  const std::vector<ModelVersion> versions = client.versions();
  if (!json) out << " version  state             step     score  digest\n";
  for (const ModelVersion& version : versions) {
    out << (json ? dump(version_json(version)) : version_line(version)) << "\n";
  }
  out.flush();
  return 0;
}

int run_reload(Client& client, VersionCommand command, int64_t version, std::ostream& out) {
  const int64_t served = client.tell(command, version);
  out << "serving version " << served << std::endl;
  return 0;
}

int run_experts(Client& client, const ExpertsCommand& command, std::ostream& out,
                const std::function<bool(double seconds)>& keep_going) {
  const auto print = command.json ? print_json : print_table;
  ExpertTable before = client.experts();
  print(before, out);
  while (command.watch_s > 0 && keep_going(command.watch_s)) {
    ExpertTable now = client.experts();
    if (!command.json) out << "\nlast " << command.watch_s << " s, ";
    print(since(now, before), out);
    before = std::move(now);
  }
  return 0;
}

}  // namespace sf::client

#include "client/load_generator.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

namespace sf::client {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// What one client measured.
struct Share {
  int num_ok = 0;
  std::map<std::string, int> errors;
  uint64_t completion_tokens = 0;
  std::vector<double> latencies_ms, first_text_ms;

  void ask(Client& client, const Question& question, bool stream) {
    const Clock::time_point start = Clock::now();
    std::optional<double> first_text;
    try {
      const Answer answer = stream ? client.ask_stream(question,
                                                       [&](std::string_view) {
                                                         if (!first_text) first_text = ms_since(start);
                                                         return true;
                                                       })
                                   : client.ask(question);
      latencies_ms.push_back(ms_since(start));
      if (first_text) first_text_ms.push_back(*first_text);
      completion_tokens += static_cast<uint64_t>(answer.completion_tokens);
      ++num_ok;
    } catch (const ClientError& error) {
      ++errors[error.code()];
    }
  }

  void add_to(LoadResult& result) const {
    result.num_ok += num_ok;
    result.completion_tokens += completion_tokens;
    for (const auto& [code, count] : errors) result.errors[code] += count;
    result.latencies_ms.insert(result.latencies_ms.end(), latencies_ms.begin(), latencies_ms.end());
    result.first_text_ms.insert(result.first_text_ms.end(), first_text_ms.begin(), first_text_ms.end());
  }
};

// Asks questions [0, count) of the endless round of `questions`, shared by all clients.
std::vector<Share> ask_all(const std::vector<Question>& questions, int count, const LoadOptions& options,
                           std::vector<std::unique_ptr<Client>>& clients,
                           const std::function<void(int)>& on_answered = {}) {
  std::vector<Share> shares(clients.size());
  std::atomic<int> next{0}, answered{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < clients.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int at; (at = next.fetch_add(1)) < count;) {
        shares[i].ask(*clients[i], questions[static_cast<size_t>(at) % questions.size()], options.stream);
        if (on_answered) on_answered(++answered);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return shares;
}

nlohmann::ordered_json percentiles(const std::vector<double>& sorted) {
  double sum = 0;
  for (double value : sorted) sum += value;
  return {{"p50", percentile(sorted, 0.5)},
          {"p90", percentile(sorted, 0.9)},
          {"p99", percentile(sorted, 0.99)},
          {"mean", sorted.empty() ? 0 : sum / static_cast<double>(sorted.size())},
          {"max", sorted.empty() ? 0 : sorted.back()}};
}

}  // namespace

LoadResult run_load(const std::vector<Question>& questions, const LoadOptions& options,
                    const std::function<std::unique_ptr<Client>()>& make_client) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < options.concurrency; ++i) clients.push_back(make_client());
  ask_all(questions, options.num_warm_up, options, clients);

  const Clock::time_point start = Clock::now();
  const std::vector<Share> shares = ask_all(questions, options.num_requests, options, clients, options.on_answered);
  LoadResult result;
  result.seconds = ms_since(start) / 1000;
  for (const Share& share : shares) share.add_to(result);
  std::sort(result.latencies_ms.begin(), result.latencies_ms.end());
  std::sort(result.first_text_ms.begin(), result.first_text_ms.end());
  return result;
}

double percentile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0;
  const double rank = std::ceil(q * static_cast<double>(sorted.size()));
  return sorted[static_cast<size_t>(std::clamp(rank, 1.0, static_cast<double>(sorted.size()))) - 1];
}

std::string to_json(const LoadResult& result, const LoadOptions& options) {
  nlohmann::ordered_json body = {
      {"concurrency", options.concurrency},
      {"requests", options.num_requests},
      {"ok", result.num_ok},
      {"errors", result.errors},
      {"seconds", result.seconds},
      {"requests_per_second", result.seconds > 0 ? result.num_ok / result.seconds : 0},
      {"completion_tokens", result.completion_tokens},
      {"tokens_per_second", result.seconds > 0 ? static_cast<double>(result.completion_tokens) / result.seconds : 0}};
  body["latency_ms"] = percentiles(result.latencies_ms);
  if (options.stream) body["first_text_ms"] = percentiles(result.first_text_ms);
  return body.dump(2);
}

}  // namespace sf::client

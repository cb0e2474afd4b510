#include "tests/integration/load.h"

#include <chrono>

namespace sf::test {

Load::Load(const LiveServer& server, int num_clients) : server_(server) {
  for (int i = 0; i < num_clients; ++i) threads_.emplace_back([this, i] { work(i); });
  threads_.emplace_back([this] { watch(); });
}

void Load::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Load::work(int number) {
  const auto asker = number % 2 == 0 ? server_.rest() : server_.grpc();
  const bool streamed = number % 4 >= 2;
  for (uint64_t round = 0; !stopping_; ++round) {
    try {
      ask(*asker, 1000 * static_cast<uint64_t>(number) + round, streamed);
      ++num_answered_;
    } catch (const client::ClientError& error) {
      std::lock_guard lock(mutex_);
      failures_.push_back(error.code() + ": " + error.what());
      if (failures_.size() > 20) return;
    }
  }
}

void Load::ask(client::Client& asker, uint64_t seed, bool streamed) {
  std::string text;
  int64_t served_at_last_text = 0;
  const client::Answer answer =
      !streamed ? asker.ask(scene_question(8)) : asker.ask_stream(long_question(seed), [&](std::string_view delta) {
        text += delta;
        served_at_last_text = served_;
        return true;
      });
  std::lock_guard lock(mutex_);
  if (answer.model_version < 1) failures_.push_back("an answer of no version");
  if (streamed && text != answer.answer) failures_.push_back("a stream that is not its answer: " + text);
  versions_.insert(answer.model_version);
  for (int64_t newer = answer.model_version + 1; newer <= served_at_last_text; ++newer)
    switched_under_streams_.insert(newer);
}

void Load::watch() {
  while (!stopping_) {
    try {
      served_ = server_.version();
    } catch (const client::ClientError& error) {
      std::lock_guard lock(mutex_);
      failures_.push_back(std::string("the list of models: ") + error.what());
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // leaves the core to the server
  }
}

std::vector<std::string> Load::failures() const {
  std::lock_guard lock(mutex_);
  return failures_;
}

std::set<int64_t> Load::versions() const {
  std::lock_guard lock(mutex_);
  return versions_;
}

std::set<int64_t> Load::switched_under_streams() const {
  std::lock_guard lock(mutex_);
  return switched_under_streams_;
}

}  // namespace sf::test

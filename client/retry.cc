#include "client/retry.h"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

namespace sf::client {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// Up to a quarter more, so that clients that were refused together do not come back together.
milliseconds jittered(milliseconds wait) {
  thread_local std::minstd_rand random(std::random_device{}());
  return wait + milliseconds(std::uniform_int_distribution<int64_t>(0, wait.count() / 4)(random));
}

// The waits of one call.
class Waits {
 public:
  Waits(const RetryOptions& options, std::optional<int64_t> timeout_ms)
      : options_(options), backoff_(options.initial_backoff) {
    if (timeout_ms) deadline_ = Clock::now() + milliseconds(*timeout_ms);
  }

  // What is left of the caller's own time, at least 1 ms.
  std::optional<int64_t> left_ms() const {
    if (!deadline_) return std::nullopt;
    return std::max<int64_t>(1, std::chrono::duration_cast<milliseconds>(*deadline_ - Clock::now()).count());
  }

  // Waits before the next attempt; false if there is to be none.
  bool wait_after(const ClientError& error) {
    const bool is_away = error.code() == "UNAVAILABLE";
    const bool is_full = error.code() == "RESOURCE_EXHAUSTED" && error.retry_after_ms();
    if ((!is_away && !is_full) || ++num_attempts_ >= options_.max_attempts) return false;
    const milliseconds wait = error.retry_after_ms() ? milliseconds(*error.retry_after_ms())
                                                     : jittered(std::exchange(backoff_, next_backoff()));
    if (waited_ + wait > options_.max_total_wait || (deadline_ && Clock::now() + wait >= *deadline_)) return false;
    waited_ += wait;
    options_.sleep ? options_.sleep(wait) : std::this_thread::sleep_for(wait);
    return true;
  }

 private:
  milliseconds next_backoff() const { return std::min(backoff_ * 2, options_.max_backoff); }

  const RetryOptions& options_;
  std::optional<Clock::time_point> deadline_ = {};
  milliseconds backoff_;
  milliseconds waited_{0};
  int num_attempts_ = 0;
};

class RetryingClient final : public Client {
 public:
  RetryingClient(std::unique_ptr<Client> client, RetryOptions options)
      : client_(std::move(client)), options_(std::move(options)) {}

  Answer ask(const Question& question) override {
    Waits waits(options_, question.timeout_ms);
    return retry(waits, [&] { return client_->ask(with_time_left(question, waits)); });
  }

  Answer ask_stream(const Question& question, const OnDelta& on_delta) override {
    Waits waits(options_, question.timeout_ms);
    bool has_text = false;
    const OnDelta watched = [&](std::string_view delta) {
      has_text = true;
      return on_delta(delta);
    };
    return retry(
        waits, [&] { return client_->ask_stream(with_time_left(question, waits), watched); },
        [&] { return !has_text; });
  }

  Explained explain(const ExplainQuestion& question) override {
    Waits waits(options_, question.question.timeout_ms);
    return retry(waits, [&] {
      ExplainQuestion timed = question;
      timed.question = with_time_left(question.question, waits);
      return client_->explain(timed);
    });
  }

  bool is_healthy(bool ready) override { return client_->is_healthy(ready); }
  std::vector<Model> models() override {
    Waits waits(options_, {});
    return retry(waits, [&] { return client_->models(); });
  }
  std::vector<ModelVersion> versions() override {
    Waits waits(options_, {});
    return retry(waits, [&] { return client_->versions(); });
  }
  ExpertTable experts() override {
    Waits waits(options_, {});
    return retry(waits, [&] { return client_->experts(); });
  }
  // A command that was lost may have been obeyed.
  int64_t tell(VersionCommand command, int64_t version) override { return client_->tell(command, version); }

 private:
  static Question with_time_left(Question question, const Waits& waits) {
    question.timeout_ms = waits.left_ms();
    return question;
  }

  template <typename Call>
  static std::invoke_result_t<Call> retry(Waits& waits, const Call& call, const std::function<bool()>& may_retry = {}) {
    while (true) {
      try {
        return call();
      } catch (const ClientError& error) {
        if ((may_retry && !may_retry()) || !waits.wait_after(error)) throw;
      }
    }
  }

  const std::unique_ptr<Client> client_;
  const RetryOptions options_;
};

}  // namespace

std::unique_ptr<Client> with_retries(std::unique_ptr<Client> client, RetryOptions options) {
  return std::make_unique<RetryingClient>(std::move(client), std::move(options));
}

}  // namespace sf::client

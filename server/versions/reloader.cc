#include "server/versions/reloader.h"

#include <chrono>
#include <utility>

namespace sf::server {
namespace {

CatalogOptions catalog_options(const ReloaderOptions& options) {
  return {.pin_path = options.pin_path, .first_retry_s = options.first_retry_s, .last_retry_s = options.last_retry_s};
}

LoaderOptions loader_options(const ReloaderOptions& options) {
  return {.max_score_drop = options.max_score_drop, .mode = options.mode};
}

Error shutting_down() { return Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining); }

}  // namespace

Reloader::Reloader(ReloaderOptions options, VersionSource& source, ModelSlot& slot, ServingDeps deps, ReloadLog log)
    : options_(std::move(options)),
      slot_(slot),
      clock_(*deps.clock),
      catalog_(catalog_options(options_), source, *deps.metrics, std::move(log)),
      loader_(loader_options(options_), catalog_, source, slot, std::move(deps)),
      commands_(catalog_, loader_, slot, PinFile(options_.pin_path)) {}

Reloader::~Reloader() { stop(); }

bool Reloader::poll_once() {
  MutexLock lock(work_);
  if (!catalog_.refresh() || catalog_.is_on_hold(clock_.now_s())) return false;
  const LoadResult result = loader_.load_first_of(catalog_.to_try(slot_.current_version()));
  return result.outcome == LoadOutcome::kPublished;
}

std::vector<VersionStatus> Reloader::list() const {
  const ServingVersionPtr served = slot_.current();  // held, so that it is among the live ones
  LoadedVersions loaded;
  loaded.served = served ? served->version : 0;
  for (const ServingVersionPtr& version : slot_.live()) {
    const ModelInfo& info = version->engine->info();
    loaded.rows.push_back(
        {.version = version->version,
         .state = VersionState::kRetired,
         .reason = {},
         .message = {},
         .facts = {info.digest, info.step, info.created_unix, version->score, version->evaluation_id}});
  }
  return catalog_.list(loaded);
}

void Reloader::run_command(std::function<void(Commands&)> command) {
  Command task(std::move(command));
  std::future<void> done = task.get_future();
  bool queued = false;
  {
    MutexLock lock(mutex_);
    if (stopped_) throw shutting_down();
    if (running_) {
      queue_.push_back(std::move(task));
      queued = true;
    }
  }
  if (queued) {
    changed_.notify_all();
  } else {
    MutexLock lock(work_);  // the first poll may be under way on another thread
    task(commands_);
  }
  try {
    done.get();
  } catch (const std::future_error&) {
    throw shutting_down();
  }
}

void Reloader::load(int64_t version) {
  run_command([version](Commands& commands) { commands.load(version); });
}

void Reloader::pin(int64_t version) {
  run_command([version](Commands& commands) { commands.pin(version); });
}

void Reloader::unpin() {
  run_command([](Commands& commands) { commands.unpin(); });
}

int64_t Reloader::rollback() {
  int64_t target = 0;
  run_command([&target](Commands& commands) { target = commands.rollback(); });
  return target;
}

int64_t Reloader::load_newest() {
  int64_t served = 0;
  run_command([&served](Commands& commands) { served = commands.load_newest(); });
  return served;
}

void Reloader::unload() {
  run_command([](Commands& commands) { commands.unload(); });
}

void Reloader::start() {
  {
    MutexLock lock(mutex_);
    running_ = true;
  }
  thread_ = std::thread([this] { run(); });
}

void Reloader::run() {
  const auto interval = std::chrono::milliseconds(options_.poll_interval_ms);
  auto next = std::chrono::steady_clock::now() + interval;
  while (true) {
    Command command;
    {
      MutexLock lock(mutex_);
      while (!stopped_ && queue_.empty() && changed_.wait_until(mutex_, next)) {
      }
      if (stopped_) return;
      if (!queue_.empty()) {
        command = std::move(queue_.front());
        queue_.pop_front();
      }
    }
    if (command.valid()) {
      MutexLock lock(work_);
      command(commands_);
      continue;
    }
    poll_once();
    next = std::chrono::steady_clock::now() + interval;
  }
}

void Reloader::stop() {
  std::deque<Command> left;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    left.swap(queue_);
  }
  changed_.notify_all();
  left.clear();  // what waits for one gets a broken promise
  if (thread_.joinable()) thread_.join();
  MutexLock lock(mutex_);
  running_ = false;
}

}  // namespace sf::server

#include "server/versions/commands.h"

#include <utility>

namespace sf::server {
namespace {

Error version_error(Code code, const std::string& message) { return Error(code, message, "version"); }

Error short_of_memory(const LoadResult& result) {
  return version_error(Code::kResourceExhausted, concat("version: memory is short, ", result.event.message));
}

void throw_unless_published(int64_t version, const LoadResult& result) {
  switch (result.outcome) {
    case LoadOutcome::kPublished:
      return;
    case LoadOutcome::kGone:
      throw version_error(Code::kNotFound, concat("version: gone from the store, ", version));
    case LoadOutcome::kShortOfMemory:
      throw short_of_memory(result);
    case LoadOutcome::kMachineFault:
      throw version_error(Code::kUnavailable, concat("version ", version, ": ", result.event.message));
    case LoadOutcome::kRejected:
      throw version_error(Code::kFailedPrecondition,
                          concat("version ", version, ": ", result.event.reason, ": ", result.event.message));
  }
}

}  // namespace

Commands::Commands(Catalog& catalog, Loader& loader, ModelSlot& slot, PinFile pin_file)
    : catalog_(catalog), loader_(loader), slot_(slot), pin_file_(std::move(pin_file)) {}

void Commands::serve(int64_t version) {
  if (slot_.current_version() == version) return;
  catalog_.choose(version);
  throw_unless_published(version, loader_.load(version));
}

void Commands::load(int64_t version) {
  catalog_.refresh();
  if (const std::optional<int64_t> pinned = catalog_.pinned(); pinned && *pinned != version) {
    throw version_error(Code::kFailedPrecondition, concat("version: another one is pinned, ", *pinned));
  }
  const int64_t highest = catalog_.highest();
  serve(version);
  catalog_.pass_over(highest);
}

// First the file: a pin that cannot be kept must not look like one that can.
void Commands::serve_pinned(int64_t version) {
  const std::optional<int64_t> before = catalog_.pinned();
  pin_file_.write(version);
  try {
    serve(version);
  } catch (...) {
    before ? pin_file_.write(*before) : pin_file_.clear();
    throw;
  }
  catalog_.set_pinned(version);
}

void Commands::pin(int64_t version) {
  catalog_.refresh();
  const int64_t chosen = version != 0 ? version : slot_.current_version();
  if (chosen == 0) throw version_error(Code::kFailedPrecondition, "version: none is served");
  serve_pinned(chosen);
}

void Commands::unpin() {
  pin_file_.clear();
  catalog_.pass_over(0);
  catalog_.set_pinned(std::nullopt);
}

// What serves, or what unload() took away; 0 = neither.
int64_t Commands::served_last() const {
  const int64_t served = slot_.current_version();
  return served != 0 ? served : catalog_.unloaded().value_or(0);
}

int64_t Commands::rollback() {
  catalog_.refresh();
  const int64_t left = served_last();
  const int64_t target = catalog_.rollback_target(left);
  serve_pinned(target);
  catalog_.forget_served(left);  // a second rollback goes further back, not forth
  return target;
}

int64_t Commands::load_newest() {
  if (!catalog_.refresh()) {
    throw Error(Code::kUnavailable, concat("the store cannot be read: ", catalog_.store_error()));
  }
  catalog_.end_delays();  // an operator need not wait
  const int64_t passed_over = catalog_.pass_over(0);
  const std::vector<int64_t> newer = catalog_.to_try(slot_.current_version());
  const LoadResult result = loader_.load_first_of(newer);
  const int64_t served = slot_.current_version();
  if (result.outcome == LoadOutcome::kPublished || (newer.empty() && served != 0)) return served;
  catalog_.pass_over(passed_over);
  if (result.outcome == LoadOutcome::kShortOfMemory) throw short_of_memory(result);
  if (const std::optional<Error> error = catalog_.why_not(newer)) throw *error;
  if (served != 0) return served;  // what was newer is gone again
  throw version_error(Code::kFailedPrecondition, "there is no version to serve");
}

void Commands::unload() {
  const int64_t served = slot_.current_version();
  if (!catalog_.unload(served)) return;
  slot_.retire();
  catalog_.log({served, "unloaded", "none", "", 0});
}

}  // namespace sf::server

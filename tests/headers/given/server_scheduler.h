#pragma once

#include "server/scheduler/scheduler.h"
#include "server/scheduler/stop_matcher.h"

namespace sf::server::examples_server_scheduler {

extern const std::shared_ptr<Engine> engine;
extern const Clock& clock;
extern AdmissionQueue queue;
extern Job job;
extern JobRequest request;
extern std::shared_ptr<EventQueue> stream;
extern const std::shared_ptr<const void> keep_alive;
extern const std::vector<const WaitingView*> candidates;
extern const PlannerInput input;
extern const PlannerOptions options;
extern const SchedulerOptions scheduler_options;
extern const Summary summary;
extern const TokenGuess guess;
extern const bool stop_token;
extern const int64_t version;
extern const int cost_tokens;
extern const double now_s;
extern std::string out;
void write(const std::string& text);

}  // namespace sf::server::examples_server_scheduler

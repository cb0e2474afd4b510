#pragma once

#include "server/scheduler/scheduler.h"
#include "tests/headers/given/common.h"

namespace sf::server::examples_server_scheduler {

extern const std::shared_ptr<sf::Engine> engine;
extern const sf::server::SystemClock clock;
extern sf::server::DrainRate drain_rate;
extern sf::server::AdmissionQueue queue;
extern const sf::server::SchedulerDeps deps;
extern const sf::server::SchedulerOptions options;
extern std::unique_ptr<sf::server::Job> job;
extern sf::server::JobRequest request;
extern sf::server::Ticket ticket;
extern const sf::server::Summary summary;
extern const std::shared_ptr<sf::server::EventQueue> stream;
extern const std::shared_ptr<const void> version;
extern const std::vector<sf::server::WaitingView> waiting;
extern const std::vector<sf::server::RunningView> running;
extern const std::vector<const sf::server::WaitingView*> candidates;
extern const int prompt_tokens;
extern const double now_s;
void write(const std::string& text);

}  // namespace sf::server::examples_server_scheduler

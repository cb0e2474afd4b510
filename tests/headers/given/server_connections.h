#pragma once

#include <chrono>
#include "server/connections/connection.h"
#include "server/connections/connection_loop.h"
#include "server/connections/request_head.h"

namespace sf::server::examples_server_connections {

using namespace std::chrono_literals;

extern const std::chrono::steady_clock::time_point now;
extern const std::chrono::steady_clock::duration waited;
extern std::unique_ptr<Connection> connection;
extern const int fd, stop_fd;
extern HeadParser parser;
extern const LoopOptions options;
extern ConnectionHandler& handler;
extern const PeerAddress address;
extern const std::shared_ptr<SSL> ssl;
extern const size_t num_bytes, max_kept;
extern size_t num_sent;
extern const std::function<void()> job;
void read_more(std::string_view bytes);
void parse(std::string_view bytes);
void hang_up();
void wait_until_writable();

}  // namespace sf::server::examples_server_connections

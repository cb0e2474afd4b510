// A port without an HTTP library: every request is answered with its own target and body, so that a test knows which
// answer belongs to which request.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/mutex.h"
#include "server/connections/connection_loop.h"

namespace sf::server {

// "/urgent" needs no worker of its own; "/hold" waits for release(); "/large" is answered with 8 MB.
class EchoHandler final : public ConnectionHandler {
 public:
  static constexpr size_t kLargeBytes = 8'000'000;

  bool is_urgent(const RequestHead& head) const override { return head.path() == "/urgent"; }

  bool serve(RequestStream& stream, const Connection&, const RequestHead& head) override {
    ++num_served;
    std::string text = read_head(stream);
    if (!head.fault.empty()) {
      answer(stream, "400 Bad Request", head.fault, false);
      return false;
    }
    const size_t length = text.find("Content-Length: ");
    std::string body(length == std::string::npos ? 0 : std::stoul(text.substr(length + 16)), '\0');
    for (size_t have = 0; have < body.size();) {
      const ssize_t size = stream.read(body.data() + have, body.size() - have);
      if (size <= 0) return false;
      have += static_cast<size_t>(size);
    }
    if (head.path() == "/hold") hold();
    if (head.path() == "/large") body.assign(kLargeBytes, 'x');
    return answer(stream, "200 OK", head.target + " " + body, head.asks_to_keep) && head.asks_to_keep;
  }

  std::string busy_answer(const Connection&, const RequestHead&) const override {
    return "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  }

  void release() {
    MutexLock lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  std::atomic<int> num_served{0};
  std::atomic<int> num_held{0};

 private:
  static std::string read_head(RequestStream& stream) {
    std::string text;
    char byte = 0;
    while (!text.ends_with("\r\n\r\n") && stream.read(&byte, 1) == 1) text += byte;
    return text;
  }
  static bool answer(RequestStream& stream, const std::string& status, const std::string& body, bool keep) {
    const std::string text = "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                             (keep ? "" : "Connection: close\r\n") + "\r\n" + body;
    return stream.write(text.data(), text.size()) == static_cast<ssize_t>(text.size());
  }
  void hold() {
    ++num_held;
    MutexLock lock(mutex_);
    while (!released_) changed_.wait(mutex_);
  }

  Mutex mutex_;
  CondVar changed_;
  bool released_ SF_GUARDED_BY(mutex_) = false;
};

// Listens on a free port of 127.0.0.1.
class EchoPort {
 public:
  explicit EchoPort(LoopOptions options) {
    loop_ = std::make_unique<ConnectionLoop>(std::move(options), handler_);
    loop_->start();
  }
  ~EchoPort() {
    handler_.release();
    loop_->stop();
  }
  EchoHandler& handler() { return handler_; }
  ConnectionLoop& loop() { return *loop_; }
  int port() const { return loop_->port(); }

 private:
  EchoHandler handler_;
  std::unique_ptr<ConnectionLoop> loop_;
};

}  // namespace sf::server

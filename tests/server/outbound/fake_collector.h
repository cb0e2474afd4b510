// An OTLP/HTTP collector for tests, and a look into what it got.
//
//   FakeCollector collector;
//   SpanExporter exporter({.endpoint = collector.url(), ...}, count);
#pragma once

#include <httplib.h>

#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"

namespace sf::server {

using nlohmann::json;

// An OTLP/HTTP collector that keeps what it gets, or misbehaves as it is told.
class FakeCollector {
 public:
  FakeCollector() {
    server_.Post("/v1/:signal", [this](const httplib::Request& request, httplib::Response& response) {
      MutexLock lock(mutex_);
      paths_.push_back(request.path);
      expect_ = request.get_header_value("Expect");
      ++posts_;
      changed_.notify_all();
      while (hang_) changed_.wait(mutex_);
      if (status_ == 200) bodies_.push_back(request.body);
      content_type_ = request.get_header_value("Content-Type");
      response.status = status_;
      response.set_content("{}", "application/json");
      changed_.notify_all();
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
  }
  ~FakeCollector() {
    release();
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void answer_with(int status) {
    MutexLock lock(mutex_);
    status_ = status;
  }
  void hang() {
    MutexLock lock(mutex_);
    hang_ = true;
  }
  void release() {
    MutexLock lock(mutex_);
    hang_ = false;
    changed_.notify_all();
  }
  void wait_for_posts(int count) {
    MutexLock lock(mutex_);
    while (posts_ < count) changed_.wait(mutex_);
  }
  std::vector<json> spans() {
    MutexLock lock(mutex_);
    std::vector<json> all;
    for (const std::string& body : bodies_) {
      const json request = json::parse(body);
      for (const json& span : request["resourceSpans"][0]["scopeSpans"][0]["spans"]) all.push_back(span);
    }
    return all;
  }
  json resource() {
    MutexLock lock(mutex_);
    return json::parse(bodies_.at(0))["resourceSpans"][0]["resource"];
  }
  // The latest one that was taken.
  json last_body() {
    MutexLock lock(mutex_);
    return bodies_.empty() ? json() : json::parse(bodies_.back());
  }
  size_t num_bodies() {
    MutexLock lock(mutex_);
    return bodies_.size();
  }
  std::vector<std::string> paths() {
    MutexLock lock(mutex_);
    return paths_;
  }
  // The latest POST's header of this name.
  std::string expect() {
    MutexLock lock(mutex_);
    return expect_;
  }
  std::string content_type() {
    MutexLock lock(mutex_);
    return content_type_;
  }

 private:
  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  Mutex mutex_;
  CondVar changed_;
  int posts_ SF_GUARDED_BY(mutex_) = 0;
  int status_ SF_GUARDED_BY(mutex_) = 200;
  bool hang_ SF_GUARDED_BY(mutex_) = false;
  std::vector<std::string> paths_ SF_GUARDED_BY(mutex_);
  std::vector<std::string> bodies_ SF_GUARDED_BY(mutex_);
  std::string content_type_ SF_GUARDED_BY(mutex_), expect_ SF_GUARDED_BY(mutex_);
};

// The value of one; null if there is none.
inline json attribute_of(const json& holder, const std::string& key) {
  for (const json& attribute : holder.at("attributes")) {
    if (attribute.at("key") == key) return attribute.at("value");
  }
  return nullptr;
}

}  // namespace sf::server

// An HTTP/2 connection that does what no gRPC client would: streams that are opened and left, windows that stay shut,
// streams reset as soon as they are opened. One thread only.
//
//   RawHttp2 client(port, {.stream_window = 0});
//   const uint32_t stream = client.open("/grpc.health.v1.Health/Check");
//   client.send_message(stream, "");
//   client.read_until([&] { return client.was_reset(stream); });
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sf::server {

struct RawHttp2Options {
  uint32_t stream_window = 65535;  // how many bytes of a response the server may send
  uint64_t pieces_seed = 0;        // not 0: what it sends and reads goes in pieces at random
};

class RawHttp2 {
 public:
  using Options = RawHttp2Options;
  using Headers = std::vector<std::pair<std::string, std::string>>;

  // Connects to 127.0.0.1 and exchanges settings. Errors: std::runtime_error.
  explicit RawHttp2(int port, Options options = {});
  ~RawHttp2();
  RawHttp2(const RawHttp2&) = delete;
  RawHttp2& operator=(const RawHttp2&) = delete;

  // Effect: sends a call's headers. Returns its stream.
  uint32_t open(const std::string& path, const Headers& more = {});
  // Effect: sends a gRPC message as DATA; the window is not looked at. False once the server takes no more.
  bool send_message(uint32_t stream, std::string_view message, bool compressed = false, bool end = true);
  bool reset(uint32_t stream);
  bool ping();
  // Effect: says that it sends no more, ever.
  void end_sending();
  bool send(std::string_view bytes);

  // Reads and answers frames until `done` or `patience` is over; gives done().
  bool read_until(const std::function<bool()>& done, std::chrono::milliseconds patience = std::chrono::seconds(10));

  bool was_reset(uint32_t stream) const { return reset_.contains(stream); }
  // Whether the server has ended it, by a reset or in good order.
  bool has_ended(uint32_t stream) const { return reset_.contains(stream) || ended_.contains(stream); }
  size_t num_ended() const;
  // The DATA of a stream so far: gRPC messages behind their heads of 5 bytes.
  std::string data(uint32_t stream) const;
  int num_pongs() const { return num_pongs_; }
  // What the last GOAWAY said; empty if there was none.
  const std::string& goodbye() const { return goodbye_; }
  bool is_closed() const { return closed_; }

 private:
  bool send_frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  void take_frames();
  void take_frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);

  int socket_;
  const uint64_t pieces_seed_;
  std::mt19937_64 random_{pieces_seed_};
  uint32_t next_stream_ = 1;
  std::string received_;
  std::set<uint32_t> reset_, ended_;
  std::map<uint32_t, std::string> data_;
  int num_pongs_ = 0;
  bool has_settings_ = false, closed_ = false;
  std::string goodbye_;
};

}  // namespace sf::server

#include "server/connections/connection_loop.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/mutex.h"
#include "server/connections/connection_table.h"
#include "server/connections/listening_socket.h"
#include "server/connections/tls_context.h"
#include "server/connections/worker_pool.h"

namespace sf::server {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// What epoll says of no connection; those count from 1.
constexpr uint64_t kListenerId = 0;
constexpr uint64_t kWakeId = UINT64_MAX;

constexpr int kMaxAcceptsAtOnce = 64;  // then those that are open have their turn
// One in so many goes when there is no room: looking for them costs time for each connection.
constexpr size_t kEvictionShare = 64;
constexpr int kMaxNotSent = 128 << 10;                // bytes that the kernel takes beyond those on their way
constexpr auto kAcceptPause = 100ms;                  // when no file is left
constexpr auto kFlushLook = 500ms;                    // at the rate of a reader
constexpr auto kLingerSilence = 5s;                   // of a client that is to close
constexpr std::chrono::milliseconds kLastIdle{1000};  // of a drain: a request may be on its way
constexpr auto kLastFlush = 1s;                       // of all, when the port is closed
constexpr auto kLastLinger = 200ms;

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() { reset(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

int open_reserve() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

bool is_out_of_files(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

void signal_event(int fd) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);  // a full counter is readable too
}

}  // namespace

class ConnectionLoop::Thread {
 public:
  explicit Thread(ConnectionLoop& owner);
  ~Thread() { stop(); }

  void drain();
  void stop();

 private:
  // --- the loop's thread ---
  void run();
  int wait_ms() const;
  void react(uint64_t id);
  void expire();
  bool is_finished() const;
  // accepting
  void accept_some();
  bool has_waiting_client() const;
  bool make_room_for_file();
  bool evict(const std::string* group);
  void admit(int fd);
  void pause_accepting();
  void resume_accepting();
  // one connection
  void shake_hands(ConnectionEntry& entry);
  void begin_head(ConnectionEntry& entry, std::chrono::milliseconds patience);
  void read_head(ConnectionEntry& entry);
  void dispatch(ConnectionEntry& entry);
  void after_serving(ConnectionEntry& entry);
  void flush(ConnectionEntry& entry);
  void after_answer(ConnectionEntry& entry);
  void linger(ConnectionEntry& entry);
  void discard(ConnectionEntry& entry);
  void wait_for(ConnectionEntry& entry, short events);
  void close(ConnectionEntry& entry);
  // all of them
  void take_returned();
  void hurry_idle();
  void begin_stop();

  // --- a worker's ---
  void serve(ConnectionEntry& entry, bool urgent);
  void give_back(uint64_t id);

  const LoopOptions& options_;
  ConnectionHandler& handler_;
  std::atomic<size_t>& num_connections_;
  StreamOptions urgent_stream_;
  std::shared_ptr<SSL_CTX> tls_;
  std::atomic<size_t> num_unsent_{0};  // outlives the table's connections
  File listener_{-1};
  File epoll_, wake_, stopped_, reserve_;
  ConnectionTable table_;
  Clock::time_point now_ = Clock::now();
  std::optional<Clock::time_point> accept_again_;
  bool idle_hurried_ = false, stop_begun_ = false;
  std::optional<Clock::time_point> last_moment_;  // set when the workers are gone

  std::atomic<bool> draining_{false}, stopping_{false}, workers_gone_{false};
  Mutex mutex_;
  std::vector<uint64_t> returned_ SF_GUARDED_BY(mutex_);
  WorkerPool pool_;
  std::thread thread_;
};

ConnectionLoop::Thread::Thread(ConnectionLoop& owner)
    : options_(owner.options_),
      handler_(owner.handler_),
      num_connections_(owner.num_connections_),
      urgent_stream_(options_.stream),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      stopped_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      reserve_(open_reserve()),
      pool_({.num_threads = options_.num_workers, .num_reserved = options_.num_reserved}) {
  urgent_stream_.never_waits = true;
  SF_CHECK(epoll_.is_open() && wake_.is_open() && stopped_.is_open(), "connections: no file is left for the port");
  if (options_.certificate) tls_ = make_port_context(*options_.certificate);
  const ListeningSocket listening = listen_on(options_.host, options_.port);
  listener_.reset(listening.fd);
  owner.port_ = listening.port;
  for (const auto& [id, fd] : {std::pair(kListenerId, listener_.get()), std::pair(kWakeId, wake_.get())}) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
    SF_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0, "connections: epoll refuses a file");
  }
  thread_ = std::thread([this] { run(); });
}

void ConnectionLoop::Thread::drain() {
  draining_ = true;
  signal_event(wake_.get());
}

void ConnectionLoop::Thread::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  signal_event(stopped_.get());
  signal_event(wake_.get());
  pool_.shut_down();
  workers_gone_ = true;
  signal_event(wake_.get());
  thread_.join();
}

// --- the loop ---

void ConnectionLoop::Thread::run() {
  std::array<epoll_event, 256> events;
  while (!is_finished()) {
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms());
    now_ = Clock::now();
    for (int i = 0; i < count; ++i) react(events[static_cast<size_t>(i)].data.u64);
    const bool all_returned = workers_gone_;  // asked before, so that none is missed
    take_returned();
    if (draining_ && !idle_hurried_) hurry_idle();
    if (stopping_ && !stop_begun_) begin_stop();
    if (all_returned && !last_moment_) last_moment_ = now_ + kLastFlush;
    expire();
    if (accept_again_ && *accept_again_ <= now_) resume_accepting();
  }
  for (const uint64_t id : table_.least_useful(SIZE_MAX, now_)) table_.erase(id);
  num_connections_ = 0;
}

int ConnectionLoop::Thread::wait_ms() const {
  std::optional<Clock::time_point> next = table_.next_deadline();
  for (const std::optional<Clock::time_point>& other : {accept_again_, last_moment_}) {
    if (other && (!next || *other < *next)) next = other;
  }
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

bool ConnectionLoop::Thread::is_finished() const {
  if (!last_moment_) return false;
  return now_ >= *last_moment_ || table_.all_of({Stage::kFlushing, Stage::kLingering}).empty();
}

void ConnectionLoop::Thread::react(uint64_t id) {
  if (id == kListenerId) return accept_some();
  if (id == kWakeId) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t size = ::read(wake_.get(), &count, sizeof count);
    return;
  }
  ConnectionEntry* const entry = table_.find(id);
  if (entry == nullptr) return;
  switch (entry->stage) {
    case Stage::kHandshake:
      return shake_hands(*entry);
    case Stage::kIdle:
    case Stage::kHead:
      return read_head(*entry);
    case Stage::kFlushing:
      return flush(*entry);
    case Stage::kLingering:
      return discard(*entry);
    case Stage::kServing:
      return;
  }
}

void ConnectionLoop::Thread::expire() {
  for (const uint64_t id : table_.expired(now_)) {
    ConnectionEntry& entry = *table_.find(id);
    if (entry.stage == Stage::kFlushing && !entry.connection->reads_too_slowly(now_)) {
      table_.set_deadline(entry, now_ + kFlushLook);
    } else {
      close(entry);
    }
  }
}

void ConnectionLoop::Thread::take_returned() {
  std::vector<uint64_t> returned;
  {
    MutexLock lock(mutex_);
    returned.swap(returned_);
  }
  for (const uint64_t id : returned) after_serving(*table_.find(id));
}

void ConnectionLoop::Thread::hurry_idle() {
  idle_hurried_ = true;
  for (const uint64_t id : table_.all_of({Stage::kIdle})) {
    ConnectionEntry& entry = *table_.find(id);
    table_.set_deadline(entry, std::min<Clock::time_point>(*entry.deadline, now_ + kLastIdle));
  }
}

void ConnectionLoop::Thread::begin_stop() {
  stop_begun_ = true;
  accept_again_.reset();
  listener_.reset();
  for (const uint64_t id : table_.all_of({Stage::kIdle, Stage::kHandshake, Stage::kHead})) close(*table_.find(id));
}

// --- accepting ---

void ConnectionLoop::Thread::accept_some() {
  for (int i = 0; i < kMaxAcceptsAtOnce && listener_.is_open(); ++i) {
    const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      admit(fd);
    } else if (is_out_of_files(errno)) {
      if (!has_waiting_client()) return;
      if (!make_room_for_file()) return pause_accepting();
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    }  // any other error is of a client that has left
  }
}

// accept() may want a file before it looks for a client.
bool ConnectionLoop::Thread::has_waiting_client() const {
  pollfd file{listener_.get(), POLLIN, 0};
  return ::poll(&file, 1, 0) == 1;
}

// One more file can be opened afterwards, or there is nothing to give up.
bool ConnectionLoop::Thread::make_room_for_file() {
  if (evict(nullptr)) return true;
  if (!reserve_.is_open()) return false;
  reserve_.reset();
  return true;
}

bool ConnectionLoop::Thread::evict(const std::string* group) {
  const size_t count = std::max<size_t>(1, table_.size() / kEvictionShare);
  const std::vector<uint64_t> ids = table_.least_useful(count, now_, group);
  for (const uint64_t id : ids) close(*table_.find(id));
  return !ids.empty();
}

void ConnectionLoop::Thread::pause_accepting() {
  accept_again_ = now_ + kAcceptPause;
  epoll_event event{.events = 0, .data = {.u64 = kListenerId}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
}

void ConnectionLoop::Thread::resume_accepting() {
  accept_again_.reset();
  if (!reserve_.is_open()) reserve_.reset(open_reserve());
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kListenerId}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
}

void ConnectionLoop::Thread::admit(int fd) {
  PeerAddress peer = peer_address(fd);
  std::shared_ptr<SSL> tls = tls_ ? make_server_tls(tls_.get()) : nullptr;
  const bool peer_has_room = table_.size_of_peer(peer.group) < options_.max_connections_of_peer || evict(&peer.group);
  const bool has_room = peer_has_room && (table_.size() < options_.max_connections || evict(nullptr));
  if (peer.group.empty() || (tls_ && !tls) || !has_room) {
    ::close(fd);
    return;
  }
  const int yes = 1, max_not_sent = kMaxNotSent;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &max_not_sent, sizeof max_not_sent);
  ConnectionEntry& entry = table_.add(
      std::make_unique<Connection>(fd, std::move(peer), std::move(tls), options_.stream.rates, num_unsent_), now_);
  num_connections_ = table_.size();
  begin_head(entry, options_.head_timeout);
  if (!tls_) return read_head(entry);
  entry.stage = Stage::kHandshake;
  shake_hands(entry);
}

// --- one connection ---

void ConnectionLoop::Thread::wait_for(ConnectionEntry& entry, short events) {
  const uint32_t wanted = (events & POLLIN ? EPOLLIN : 0u) | (events & POLLOUT ? EPOLLOUT : 0u);
  epoll_event event{.events = wanted | EPOLLONESHOT, .data = {.u64 = entry.id}};
  const int operation = std::exchange(entry.registered, true) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_.get(), operation, entry.connection->fd(), &event) != 0) close(entry);
}

void ConnectionLoop::Thread::close(ConnectionEntry& entry) {
  table_.erase(entry.id);
  num_connections_ = table_.size();
  if (!reserve_.is_open()) reserve_.reset(open_reserve());
}

void ConnectionLoop::Thread::shake_hands(ConnectionEntry& entry) {
  switch (entry.connection->handshake()) {
    case Io::kDone:
      entry.stage = Stage::kHead;
      return read_head(entry);
    case Io::kWait:
      return wait_for(entry, entry.connection->wanted_events());
    default:
      return close(entry);
  }
}

void ConnectionLoop::Thread::begin_head(ConnectionEntry& entry, std::chrono::milliseconds patience) {
  entry.parser = std::make_unique<HeadParser>(options_.head);
  entry.stage = Stage::kHead;
  table_.set_deadline(entry, now_ + patience);
}

void ConnectionLoop::Thread::read_head(ConnectionEntry& entry) {
  Connection& connection = *entry.connection;
  while (true) {
    if (!connection.inbox().empty()) {
      if (entry.stage == Stage::kIdle) {
        entry.stage = Stage::kHead;
        entry.since = now_;
        table_.set_deadline(entry, now_ + options_.head_timeout);
      }
      if (entry.parser->scan(connection.inbox()) != HeadParser::State::kMore) return dispatch(entry);
    }
    switch (connection.receive()) {
      case Io::kDone:
        continue;
      case Io::kWait:
        return wait_for(entry, connection.wanted_events());
      default:
        return close(entry);
    }
  }
}

void ConnectionLoop::Thread::dispatch(ConnectionEntry& entry) {
  const RequestHead& head = entry.parser->head();
  const bool urgent = head.fault.empty() && !head.has_body && handler_.is_urgent(head);
  table_.set_deadline(entry, std::nullopt);
  if (urgent || pool_.num_waiting() < options_.max_waiting) {
    entry.stage = Stage::kServing;
    pool_.submit([this, &entry, urgent] { serve(entry, urgent); }, urgent);
    return;
  }
  size_t num_sent = 0;
  entry.connection->send(handler_.busy_answer(*entry.connection, head), options_.stream.max_kept, num_sent);
  entry.keep = false;
  after_serving(entry);
}

void ConnectionLoop::Thread::serve(ConnectionEntry& entry, bool urgent) {
  const uint64_t id = entry.id;
  RequestStream stream(*entry.connection, urgent ? urgent_stream_ : options_.stream, stopped_.get());
  stream.begin(*entry.parser);
  const bool keep = handler_.serve(stream, *entry.connection, entry.parser->head());
  entry.keep = keep && !stream.failed() && !stopping_;
  give_back(id);
}

void ConnectionLoop::Thread::give_back(uint64_t id) {
  {
    MutexLock lock(mutex_);
    returned_.push_back(id);
    if (returned_.size() > 1) return;  // it is awake
  }
  signal_event(wake_.get());
}

void ConnectionLoop::Thread::after_serving(ConnectionEntry& entry) {
  entry.since = now_;
  entry.stage = Stage::kFlushing;
  if (entry.connection->failed()) return close(entry);
  if (!entry.connection->is_flushed()) table_.set_deadline(entry, now_ + kFlushLook);
  flush(entry);
}

void ConnectionLoop::Thread::flush(ConnectionEntry& entry) {
  switch (entry.connection->flush()) {
    case Io::kDone:
      return after_answer(entry);
    case Io::kWait:
      return wait_for(entry, entry.connection->wanted_events());
    default:
      return close(entry);
  }
}

void ConnectionLoop::Thread::after_answer(ConnectionEntry& entry) {
  if (!entry.keep) return linger(entry);
  begin_head(entry, draining_ ? std::min(options_.idle_timeout, kLastIdle) : options_.idle_timeout);
  entry.stage = Stage::kIdle;
  read_head(entry);
}

// Closing at once, with bytes unread, would throw away the answer on its way to the client.
void ConnectionLoop::Thread::linger(ConnectionEntry& entry) {
  if (entry.connection->ended()) return close(entry);
  entry.connection->shut_writing();
  entry.stage = Stage::kLingering;
  entry.linger_end = now_ + (stopping_ ? std::chrono::milliseconds(kLastLinger) : options_.linger_timeout);
  discard(entry);
}

void ConnectionLoop::Thread::discard(ConnectionEntry& entry) {
  size_t num_bytes = 0;
  const Io outcome = entry.connection->discard(num_bytes);
  entry.num_discarded += num_bytes;
  if (outcome == Io::kEnd || outcome == Io::kFailed || entry.num_discarded > options_.max_discarded_bytes) {
    return close(entry);
  }
  table_.set_deadline(entry, std::min<Clock::time_point>(now_ + kLingerSilence, entry.linger_end));
  wait_for(entry, POLLIN);
}

// --- the loop from outside ---

ConnectionLoop::ConnectionLoop(LoopOptions options, ConnectionHandler& handler)
    : options_(std::move(options)), handler_(handler) {}

ConnectionLoop::~ConnectionLoop() { stop(); }

void ConnectionLoop::start() { thread_ = std::make_unique<Thread>(*this); }

void ConnectionLoop::stop() {
  if (thread_) thread_->stop();
}

void ConnectionLoop::drain() {
  if (thread_) thread_->drain();
}

}  // namespace sf::server

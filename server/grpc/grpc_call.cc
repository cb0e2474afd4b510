#include "server/grpc/grpc_call.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/grpc/grpc_errors.h"
#include "server/wire/request_id.h"
#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

// A client whose deadline passes resets the call at about the moment at which it passes here, either may come first.
constexpr int64_t kSameMomentMs = 50;

using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

// A call that its client cancels within this was hardly wanted.
constexpr std::chrono::seconds kSoon{1};

std::chrono::steady_clock::duration seconds(double count) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(count));
}

std::string first_value(const Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

// Not set if there is no traceparent, it is malformed or there are several.
TraceContext trace_of(const Metadata& metadata) {
  const auto [begin, end] = metadata.equal_range("traceparent");
  if (begin == end || std::next(begin) != end) return {};
  return continue_trace({begin->second.data(), begin->second.size()});
}

// "ipv4:10.0.0.7:4321" without its port.
std::string address_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

// "ipv4:10.0.0.7" and "ipv6:%5B::1%5D" as one writes them.
std::string plain_address(const std::string& address) {
  std::string plain = address.substr(address.find(':') + 1);
  if (plain.starts_with("%5B") && plain.ends_with("%5D")) plain = plain.substr(3, plain.size() - 6);
  return plain;
}

// Nothing if the call has no deadline.
std::optional<int64_t> milliseconds_until(std::chrono::system_clock::time_point deadline) {
  if (deadline == std::chrono::system_clock::time_point::max()) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::system_clock::now()).count();
}

}  // namespace

GrpcCall::GrpcCall(const CallDeps& deps, grpc::GenericCallbackServerContext& context)
    : deps_(deps),
      context_(context),
      deadline_(context.deadline()),
      connection_(context.peer()),
      peer_(address_of(connection_)),
      id_(choose_request_id(first_value(context.client_metadata(), "x-request-id"))),
      trace_(trace_of(context.client_metadata())),
      authorization_(first_value(context.client_metadata(), "authorization")),
      api_key_(first_value(context.client_metadata(), "x-api-key")),
      origin_{.method = "POST",
              .route = context.method(),
              .path = "",
              .client_address = plain_address(peer_),
              .key_name = ""} {
  deps_.calls.begin_call(connection_);
}

std::string GrpcCall::metadata(const std::string& key) const {
  return first_value(context_.client_metadata(), key.c_str());
}

std::string GrpcCall::admit(Access access) const {
  KeyRing* const keys = deps_.options.keys;
  return keys == nullptr ? "" : keys->admit(join_credentials(authorization_, api_key_), access);
}

void GrpcCall::admit_first(Access access) {
  KeyRing* const keys = deps_.options.keys;
  if (keys != nullptr) origin_.key_name = keys->name_of(join_credentials(authorization_, api_key_));
  tenant_ = admit(access);
}

int64_t GrpcCall::shorter_timeout(int64_t timeout_ms) const {
  const std::optional<int64_t> left = milliseconds_until(deadline_);
  // A deadline further away than any timeout of ours says nothing (and "none" arrives as one centuries away).
  if (!left || *left > 24 * 3600 * 1000) return timeout_ms;
  if (*left <= 0) throw Error(Code::kDeadlineExceeded, "the call's deadline has passed");
  return timeout_ms == 0 ? *left : std::min(timeout_ms, *left);
}

void GrpcCall::start(std::unique_ptr<CallHandler> handler, double idle_s) {
  self_ = shared_from_this();
  handler_ = std::move(handler);
  idle_s_ = idle_s;
  context_.AddInitialMetadata("x-request-id", id_);
  read();
}

void GrpcCall::refuse(const grpc::Status& status) {
  self_ = shared_from_this();
  context_.AddInitialMetadata("x-request-id", id_);
  finish(status);
}

void GrpcCall::read() {
  MutexLock lock(mutex_);
  if (status_ || unwanted_error_) return;
  reading_ = true;
  idle_deadline_ = idle_s_ > 0 ? std::chrono::steady_clock::now() + seconds(idle_s_) : TimePoint::max();
  StartRead(&incoming_);
}

void GrpcCall::OnReadDone(bool ok) {
  if (ok) has_message_ = true;
  {
    MutexLock lock(mutex_);
    reading_ = false;
    if (status_ || unwanted_error_) return;
  }
  if (ok) {
    handler_->on_message(std::move(incoming_));
  } else {
    handler_->on_half_close();
  }
}

void GrpcCall::post(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    ++num_tasks_;
  }
  deps_.pool.post([self = shared_from_this(), task = std::move(task)] {
    try {
      task();
    } catch (...) {
      self->finish(self->status_of(thrown_error()));
    }
    self->end_task();
  });
}

void GrpcCall::end_task() {
  MutexLock lock(mutex_);
  --num_tasks_;
  if (idle_s_ > 0) idle_deadline_ = std::chrono::steady_clock::now() + seconds(idle_s_);
  if (num_tasks_ == 0 && unwanted_error_) finish_locked(status_of(*unwanted_error_));
}

bool GrpcCall::write(grpc::ByteBuffer message) {
  MutexLock lock(mutex_);
  if (!push(std::move(message))) return false;
  pump();
  return true;
}

bool GrpcCall::write_last(grpc::ByteBuffer message) {
  MutexLock lock(mutex_);
  const bool pushed = push(std::move(message));
  if (!unwanted_error_) finish_locked(grpc::Status::OK);
  return pushed;
}

bool GrpcCall::push(grpc::ByteBuffer message) {
  if (status_ || unwanted_error_) return false;
  const size_t num_bytes = message.Length();
  const bool fits = backlog_bytes_ == 0 || backlog_bytes_ + num_bytes <= deps_.options.max_backlog_bytes;
  if (!fits || !deps_.calls.reserve_bytes(num_bytes)) {
    cut(Error(Code::kResourceExhausted, "the client does not read what it is sent"));
    return false;
  }
  backlog_bytes_ += num_bytes;
  outgoing_.push_back(std::move(message));
  return true;
}

void GrpcCall::finish(const grpc::Status& status) {
  MutexLock lock(mutex_);
  if (!unwanted_error_) finish_locked(status);  // else the last task's end says why
}

void GrpcCall::finish_locked(const grpc::Status& status) {
  if (status_) return;
  status_ = status;
  pump();
}

// At most one write is gRPC's at a time, and the status goes with the last.
void GrpcCall::pump() {
  if (writing_ || finished_) return;
  if (!outgoing_.empty()) {
    sending_ = std::move(outgoing_.front());
    outgoing_.pop_front();
    writing_ = true;
    stall_deadline_ = stall_deadline();
    finished_ = outgoing_.empty() && status_ && status_->ok();
    if (finished_) {
      StartWriteAndFinish(&sending_, grpc::WriteOptions(), *status_);
    } else {
      StartWrite(&sending_);
    }
  } else if (status_) {
    finished_ = true;
    stall_deadline_ = stall_deadline();
    Finish(*status_);
  }
}

void GrpcCall::OnWriteDone(bool ok) {
  bool all_written = false;
  {
    MutexLock lock(mutex_);
    writing_ = false;
    stall_deadline_ = TimePoint::max();
    const size_t num_bytes = sending_.Length();
    sending_.Clear();
    backlog_bytes_ -= num_bytes;
    deps_.calls.release_bytes(num_bytes);
    if (!ok) drop_outgoing();
    pump();
    all_written = ok && !writing_ && !status_ && !unwanted_error_;
  }
  if (all_written) handler_->on_written();
}

void GrpcCall::drop_outgoing() {
  for (const grpc::ByteBuffer& message : outgoing_) {
    backlog_bytes_ -= message.Length();
    deps_.calls.release_bytes(message.Length());
  }
  outgoing_.clear();
}

void GrpcCall::add_initial_metadata(const std::string& key, const std::string& value) {
  MutexLock lock(mutex_);
  if (!finished_ && !writing_) context_.AddInitialMetadata(key, value);
}

Error GrpcCall::unwanted_error() const {
  MutexLock lock(mutex_);
  return *unwanted_error_;
}

void GrpcCall::abort(const Error& error) {
  MutexLock lock(mutex_);
  abort_locked(error);
}

void GrpcCall::abort_locked(const Error& error) {
  if (!unwanted_error_) unwanted_error_ = error;
  unwanted_ = true;
  if (num_tasks_ == 0) finish_locked(status_of(*unwanted_error_));
}

void GrpcCall::cut(const Error& error) {
  if (std::exchange(cut_, true)) return;
  abort_locked(error);
  context_.TryCancel();
}

void GrpcCall::check(TimePoint now) {
  MutexLock lock(mutex_);
  if (now >= stall_deadline_) {
    cut(Error(Code::kDeadlineExceeded, "the client does not read what it is sent"));
  } else if (reading_ && num_tasks_ == 0 && now >= idle_deadline_) {
    abort_locked(Error(Code::kDeadlineExceeded, concat("the call was idle for ", idle_s_, " s")));
  }
}

void GrpcCall::evict() {
  MutexLock lock(mutex_);
  cut(Error(Code::kResourceExhausted, "the client does not read what it is sent"));
}

void GrpcCall::OnCancel() {
  // On a busy machine a reset is noticed late: one that came before any message counts all the same.
  if (!has_message_ || std::chrono::steady_clock::now() - begin_ < kSoon) deps_.calls.count_reset(connection_);
  const std::optional<int64_t> left = milliseconds_until(deadline_);
  abort(left && *left <= kSameMomentMs ? Error(Code::kDeadlineExceeded, "the call's deadline has passed")
                                       : Error(Code::kCancelled, "the client cancelled the call"));
}

void GrpcCall::OnDone() {
  deps_.calls.remove(*this);
  deps_.calls.end_call(connection_);
  {
    MutexLock lock(mutex_);
    drop_outgoing();
    deps_.calls.release_bytes(backlog_bytes_);  // of what was sent with the status
    backlog_bytes_ = 0;
  }
  self_.reset();  // the last line: it may be what this lives by
}

GrpcCall::TimePoint GrpcCall::stall_deadline() const {
  return std::chrono::steady_clock::now() + seconds(deps_.options.write_stall_s);
}

grpc::Status GrpcCall::status_of(const Error& error) const {
  return grpc_status(error, id_, deps_.service.retry_after_seconds());
}

}  // namespace sf::server

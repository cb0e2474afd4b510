#include "server/grpc/infer_stream.h"

#include <grpc/grpc.h>

#include <thread>
#include <utility>

#include "server/grpc/grpc_call.h"
#include "server/grpc/grpc_errors.h"
#include "server/grpc/message_buffer.h"
#include "server/guard/request_id.h"
#include "server/guard/thrown_error.h"

namespace sf::server {
namespace {

// With nothing to write, how long one of the requests in flight is waited for before the others get their look.
constexpr int kSweepWaitMs = 2;

bool asks_for_status(const grpc::ServerContext& context) {
  const auto it = context.client_metadata().find("triton_grpc_error");
  return it != context.client_metadata().end() && it->second == "true";
}

}  // namespace

InferStream::InferStream(InferDeps deps, grpc::ServerContext& context, Stream& stream)
    : deps_(deps), context_(context), stream_(stream), ends_at_error_(asks_for_status(context)) {}

grpc::Status InferStream::run() {
  std::thread writer([this] { write_all(); });
  read_all();
  writer.join();
  cancel_unseen();
  if (!end_) return grpc::Status::OK;
  return grpc_status(*end_, offered_request_id(context_), deps_.service.retry_after_seconds());
}

void InferStream::read_all() {
  grpc::ByteBuffer bytes;
  while (wait_for_room() && stream_.Read(&bytes)) {
    RequestPtr request = accept(bytes);
    {
      MutexLock lock(mutex_);
      incoming_.push_back(std::move(request));
      ++in_flight_;
    }
    changed_.notify_all();
  }
  {
    MutexLock lock(mutex_);
    all_read_ = true;
  }
  changed_.notify_all();
}

bool InferStream::wait_for_room() {
  MutexLock lock(mutex_);
  while (!abandoned_ && in_flight_ >= deps_.options.max_stream_requests) changed_.wait(mutex_);
  return !abandoned_;
}

InferStream::RequestPtr InferStream::accept(const grpc::ByteBuffer& bytes) {
  auto request = std::make_unique<Request>();
  InferCall& call = request->call;
  bool good = false;
  try {
    read_infer_call(call, bytes, context_, deps_.service, deps_.options.keys);
    good = true;
    submit_infer_call(call, deps_.service);
  } catch (...) {
    request->refusal = thrown_error();
    if (call.id.empty()) call.id = choose_request_id("");
    if (good) {
      record(*request, grpc_code_name(*request->refusal), nullptr);
    } else {
      refuse_infer_call(*request->refusal, {call.id, call.trace}, deps_.service);
    }
  }
  return request;
}

// What was read while the writing thread already gave the call up.
void InferStream::cancel_unseen() {
  MutexLock lock(mutex_);
  for (const RequestPtr& request : incoming_) {
    if (!request->call.stream) continue;
    request->call.stream->cancel();
    record(*request, grpc_code_name(*end_), nullptr);
  }
}

void InferStream::write_all() {
  while (take_incoming()) {
    if (is_unwanted()) {
      abandon(unwanted_error(context_, deps_.stopping));
    } else if (!sweep(0) && !active_.empty() && !end_) {
      sweep(kSweepWaitMs);
    }
    if (end_) return;
  }
}

bool InferStream::take_incoming() {
  MutexLock lock(mutex_);
  while (incoming_.empty() && active_.empty()) {
    if (all_read_ && !is_unwanted()) return false;
    if (is_unwanted()) return true;
    changed_.wait_for(mutex_, std::chrono::milliseconds(deps_.options.poll_interval_ms));
  }
  for (RequestPtr& request : incoming_) active_.push_back(std::move(request));
  incoming_.clear();
  return true;
}

bool InferStream::sweep(int wait_ms) {
  bool any = false;
  for (size_t i = 0; i < active_.size() && !end_; ++i) {
    Request& request = *active_[i];
    if (request.refusal) {
      write_error(request, *request.refusal);
    } else {
      // Waiting is for one of them, a different one each time.
      const int patience_ms = i == turn_ % active_.size() ? wait_ms : 0;
      const bool merge_pending = !request.call.decoupled;
      std::optional<Event> event = request.call.stream->next_for(patience_ms, merge_pending);
      if (!event) continue;
      any = true;
      if (!handle(request, std::move(*event))) continue;
    }
    any = true;
    active_[i] = nullptr;
  }
  ++turn_;
  if (!any) return false;
  const size_t num_before = active_.size();
  std::erase(active_, nullptr);
  {
    MutexLock lock(mutex_);
    in_flight_ -= static_cast<int>(num_before - active_.size());
  }
  changed_.notify_all();
  return true;
}

bool InferStream::handle(Request& request, Event event) {
  if (!event.text.empty()) {
    if (!request.call.decoupled) {
      request.text += event.text;
    } else if (!write_delta(request, event.text)) {
      return false;
    }
  }
  if (!event.finished) return false;
  if (event.error) {
    record(request, grpc_code_name(*event.error), nullptr);
    request.call.stream = nullptr;  // ended: not to be cancelled with the others
    write_error(request, *event.error);
    return true;
  }
  if (!write_summary(request, *event.summary)) return false;
  record(request, "OK", &*event.summary);
  return true;
}

bool InferStream::write(const inference::ModelStreamInferResponse& message) {
  if (stream_.Write(serialize_message(message))) return true;
  abandon(unwanted_error(context_, deps_.stopping));
  return false;
}

bool InferStream::write_delta(Request& request, const std::string& text) {
  inference::ModelStreamInferResponse message;
  *message.mutable_infer_response() = infer_message(request.call.head);
  add_answer(*message.mutable_infer_response(), text);
  set_final(*message.mutable_infer_response(), false);
  return write(message);
}

// A decoupled answer's deltas are out already: its end is empty, by the protocol's form if the client knows it.
bool InferStream::write_summary(Request& request, const Summary& summary) {
  inference::ModelStreamInferResponse message;
  inference::ModelInferResponse& response = *message.mutable_infer_response();
  response = infer_message(request.call.head);
  if (!request.call.decoupled || !request.call.empty_final_response) add_answer(response, request.text);
  add_summary(response, summary);
  set_final(response, true);
  return write(message);
}

void InferStream::write_error(const Request& request, const Error& error) {
  if (ends_at_error_) {
    abandon(error);
    return;
  }
  const grpc::Status status = grpc_status(error, request.call.id, deps_.service.retry_after_seconds());
  inference::ModelStreamInferResponse message;
  message.set_error_message(status.error_message());
  *message.mutable_infer_response() = infer_message(request.call.head);
  (*message.mutable_infer_response()->mutable_parameters())["code"].set_string_param(grpc_code_name(error));
  set_final(*message.mutable_infer_response(), true);
  write(message);
}

void InferStream::record(const Request& request, const std::string& code, const Summary* summary) {
  record_infer_call(request.call, code, summary, deps_.service, deps_.statistics);
}

void InferStream::abandon(const Error& error) {
  if (end_) return;
  end_ = error;
  {
    MutexLock lock(mutex_);
    abandoned_ = true;
    for (RequestPtr& request : incoming_) active_.push_back(std::move(request));
    incoming_.clear();
  }
  changed_.notify_all();
  for (const RequestPtr& request : active_) {
    if (!request || !request->call.stream) continue;
    request->call.stream->cancel();
    record(*request, grpc_code_name(error), nullptr);
  }
  // The reading thread waits for the client: this ends its Read, and tells the client why.
  const grpc::Status status = grpc_status(error, offered_request_id(context_), deps_.service.retry_after_seconds());
  grpc_call_cancel_with_status(context_.c_call(), static_cast<grpc_status_code>(status.error_code()),
                               status.error_message().c_str(), nullptr);
}

}  // namespace sf::server

#include "server/grpc/infer_stream.h"

#include <utility>

#include "server/grpc/grpc_errors.h"
#include "server/grpc/message_buffer.h"
#include "server/wire/request_id.h"
#include "server/wire/thrown_error.h"

namespace sf::server {

InferStream::InferStream(const InferDeps& deps, GrpcCall& call, std::atomic<int>& num_streams)
    : deps_(deps),
      call_(call),
      num_streams_(num_streams),
      ends_at_error_(call.metadata("triton_grpc_error") == "true") {
  if (++num_streams_ <= deps.options.max_infer_streams) return;
  --num_streams_;
  throw Error(Code::kResourceExhausted, concat("more than ", deps.options.max_infer_streams, " streams are open"), "",
              Reason::kQueueFull);
}

void InferStream::on_message(grpc::ByteBuffer message) {
  {
    MutexLock lock(mutex_);
    ++in_flight_;
  }
  call_.post([this, message = std::move(message)] { serve(message); });
}

void InferStream::on_half_close() {
  MutexLock lock(mutex_);
  all_read_ = true;
  if (in_flight_ == 0) call_.finish(grpc::Status::OK);
}

void InferStream::serve(const grpc::ByteBuffer& bytes) {
  InferCall infer;
  const bool accepted = accept(infer, bytes);
  read_next();
  if (accepted) infer.decoupled ? answer_in_parts(infer) : answer_whole(infer);
  end_request();
}

void InferStream::read_next() {
  {
    MutexLock lock(mutex_);
    waits_for_room_ = in_flight_ >= deps_.options.max_stream_requests;
    if (waits_for_room_) return;
  }
  call_.read();
}

void InferStream::end_request() {
  bool has_room = false;
  {
    MutexLock lock(mutex_);
    --in_flight_;
    has_room = std::exchange(waits_for_room_, false);
    if (all_read_ && in_flight_ == 0) call_.finish(grpc::Status::OK);
  }
  if (has_room) call_.read();
}

bool InferStream::accept(InferCall& infer, const grpc::ByteBuffer& bytes) {
  bool good = false;
  try {
    infer.tenant = call_.admit(Access::kInfer);
    read_infer_call(infer, bytes, call_, deps_);
    good = true;
    submit_infer_call(infer, deps_.service);
    return true;
  } catch (...) {
    const Error error = thrown_error();
    if (infer.id.empty()) infer.id = choose_request_id("");
    if (good) {
      fail_infer_call(infer, error, deps_);
    } else {
      refuse_infer_call(error, {infer.id, call_.trace(), call_.origin()}, deps_.service);
    }
    write_error(infer, error);
    return false;
  }
}

void InferStream::answer_whole(const InferCall& infer) {
  const InferResult result =
      wait_for_answers(infer.answers, deps_.options.poll_interval_ms, [&] { return call_.is_unwanted(); });
  if (result.error) {
    write_failure(infer, *result.error);
  } else {
    write_end(infer, result.texts, *result.summary);
  }
}

void InferStream::answer_in_parts(const InferCall& infer) {
  ResponseStream& stream = *infer.answers.front();
  while (true) {
    const std::optional<Event> event = stream.next_for(deps_.options.poll_interval_ms);
    if (call_.is_unwanted()) {
      stream.cancel();
      write_failure(infer, call_.unwanted_error());
      return;
    }
    if (event && handle(infer, *event)) return;
  }
}

bool InferStream::handle(const InferCall& infer, const Event& event) {
  if (!event.text.empty()) write_delta(infer, event.text);
  if (!event.finished) return false;
  if (event.error) {
    write_failure(infer, *event.error);
  } else {
    write_end(infer, {""}, *event.summary);
  }
  return true;
}

void InferStream::write_failure(const InferCall& infer, const Error& error) {
  if (call_.is_unwanted()) {
    fail_infer_call(infer, call_.unwanted_error(), deps_);
    return;
  }
  fail_infer_call(infer, error, deps_);
  write_error(infer, error);
}

grpc::ByteBuffer InferStream::serialize(const inference::ModelStreamInferResponse& message) {
  return serialize_message(message);
}

void InferStream::write_delta(const InferCall& infer, const std::string& text) {
  inference::ModelStreamInferResponse message;
  *message.mutable_infer_response() = infer_message(infer.head);
  add_answer(*message.mutable_infer_response(), {text}, infer.head.shape);
  set_final(*message.mutable_infer_response(), false);
  write(message);
}

// An answer in parts is out already: its end is empty, by the protocol's form if the client knows it.
void InferStream::write_end(const InferCall& infer, const std::vector<std::string>& texts, const Summary& summary) {
  inference::ModelStreamInferResponse message;
  inference::ModelInferResponse& response = *message.mutable_infer_response();
  response = infer_message(infer.head);
  if (!infer.decoupled || !infer.empty_final_response) add_answer(response, texts, infer.head.shape);
  add_summary(response, summary);
  set_final(response, true);
  write(message);
  finish_infer_call(infer, summary, deps_);
}

void InferStream::write_error(const InferCall& infer, const Error& error) {
  if (ends_at_error_) {
    call_.abort(error);
    return;
  }
  const grpc::Status status = grpc_status(error, infer.id, deps_.service.retry_after_seconds());
  inference::ModelStreamInferResponse message;
  message.set_error_message(status.error_message());
  *message.mutable_infer_response() = infer_message(infer.head);
  (*message.mutable_infer_response()->mutable_parameters())["code"].set_string_param(grpc_code_name(error));
  set_final(*message.mutable_infer_response(), true);
  write(message);
}

}  // namespace sf::server

#include "server/http/answer_handler.h"

#include <limits>
#include <utility>

#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

void cancel_all(const AnswerStreams& streams) {
  for (const auto& stream : streams) stream->cancel();
}

struct FirstEvent {
  std::optional<Event> event;  // none: it was waited for as long as allowed, or is unwanted
  bool unwanted = false;
};

// `is_unwanted` is asked whenever a poll interval passed without an event.
FirstEvent wait_for_first_event(ResponseStream& stream, int poll_interval_ms, int max_wait_ms,
                                const IsUnwanted& is_unwanted) {
  for (int64_t waited_ms = 0; waited_ms < max_wait_ms; waited_ms += poll_interval_ms) {
    std::optional<Event> event = stream.next_for(poll_interval_ms);
    if (event) return {std::move(event), false};
    if (is_unwanted()) return {std::nullopt, true};
  }
  return {};
}

}  // namespace

AnswerHandler::AnswerHandler(const HttpOptions& options, Service& service, std::function<bool()> is_stopping)
    : options_(options), service_(service), is_stopping_(std::move(is_stopping)) {}

AnswerHandler::Exchange AnswerHandler::begin(const char* api, const httplib::Request& request,
                                             httplib::Response& response) const {
  return {begin_call(api, request, response), request, response,
          [this, &request] { return request.is_connection_closed() || is_stopping_(); }};
}

template <typename Read, typename RunWork, typename OnFailure>
void AnswerHandler::guard(const Exchange& exchange, const Read& read, const RunWork& run_work,
                          const OnFailure& on_failure) {
  try {
    read();
  } catch (...) {
    refuse_call(service_, exchange.call, exchange.request, exchange.response, thrown_error());
    return;
  }
  try {
    run_work();
  } catch (...) {
    on_failure(thrown_error());
  }
}

void AnswerHandler::serve(const char* api, const httplib::Request& request, httplib::Response& response,
                          const ReadAnswer& read) {
  const Exchange exchange = begin(api, request, response);
  PreparedAnswer answer;
  AnswerStreams streams;
  guard(
      exchange, [&] { answer = read(exchange.call, exchange.is_unwanted); },
      [&] {
        streams = answer.submit();
        answer.submit = nullptr;  // and the image with it
        const int64_t version = streams.front()->model_version();
        answer.presenter->on_submitted(version);
        response.set_header("X-Model-Version", std::to_string(version));
        if (answer.streamed) {
          answer_in_parts(exchange, answer.presenter, streams);
        } else {
          answer_whole(exchange, *answer.presenter, streams);
        }
      },
      [&](const Error& error) {
        cancel_all(streams);
        const Error shown = is_stop(error) ? shutting_down() : answer.presenter->in_words(error);
        fail(exchange, *answer.presenter, shown, 0);
      });
}

void AnswerHandler::serve_work(const char* api, const httplib::Request& request, httplib::Response& response,
                               const ReadWork& read) {
  const Exchange exchange = begin(api, request, response);
  Work work;
  guard(
      exchange, [&] { work = read(exchange.call, exchange.is_unwanted); },
      [&] { record_call(service_, exchange.call, 200, work(), nullptr); },
      [&](const Error& error) { fail_call(service_, exchange.call, request, response, reason_of(error), 0); });
}

void AnswerHandler::answer_whole(const Exchange& exchange, Presenter& presenter, const AnswerStreams& streams) {
  const int64_t version = streams.front()->model_version();
  const WholeAnswers all = wait_for_all(streams, options_.poll_interval_ms, exchange.is_unwanted);
  if (all.error) {
    fail(exchange, presenter, reason_of(*all.error), version);
    return;
  }
  std::vector<const Summary*> summaries;
  for (const WholeAnswer& answer : all.answers) summaries.push_back(&*answer.summary);
  const Summary total = presenter.total(summaries);
  presenter.write_whole(exchange.response, all.answers, total);
  presenter.on_end(&total, streams.size());
  record_call(service_, exchange.call, 200, version, &total);
}

// The status line waits for the first event, so that what fails before it is a plain HTTP error.
void AnswerHandler::answer_in_parts(const Exchange& exchange, const std::shared_ptr<Presenter>& presenter,
                                    const AnswerStreams& streams) {
  const int64_t version = streams.front()->model_version();
  const bool pings = presenter->event_format().pings;
  const int max_wait_ms = pings ? options_.ping_interval_ms : std::numeric_limits<int>::max();  // as a proxy does
  FirstEvent first =
      wait_for_first_event(*streams.front(), options_.poll_interval_ms, max_wait_ms, exchange.is_unwanted);
  if (first.unwanted) {
    cancel_all(streams);
    fail(exchange, *presenter, reason_of(client_gone()), version);
    return;
  }
  if (first.event && first.event->error) {
    for (size_t i = 1; i < streams.size(); ++i) streams[i]->cancel();
    fail(exchange, *presenter, *first.event->error, version);
    return;
  }
  AnswerEvents::send(
      exchange.response, {presenter, streams, std::move(first.event), exchange.request.path, exchange.call.id},
      {options_.poll_interval_ms, options_.ping_interval_ms, is_stopping_},
      [this, presenter, call = exchange.call, version, count = streams.size()](int code, const Summary* total) {
        presenter->on_end(total, count);
        record_call(service_, call, code, version, total);
      });
}

void AnswerHandler::fail(const Exchange& exchange, Presenter& presenter, const Error& error, int64_t model_version) {
  presenter.on_end(nullptr, 0);
  fail_call(service_, exchange.call, exchange.request, exchange.response, error, model_version);
}

}  // namespace sf::server

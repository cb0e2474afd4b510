#include "server/service/service.h"

namespace sf::server {

std::vector<std::shared_ptr<ResponseStream>> Service::submit_batch(size_t count, const RequestOf& request_of) {
  std::vector<std::shared_ptr<ResponseStream>> streams;
  try {
    for (size_t i = 0; i < count; ++i) streams.push_back(submit(request_of(i)));
  } catch (...) {
    for (const auto& stream : streams) stream->cancel();
    throw;
  }
  return streams;
}

}  // namespace sf::server

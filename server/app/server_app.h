// The whole server without the torch engine: slot, reloader, service and the three frontends, wired and started in
// order.
//
//   ServerApp app(options, make_engine, write_line);  // an EngineFactory; each log line is written
//   app.start();                              // frontends answer (not ready), then a version is published
//   std::cout << app.ready_line();
//   app.begin_drain();                        // SIGTERM
//   while (!app.wait_idle(0.05)) ...          // admitted answers are finished
//   app.stop();
//
// One thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "server/app/server_options.h"
#include "server/service/service.h"
#include "server/versions/checkpoint_source.h"

namespace sf::server {

struct BoundPorts {
  int http = 0;
  int grpc = 0;  // 0 without gRPC
  int admin = 0;
};

class ServerApp {
 public:
  using Log = std::function<void(const std::string& json_line)>;  // any thread

  // Errors: NotFound for a model that is not there; those of parse_api_keys and of certificates.
  ServerApp(ServerOptions options, EngineFactory factory, Log log);
  ~ServerApp();  // stop()

  // Effect: seeds an empty store, binds the ports, loads the first version, watches the store, writes the port file. A
  // store without a valid version is waited for. Errors: Unavailable for a port; NotFound for a path that is not there;
  // FailedPrecondition with the reason for a checkpoint directory that cannot be served.
  void start();
  BoundPorts ports() const;
  // Where it listens and how to ask, in two lines.
  std::string ready_line() const;
  Service& service();

  // Effect: reads --api-keys and the certificate's files again (SIGHUP), each on its own: what cannot be used is a log
  // line, and stays as it was. Open connections go on with the certificates they began with. False where a fault of the
  // machine kept one from being read: worth another try.
  bool reload_files();
  // Effect: not ready, nothing new is admitted.
  void begin_drain();
  // True once every admitted answer was read to its end; false after `seconds`.
  bool wait_idle(double seconds);
  // Effect: fails what still runs, closes the ports, joins every thread. Idempotent.
  void stop();

 private:
  struct Parts;
  void load_first_version();
  bool reload_keys();
  bool reload_certificate();
  void write_port_file() const;

  const ServerOptions options_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sf::server

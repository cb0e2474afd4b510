"""A real server for tests in Python: `sparsefusion-server` on free ports, stopped at the end.

    server = LiveServer(binaries, folder, "--model", model)     # binaries, folder: pathlib.Path
    server.ports["http"], server.ports["grpc"], server.ports["admin"];  server.log.read_text()
    server.stop()
"""

import json
import signal
import subprocess
import sys
import time

PATIENCE_S = 120


class LiveServer:
    def __init__(self, binaries, folder, *flags):
        self.log, port_file = folder / "server.log", folder / "ports.json"
        self.process = subprocess.Popen(
            [binaries / "sparsefusion-server", "--threads", "1", "--http-port", "0", "--grpc-port", "0", "--admin-port", "0",
             "--port-file", port_file, *flags],
            stdout=subprocess.DEVNULL, stderr=self.log.open("w"))
        self.wait_until(port_file.exists)
        self.ports = json.loads(port_file.read_text())

    def address(self, port):
        return f"127.0.0.1:{self.ports[port]}"

    def wait_until(self, condition):
        """Ends the program with the server's last words if it ends or takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                sys.exit("the server is not there:\n" + self.log.read_text()[-2000:])
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

"""Every panel of every board, asked of a real Prometheus that scrapes a loaded server and a trainer.

    live_panels_test.py BINARIES PROMETHEUS      the folder of our programs, and Debian's prometheus

The processes, the scrape configuration and the rules are those of deploy/, with this machine's addresses. The trainer
publishes, so that the server reloads. A panel that stays empty, holds nothing but NaN or is refused fails the test, as
does a rule that does not evaluate.
"""

import json
import math
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import requests
import yaml

ROOT = Path(__file__).resolve().parents[2]
BINARIES, PROMETHEUS = (Path(x).resolve() for x in sys.argv[1:3])
# What Grafana makes of its variables with a scrape interval of 1 s and everything selected.
VARIABLES = {"$__rate_interval": "20s"} | {
    x: ".*" for x in ("$instance", "$model", "$version", "$layer", "$modality")
}
DEADLINE_S = 300


def boards() -> dict[str, dict]:
    return {x.name: json.loads(x.read_text()) for x in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))}


def replaced(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Stack:
    """Server, load, trainer and Prometheus, all on free ports; ends with its `with`."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.scratch, self.processes = Path(self.folder.name), []
        return self

    def start(self):
        store = self.scratch / "store"
        store.mkdir()
        self.run(
            BINARIES / "sparsefusion-server",
            f"--model={store}",
            f"--seed-model={ROOT / 'models/demo'}",
            "--threads=1",
            "--http-port=0",
            "--grpc-port=0",
            "--admin-port=0",
            "--max-score-drop=1",
            f"--port-file={self.scratch / 'ports.json'}",
        )
        self.until((self.scratch / "ports.json").exists, "the server")
        ports = json.loads((self.scratch / "ports.json").read_text())
        # Questions about images over both APIs, for as long as the test asks.
        pairs, server = ROOT / "examples/questions.jsonl", f"http://127.0.0.1:{ports['http']}"
        self.run(BINARIES / "sparsefusion", "--server", server, "--rest", "bench", pairs, "--requests=1000000")
        self.run(
            BINARIES / "sparsefusion",
            "--grpc",
            f"127.0.0.1:{ports['grpc']}",
            "bench",
            pairs,
            "--requests=1000000",
            "--stream",
        )
        metrics_port = free_port()
        self.run(
            BINARIES / "sparsefusion-train",
            "--data=sort-of-clevr",
            "--model=tiny",
            f"--out={store}",
            "--resume",
            "--publish=all",
            "--learning-rate=1e-6",
            "--steps=1000000",
            "--threads=1",
            "--batch-size=2",
            "--evaluate-every=10",
            "--evaluation-pictures=4",
            f"--metrics-port={metrics_port}",
        )
        self.trainer = f"http://127.0.0.1:{metrics_port}"
        self.prometheus = f"http://127.0.0.1:{free_port()}"
        self.configure(
            {
                "server:8002": f"127.0.0.1:{ports['admin']}",
                "trainer:8003": f"127.0.0.1:{metrics_port}",
                "127.0.0.1:9090": self.prometheus.removeprefix("http://"),
            }
        )
        self.run(
            PROMETHEUS,
            f"--config.file={self.scratch / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.scratch / 'tsdb'}",
            f"--web.listen-address={self.prometheus.removeprefix('http://')}",
        )
        self.until(self.prometheus_is_ready, "Prometheus")

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        self.folder.cleanup()

    def run(self, program, *arguments):
        name = Path(program).name
        with open(self.scratch / f"{name}.{len(self.processes)}.log", "wb") as log:
            self.processes.append(
                subprocess.Popen([str(program), *map(str, arguments)], stdout=log, stderr=log, cwd=self.scratch)
            )

    def until(self, condition, what):
        deadline = time.monotonic() + 120
        while not condition():
            self.check_alive()
            assert time.monotonic() < deadline, f"{what} did not start"
            time.sleep(0.1)

    def check_alive(self):
        for process in self.processes:
            if process.poll() is not None:
                logs = [x.read_text()[-2000:] for x in self.scratch.glob("*.log")]
                raise AssertionError(f"{process.args[0]} ended with {process.returncode}: {logs}")

    def prometheus_is_ready(self) -> bool:
        try:
            return requests.get(self.prometheus + "/-/ready", timeout=2).ok
        except requests.ConnectionError:
            return False

    def configure(self, addresses: dict[str, str]):
        config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(ROOT / "deploy/prometheus" / x) for x in config["rule_files"]]
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [addresses[x] for x in job["static_configs"][0]["targets"]]}]
        (self.scratch / "prometheus.yml").write_text(yaml.safe_dump(config))

    def get(self, path: str, **parameters):
        answer = requests.get(f"{self.prometheus}/api/v1/{path}", params=parameters, timeout=30).json()
        assert answer["status"] == "success", f"{path} {parameters}: {answer.get('error')}"
        return answer["data"]

    def values(self, expression: str, instant: bool) -> list[float]:
        """Of every series the values that are numbers, over the last 10 s where not `instant`."""
        if instant:
            samples = [x["value"] for x in self.get("query", query=expression)["result"]]
        else:
            now = time.time()
            samples = [
                v
                for x in self.get("query_range", query=expression, start=now - 10, end=now, step=2)["result"]
                for v in x["values"]
            ]
        return [float(value) for _, value in samples if not math.isnan(float(value))]

    def versions(self) -> list[int]:
        return [int(x["metric"]["version"]) for x in self.get("query", query="sparsefusion_model_info")["result"]]


class LivePanelsTest(unittest.TestCase):
    def test_no_panel_is_empty_and_no_rule_fails(self):
        queries = [
            (f"{file}: {panel['title']}: {target['refId']}", replaced(target["expr"]), target.get("instant", False))
            for file, board in boards().items()
            for panel in board["panels"]
            for target in panel.get("targets", [])
        ]
        for file, board in boards().items():
            for variable in (x for x in board["templating"]["list"] if x["type"] == "query"):
                selector = re.fullmatch(r"label_values\((.*), *\w+\)", variable["query"]["query"])[1]
                queries.append((f"{file}: variable {variable['name']}", replaced(selector), True))
        self.assertGreater(len(queries), 70)
        with Stack() as stack:
            stack.start()
            waiting, deadline = queries, time.monotonic() + DEADLINE_S
            while waiting:
                waiting = [x for x in waiting if not stack.values(x[1], x[2])]
                stack.check_alive()
                self.assertLess(time.monotonic(), deadline, "these stay empty: " + "; ".join(x[0] for x in waiting))
            # An expression that only names something wrong is empty, not an error: the check above must be able to fail.
            self.assertEqual(stack.values("sum(sparsefusion_no_such_metric)", True), [])
            self.check_rules(stack)
            self.check_colours(stack)
            # What the compose file asks to learn whether the trainer lives.
            self.assertEqual(
                subprocess.run(
                    [BINARIES / "sparsefusion", "health", "--server", stack.trainer], capture_output=True
                ).returncode,
                0,
            )
            print(
                f"{len(queries)} queries answered, {stack.values('sum(sparsefusion_requests_total)', True)[0]:.0f} requests served, "
                f"version {max(stack.versions())}"
            )

    def check_colours(self, stack):
        """A colour says that something is wrong, and with the demo model and its questions nothing is."""
        num_checked = 0
        for file, board in boards().items():
            for panel in (x for x in board["panels"] if x["type"] == "stat"):
                steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
                bad = [x["value"] for x in steps if x["color"] in ("orange", "red") and x["value"] is not None]
                if not bad:
                    continue
                for value in stack.values(replaced(panel["targets"][0]["expr"]), True):
                    self.assertLess(value, min(bad), f"{file}: {panel['title']}")
                    num_checked += 1
        self.assertGreaterEqual(num_checked, 7)

    def check_rules(self, stack):
        rules = [x for group in stack.get("rules")["groups"] for x in group["rules"]]
        self.assertGreater(len(rules), 12)
        for rule in rules:
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), rule["name"])
            self.assertNotEqual(rule.get("state"), "firing", rule["name"])
        for record in (x["name"] for x in rules if x["type"] == "recording"):
            self.assertTrue(stack.values(record, True), f"{record} is empty")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)

"""What a schema cannot say about deploy/docker-compose*.yml.

compose_test.py DEPLOY SERVER TRAINER      the folder deploy/ and both programs, which are asked for their flags
"""

import re
import subprocess
import sys
import unittest
from pathlib import Path

import yaml

DEPLOY, SERVER, TRAINER = (Path(x) for x in sys.argv[1:4])
COMPOSE = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
GPU = yaml.safe_load((DEPLOY / "docker-compose.gpu.yml").read_text())
SERVICES = COMPOSE["services"]


class ComposeTest(unittest.TestCase):
    def test_the_four_services_are_there_and_the_override_changes_only_them(self):
        self.assertEqual(set(SERVICES), {"server", "trainer", "prometheus", "grafana"})
        self.assertLessEqual(set(GPU["services"]), set(SERVICES))

    def test_every_service_is_hardened_bounded_and_checked(self):
        for name, service in SERVICES.items():
            with self.subTest(name):
                self.assertTrue(service["read_only"])
                self.assertEqual(service["cap_drop"], ["ALL"])
                self.assertIn("no-new-privileges:true", service["security_opt"])
                self.assertIn("mem_limit", service)
                self.assertIn("pids_limit", service)
                self.assertEqual(service["healthcheck"]["test"][0], "CMD")
                self.assertNotRegex(service["image"], r"(:latest|^[^:]+)$")
                for port in service.get("ports", []):
                    self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_no_path_of_the_host(self):
        """Volumes are named; configs are files of this folder that exist and that the containers mount once."""
        for service in SERVICES.values():
            for volume in service.get("volumes", []):
                self.assertIn(volume.split(":")[0], COMPOSE["volumes"])
        for config in COMPOSE["configs"].values():
            self.assertTrue(config["file"].startswith("./") and (DEPLOY / config["file"]).is_file(), config)
        mounted = [x["source"] for service in SERVICES.values() for x in service.get("configs", [])]
        self.assertEqual(sorted(mounted), sorted(COMPOSE["configs"]))

    def test_every_board_and_rule_file_is_mounted(self):
        files = {(DEPLOY / x["file"]).resolve() for x in COMPOSE["configs"].values()}
        for pattern in ("grafana/dashboards/*", "grafana/provisioning/*/*", "prometheus/*.yml", "prometheus/rules/*"):
            for file in DEPLOY.glob(pattern):
                self.assertIn(file.resolve(), files)

    def test_prometheus_scrapes_services_on_the_ports_they_listen_on(self):
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
        targets = {x["job_name"]: x["static_configs"][0]["targets"] for x in config["scrape_configs"]}
        self.assertEqual(targets["sparsefusion-server"], ["server:8002"])
        self.assertIn("--admin-allowed-host=server", SERVICES["server"]["command"])
        self.assertEqual(targets["sparsefusion-train"], ["trainer:8003"])
        self.assertIn("--metrics-port=8003", SERVICES["trainer"]["command"])

    def test_the_trainer_publishes_where_the_server_watches(self):
        self.assertIn("--model=/models/store", SERVICES["server"]["command"])
        self.assertIn("--out=/models/store", SERVICES["trainer"]["command"])
        self.assertEqual(SERVICES["server"]["volumes"], SERVICES["trainer"]["volumes"])

    def test_the_server_has_time_to_drain(self):
        self.assertGreaterEqual(int(SERVICES["server"]["stop_grace_period"].rstrip("s")), 30 + 5)

    def test_programs_know_their_flags_and_settings(self):
        for name, program in (("server", SERVER), ("trainer", TRAINER)):
            said = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
            known = set(re.findall(r"--[a-z][a-z0-9-]*", said))
            for argument in SERVICES[name]["command"]:
                self.assertIn(argument.split("=")[0], known, name)
            for variable in GPU["services"].get(name, {}).get("environment", {}):
                self.assertIn(f"(Env:{variable})", said)

    def test_grafana_shows_without_a_login_and_lets_nobody_change(self):
        environment = SERVICES["grafana"]["environment"]
        self.assertEqual(
            (environment["GF_AUTH_ANONYMOUS_ENABLED"], environment["GF_AUTH_ANONYMOUS_ORG_ROLE"]), ("true", "Viewer")
        )
        self.assertFalse([x for x in environment if "PASSWORD" in x])

    def test_a_gpu_is_reserved_by_its_capability(self):
        (device,) = GPU["services"]["server"]["deploy"]["resources"]["reservations"]["devices"]
        self.assertEqual((device["driver"], device["capabilities"]), ("nvidia", ["gpu"]))
        self.assertEqual(GPU["services"]["server"]["build"]["args"]["CUDA"], "1")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)

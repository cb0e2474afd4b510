"""deploy/k8s without a cluster: every object against its schema, and what has to agree between them.

    kubernetes_test.py DEPLOY SERVER TRAINER      the folder deploy/ and both programs, which are asked for their flags

Core kinds are checked by kubernetes-validate in strict mode; custom kinds by crds/*.schema.json, and the pods inside
them as core kinds.
"""

import json
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

import kustomize

HERE = Path(__file__).parent
DEPLOY, SERVER, TRAINER = (Path(x) for x in sys.argv[1:4])
K8S = DEPLOY / "k8s"
OVERLAYS = {x.name: x for x in sorted((K8S / "overlays").iterdir())}
SCHEMAS = {}
for file in (HERE / "crds").glob("*.schema.json"):
    schema = json.loads(file.read_text())
    SCHEMAS[schema["properties"]["apiVersion"]["const"], schema["properties"]["kind"]["const"]] = schema


def validate(thing: dict) -> None:
    custom = SCHEMAS.get((thing["apiVersion"], thing["kind"]))
    if custom:
        jsonschema.Draft7Validator(custom).validate(thing)
    else:
        kubernetes_validate.validate(thing, "1.37", strict=True)


def objects(overlay: str, kind: str) -> list[dict]:
    return [x for x in kustomize.build(OVERLAYS[overlay]) if x["kind"] == kind]


def pods(overlay: str) -> dict[str, dict]:
    """Pod specs by kind of what makes them."""
    found = {}
    for thing in kustomize.build(OVERLAYS[overlay]):
        if thing["kind"] == "Deployment":
            found["Deployment"] = thing["spec"]["template"]["spec"]
        elif thing["kind"] == "ServingRuntime":
            (service,) = objects(overlay, "InferenceService")
            predictor = {
                k: v
                for k, v in service["spec"]["predictor"].items()
                if k in ("securityContext", "terminationGracePeriodSeconds")
            }
            found["ServingRuntime"] = {
                "containers": thing["spec"]["containers"],
                "volumes": thing["spec"]["volumes"],
                **predictor,
            }
        elif thing["kind"] == "TrainingRuntime":
            (job,) = thing["spec"]["template"]["spec"]["replicatedJobs"]
            found["TrainingRuntime"] = job["template"]["spec"]["template"]["spec"]
    return found


def all_pods():
    return [(f"{overlay}/{kind}", pod) for overlay in OVERLAYS for kind, pod in pods(overlay).items()]


def flags_of(program: Path) -> set[str]:
    said = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--[a-z][a-z0-9-]*", said))


def flag(container: dict, name: str) -> str:
    (value,) = [x.split("=", 1)[1] for x in container["args"] if x.startswith(f"--{name}=")]
    return value


class SchemaTest(unittest.TestCase):
    def test_every_object_of_every_overlay(self):
        self.assertEqual(set(OVERLAYS), {"cpu", "gpu", "kserve", "train"})
        for overlay, folder in OVERLAYS.items():
            built = kustomize.build(folder)
            self.assertGreaterEqual(len(built), 2)
            for thing in built:
                with self.subTest(overlay=overlay, kind=thing["kind"], name=thing["metadata"]["name"]):
                    validate(thing)
                    self.assertEqual(thing["metadata"]["namespace"], "sparsefusion")

    def test_pods_inside_custom_kinds_are_pods(self):
        for where, pod in all_pods():
            with self.subTest(where):
                validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod})
        for thing in objects("train", "TrainingRuntime"):
            (job,) = thing["spec"]["template"]["spec"]["replicatedJobs"]
            validate(
                {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": job["template"]["spec"]}
            )
        for thing in objects("gpu", "ScaledObject"):
            behavior = thing["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
            spec = {"scaleTargetRef": {"kind": "Deployment", "name": "x"}, "maxReplicas": 1, "behavior": behavior}
            validate(
                {
                    "apiVersion": "autoscaling/v2",
                    "kind": "HorizontalPodAutoscaler",
                    "metadata": {"name": "x"},
                    "spec": spec,
                }
            )

    def test_a_misspelt_key_is_found_in_both_kinds(self):
        (deployment,) = objects("cpu", "Deployment")
        deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
        with self.assertRaises(kubernetes_validate.ValidationError):
            validate(deployment)
        (scaled,) = objects("gpu", "ScaledObject")
        scaled["spec"]["minReplicas"] = 1
        with self.assertRaises(jsonschema.ValidationError):
            validate(scaled)

    def test_every_file_is_used(self):
        used = set()
        for file in K8S.rglob("kustomization.yaml"):
            (content,) = kustomize.load_all(file)
            used |= {(file.parent / x).resolve() for x in content.get("resources", [])}
            used |= {(file.parent / x["path"]).resolve() for x in content.get("patches", [])}
        for file in K8S.rglob("*.yaml"):
            self.assertTrue(
                file.name == "kustomization.yaml" or file.resolve() in used, f"{file} is in no kustomization"
            )

    @unittest.skipUnless(shutil.which("kustomize") or shutil.which("kubectl"), "neither kustomize nor kubectl is here")
    def test_kustomize_builds_the_same(self):
        command = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
        for overlay, folder in OVERLAYS.items():
            built = yaml.safe_load_all(
                subprocess.run([*command, folder], capture_output=True, text=True, check=True).stdout
            )
            key = lambda x: (x["kind"], x["metadata"]["name"])
            self.assertEqual(sorted(built, key=key), sorted(kustomize.build(folder), key=key), overlay)


class AgreementTest(unittest.TestCase):
    def test_pods_stop_within_their_grace_period(self):
        for where, pod in all_pods():
            for container in pod["containers"]:
                if any(x.startswith("--drain-timeout-s=") for x in container.get("args", [])):
                    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
                    self.assertGreaterEqual(
                        pod["terminationGracePeriodSeconds"],
                        pause + float(flag(container, "drain-timeout-s")) + 5,
                        where,
                    )

    def test_servers_are_probed_on_the_management_port(self):
        num_servers = 0
        for where, pod in all_pods():
            for container in (c for c in pod["containers"] if "readinessProbe" in c):
                num_servers += 1
                ports = {x["name"]: x["containerPort"] for x in container["ports"]} | {8002: 8002}
                for probe, path in (("startupProbe", "ready"), ("readinessProbe", "ready"), ("livenessProbe", "live")):
                    get = container[probe]["httpGet"]
                    self.assertEqual(
                        (get["path"], ports[get["port"]]), (f"/v2/health/{path}", 8002), f"{where} {probe}"
                    )
                self.assertEqual(flag(container, "admin-host"), "0.0.0.0", where)
                startup = container["startupProbe"]
                self.assertGreaterEqual(startup["periodSeconds"] * startup["failureThreshold"], 120, where)
        self.assertEqual(num_servers, 3)

    def test_pods_are_hardened(self):
        for where, pod in all_pods():
            text = json.dumps(pod)
            for unwanted in ("hostPath", "hostNetwork", "hostPID", "privileged", ":latest"):
                self.assertNotIn(unwanted, text, where)
            for container in pod["containers"]:
                context = pod.get("securityContext", {}) | container["securityContext"]
                self.assertTrue(context["runAsNonRoot"] and context["readOnlyRootFilesystem"], where)
                self.assertEqual(
                    (
                        context["runAsUser"],
                        context["allowPrivilegeEscalation"],
                        context["capabilities"]["drop"],
                        context["seccompProfile"]["type"],
                    ),
                    (10001, False, ["ALL"], "RuntimeDefault"),
                    where,
                )
                self.assertIn("/tmp", [x["mountPath"] for x in container["volumeMounts"]], where)
                self.assertLessEqual({"cpu", "memory"}, set(container["resources"]["requests"]), where)
                self.assertIn("memory", container["resources"]["limits"], where)

    def test_programs_know_their_flags(self):
        server, trainer = flags_of(SERVER), flags_of(TRAINER)
        (job,) = objects("train", "TrainJob")
        given = [
            (where, flag_, server)
            for where, pod in all_pods()
            for c in pod["containers"]
            for flag_ in c.get("args", [])
        ]
        given += [("TrainJob", x, trainer) for x in job["spec"]["trainer"]["args"]]
        self.assertGreater(len(given), 20)
        for where, argument, known in given:
            self.assertIn(argument.split("=")[0], known, where)
        for where, pod in all_pods():
            for variable in (x["name"] for c in pod["containers"] for x in c.get("env", [])):
                self.assertIn("--" + variable.removeprefix("SPARSEFUSION_").lower().replace("_", "-"), server, where)

    def test_selectors_find_the_server_and_its_ports(self):
        for overlay in ("cpu", "gpu"):
            (deployment,) = objects(overlay, "Deployment")
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            ports = {
                x["name"]: x["containerPort"] for x in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
            }
            services = {x["metadata"]["name"]: x for x in objects(overlay, "Service")}
            (budget,), (policy,) = objects(overlay, "PodDisruptionBudget"), objects(overlay, "NetworkPolicy")
            for selector in [
                deployment["spec"]["selector"]["matchLabels"],
                budget["spec"]["selector"]["matchLabels"],
                policy["spec"]["podSelector"]["matchLabels"],
                *(x["spec"]["selector"] for x in services.values()),
            ]:
                self.assertLessEqual(selector.items(), labels.items())
            for service in services.values():
                for port in service["spec"]["ports"]:
                    self.assertEqual(ports[port["targetPort"]], port["port"])
            for rule in policy["spec"]["ingress"]:
                self.assertLessEqual({x["port"] for x in rule["ports"]}, set(ports))
            self.assertEqual(services["sparsefusion-grpc"]["spec"]["clusterIP"], "None")
            (monitor,) = objects(overlay, "ServiceMonitor")
            (watched,) = [
                x
                for x in services.values()
                if monitor["spec"]["selector"]["matchLabels"].items() <= x["metadata"]["labels"].items()
            ]
            self.assertEqual([x["name"] for x in watched["spec"]["ports"]], [monitor["spec"]["endpoints"][0]["port"]])

    def test_autoscalers_ask_for_a_metric_that_exists_and_scale_the_deployment(self):
        documented = (DEPLOY.parent / "docs/metrics.md").read_text()
        (hpa,), (scaled,) = objects("cpu", "HorizontalPodAutoscaler"), objects("gpu", "ScaledObject")
        queries = [
            hpa["spec"]["metrics"][0]["pods"]["metric"]["name"],
            scaled["spec"]["triggers"][0]["metadata"]["query"],
        ]
        for query in queries:
            self.assertIn(f"`{re.search('sparsefusion_[a-z_]+', query)[0]}`", documented)
        for overlay, target in (("cpu", hpa["spec"]["scaleTargetRef"]), ("gpu", scaled["spec"]["scaleTargetRef"])):
            (deployment,) = objects(overlay, "Deployment")
            self.assertEqual((target["kind"], target["name"]), ("Deployment", deployment["metadata"]["name"]))

    def test_everybody_uses_the_one_claim(self):
        (claim,) = objects("cpu", "PersistentVolumeClaim")
        name = claim["metadata"]["name"]
        self.assertIn("ReadWriteMany", claim["spec"]["accessModes"])
        for where, pod in all_pods():
            claims = {x["persistentVolumeClaim"]["claimName"] for x in pod["volumes"] if "persistentVolumeClaim" in x}
            self.assertEqual(claims, set() if where.startswith("kserve") else {name}, where)
        (service,) = objects("kserve", "InferenceService")
        self.assertEqual(service["spec"]["predictor"]["model"]["storageUri"], f"pvc://{name}/store")

    def test_references_between_custom_kinds(self):
        (service,), (runtime,) = objects("kserve", "InferenceService"), objects("kserve", "ServingRuntime")
        model = service["spec"]["predictor"]["model"]
        self.assertEqual(model["runtime"], runtime["metadata"]["name"])
        self.assertIn(model["modelFormat"]["name"], [x["name"] for x in runtime["spec"]["supportedModelFormats"]])
        (job,), (training,) = objects("train", "TrainJob"), objects("train", "TrainingRuntime")
        self.assertEqual(
            (job["spec"]["runtimeRef"]["kind"], job["spec"]["runtimeRef"]["name"]),
            ("TrainingRuntime", training["metadata"]["name"]),
        )
        self.assertEqual(job["spec"]["trainer"]["numNodes"], 1)

    def test_a_gpu_pod_is_replaced_before_a_new_one_needs_the_gpu(self):
        (deployment,) = objects("gpu", "Deployment")
        self.assertEqual(deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"], 0)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        self.assertEqual(container["resources"]["limits"]["nvidia.com/gpu"], "1")
        self.assertTrue(container["image"].endswith("-cuda"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)

"""Builds a kustomization as far as deploy/k8s goes: resources, components, namespace, images, strategic merge patches.

    objects = build(Path("deploy/k8s/overlays/cpu"))      # [{apiVersion, kind, metadata, ...}]

Anything else in a kustomization.yaml is an error, so that nothing is silently left out.
"""

import copy
from pathlib import Path

import yaml

KNOWN = {"apiVersion", "kind", "namespace", "resources", "components", "images", "patches", "labels"}


def load_all(path: Path) -> list[dict]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def merge(base, patch):
    """Strategic merge: objects by key, lists of named objects by name, other lists replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        merged = dict(base)
        for key, value in patch.items():
            merged[key] = merge(base[key], value) if key in base else value
        return merged
    if (
        isinstance(base, list)
        and isinstance(patch, list)
        and all(isinstance(x, dict) and "name" in x for x in base + patch)
    ):
        by_name = {x["name"]: x for x in patch}
        merged = [merge(x, by_name.pop(x["name"])) if x["name"] in by_name else x for x in base]
        return merged + list(by_name.values())
    return patch


def containers_of(value):
    """Every container anywhere in an object."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("containers", "initContainers") and isinstance(item, list):
                yield from item
            yield from containers_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from containers_of(item)


def apply(folder: Path, kustomization: dict, objects: list[dict]) -> list[dict]:
    for patch in kustomization.get("patches", []):
        (document,) = load_all(folder / patch["path"])
        matches = [
            i
            for i, x in enumerate(objects)
            if x["kind"] == patch["target"]["kind"] and x["metadata"]["name"] == patch["target"]["name"]
        ]
        assert len(matches) == 1, f"{folder / patch['path']} patches {len(matches)} objects"
        objects[matches[0]] = merge(objects[matches[0]], document)
    for image in kustomization.get("images", []):
        for container in (c for x in objects for c in containers_of(x)):
            if container["image"].split(":")[0] == image["name"]:
                container["image"] = f"{image['name']}:{image['newTag']}"
    for pairs in (entry["pairs"] for entry in kustomization.get("labels", [])):
        for x in objects:
            x["metadata"].setdefault("labels", {}).update(pairs)
    if "namespace" in kustomization:
        for x in objects:
            x["metadata"]["namespace"] = kustomization["namespace"]
    return objects


def build(folder: Path, objects: list[dict] | None = None) -> list[dict]:
    (kustomization,) = load_all(folder / "kustomization.yaml")
    unknown = set(kustomization) - KNOWN
    assert not unknown, f"{folder}/kustomization.yaml: kustomize.py does not know {unknown}"
    objects = list(objects or [])
    for resource in kustomization.get("resources", []):
        path = (folder / resource).resolve()
        objects += build(path) if path.is_dir() else copy.deepcopy(load_all(path))
    for component in kustomization.get("components", []):
        objects = build((folder / component).resolve(), objects)
    return apply(folder, kustomization, objects)

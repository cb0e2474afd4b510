#!/usr/bin/env python3
"""Writes down what a build answers, learns and converts, so that a change that should alter nothing can show it.

    tests/snapshot/take.py --bin before/build/release/bin --images /tmp/images --out before.json
    tests/snapshot/take.py --bin build/release/bin --images /tmp/images --out after.json
    diff before.json after.json

Images are drawn by this script and read from PNG files by both builds. Compare on one machine: instruction sets differ
in the last bits. Skips the generator's training steps with --no-generator (where what is drawn changes on purpose).
"""
import argparse
import base64
import hashlib
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDENS = os.path.join(REPOSITORY, "tests", "parity", "goldens")
DEMO = os.path.join(REPOSITORY, "models", "demo")
NUM_IMAGES = 200
COLORS = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (40, 70, 210), "orange": (240, 150, 30),
          "gray": (128, 128, 128), "yellow": (240, 220, 50)}
SIDE = 64


def png(pixels):
    """pixels: SIDE rows of SIDE (r, g, b)."""
    raw = b"".join(b"\0" + bytes(value for pixel in row for value in pixel) for row in pixels)

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def draw(rng):
    """An image of two to six shapes, and five questions about it with their answers."""
    pixels = [[(255, 255, 255)] * SIDE for _ in range(SIDE)]
    shapes = []
    for color in rng.sample(sorted(COLORS), rng.randint(2, 6)):
        x, y, kind = rng.randint(8, SIDE - 9), rng.randint(8, SIDE - 9), rng.choice(["circle", "square"])
        if any(math.hypot(x - other[1], y - other[2]) < 15 for other in shapes):
            continue
        shapes.append((color, x, y, kind))
        for row in range(y - 5, y + 6):
            for column in range(x - 5, x + 6):
                if kind == "square" or math.hypot(row - y, column - x) <= 5.5:
                    pixels[row][column] = COLORS[color]
    color, x, y, kind = shapes[0]
    same = sum(1 for shape in shapes if shape[3] == kind)
    questions = [(f"What is the shape of the {color} object?", kind),
                 (f"Is the {color} object on the left of the image?", "yes" if x < SIDE / 2 else "no"),
                 (f"Is the {color} object on the top of the image?", "yes" if y < SIDE / 2 else "no"),
                 (f"How many objects have the shape of the {color} object?", str(same)),
                 ("Describe the image.", f"a {color} {kind}")]
    return png(pixels), questions


def make_images(folder):
    """Returns [(file, questions)], and writes the files and rows.jsonl."""
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(20261130)
    images = []
    with open(os.path.join(folder, "rows.jsonl"), "w", encoding="utf-8") as rows:
        for i in range(NUM_IMAGES):
            data, questions = draw(rng)
            name = f"image{i:03d}.png"
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
            images.append((os.path.join(folder, name), questions))
            for question, answer in questions:
                rows.write(json.dumps({"image": name, "question": question, "answer": answer}) + "\n")
    return images


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def digests(folder):
    """The sha256 of every file below; a manifest's without the time at which it was made."""
    found = {}
    for path, _, files in os.walk(folder):
        for name in files:
            whole = os.path.join(path, name)
            if name == "manifest.json":
                with open(whole, encoding="utf-8") as file:
                    manifest = json.load(file)
                for varies in ("created_unix", "manifest_sha256"):  # the second is a hash over the first
                    manifest.pop(varies)
                found[os.path.relpath(whole, folder)] = manifest
            else:
                found[os.path.relpath(whole, folder)] = sha256(whole)
    return dict(sorted(found.items()))


def schema(value):
    """The shape of a JSON value: names and types."""
    if isinstance(value, dict):
        return {key: schema(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [schema(value[0])] if value else []
    return type(value).__name__


class Server:
    def __init__(self, binaries):
        self.folder = tempfile.TemporaryDirectory()
        ports = os.path.join(self.folder.name, "ports.json")
        self.process = subprocess.Popen(
            [os.path.join(binaries, "sparsefusion-server"), "--model", DEMO, "--threads", "1", "--http-port", "0",
             "--grpc-port", "0", "--admin-port", "0", "--port-file", ports],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(ports):
            if self.process.poll() is not None:
                sys.exit(f"the server did not start: exit status {self.process.returncode}")
            time.sleep(0.05)
        with open(ports, encoding="utf-8") as file:
            self.port = json.load(file)["http"]
        while self.call("GET", "/readyz")[0] != 200:
            time.sleep(0.05)

    def call(self, method, path, body=None):
        """Returns (status, content type, body)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers.get("Content-Type"), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Content-Type"), error.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.folder.cleanup()


def base64_of(path):
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()


def answers(server, images):
    taken = []
    for number, (path, questions) in enumerate(images):
        image = base64_of(path)
        for question, _ in questions:
            content = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + image}},
                       {"type": "text", "text": question}]
            for more in ({"temperature": 0}, {"temperature": 1.0, "top_p": 0.9, "seed": number}):
                status, _, body = server.call("POST", "/v1/chat/completions", {
                    "model": "sparsefusion", "messages": [{"role": "user", "content": content}], "logprobs": True,
                    "top_logprobs": 5, **more})
                if status != 200:
                    sys.exit(f"{path}, {question}: {status} {body.decode()}")
                taken.append([os.path.basename(path), question, more, json.loads(body)["choices"]])
    return taken


def routes(server, image):
    """Every route of the OpenAPI document, without a body, with an empty one and with one that names nothing known."""
    document = json.loads(server.call("GET", "/openapi.json")[2])
    taken = {"openapi.json": hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()}
    for path in sorted(document["paths"]):
        real = path.replace("{id}", "sparsefusion").replace("{model}", "sparsefusion").replace("{version}", "1")
        for method in ("GET", "POST"):
            for body in (None,) if method == "GET" else (None, {}, {"no_such_field": 1}):
                status, kind, data = server.call(method, real, body)
                shape = schema(json.loads(data)) if kind and kind.startswith("application/json") else kind
                taken[f"{method} {path} {body}"] = [status, shape]
    whole = {"/v1/answer": {"image": image, "question": "Is the red object on the left of the image?", "explain": True},
             "/v1/explain": {"image": image, "question": "Is the red object on the left of the image?"},
             "/v1/chat/completions": {"model": "sparsefusion", "messages": [{"role": "user", "content": [
                 {"type": "image_url", "image_url": {"url": "data:image/png;base64," + image}},
                 {"type": "text", "text": "Describe the image."}]}]}}
    for path, body in whole.items():
        status, kind, data = server.call("POST", path, body)
        taken[f"POST {path} whole"] = [status, schema(json.loads(data))]
    return taken


def run(binaries, program, *arguments):
    done = subprocess.run([os.path.join(binaries, program), *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} {' '.join(arguments)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def weights_after_training(binaries, *arguments):
    """sha256 of every weight file of what six steps publish."""
    with tempfile.TemporaryDirectory() as store:
        run(binaries, "sparsefusion-train", "--steps", "6", "--vit-steps", "6", "--threads", "1", "--seed", "7",
            "--batch-size", "4", "--evaluate-every", "6", "--publish", "all", "--out", store, *arguments)
        return {name: value for name, value in digests(store).items() if name.endswith(".safetensors")}


def conversions(binaries):
    sources = [("hf", name) for name in ("llama", "llava", "mistral", "mixtral", "mixtral5")]
    sources += [("seed", "seed.pth"), ("timm", "timm_vit.safetensors"), ("clip", "clip_vit.safetensors")]
    taken = {}
    for kind, name in sources:
        for dtype in ("f32", "bf16"):
            folder = tempfile.mkdtemp()
            out = os.path.join(folder, "out")
            arguments = ["convert", "--from", kind, os.path.join(GOLDENS, name), "--out", out, "--dtype", dtype]
            if kind in ("timm", "clip"):
                arguments += ["--heads", "2"]
            done = subprocess.run([os.path.join(binaries, "sparsefusion-model"), *arguments], capture_output=True,
                                  text=True)
            taken[f"{kind} {name} {dtype}"] = (digests(out) if done.returncode == 0 else
                                              [done.returncode, done.stderr.replace(folder, "")])
            shutil.rmtree(folder)
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--images", required=True, help="folder for the PNG files; made anew each time, always the same")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--no-generator", action="store_true", help="no training steps on generated images")
    options = parser.parse_args()

    images = make_images(options.images)
    server = Server(options.bin)
    try:
        taken = {"answers": answers(server, images), "routes": routes(server, base64_of(images[0][0]))}
    finally:
        server.stop()
    taken["convert"] = conversions(options.bin)
    taken["train on rows"] = weights_after_training(options.bin, "--data",
                                                    os.path.join(options.images, "rows.jsonl"))
    if not options.no_generator:
        taken["train on the generator"] = weights_after_training(options.bin)
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(taken, file, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()

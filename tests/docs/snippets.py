"""Runs what the documents show: every fenced block of README.md and docs/ against a live server.

    snippets.py --binaries build/release/bin --python PYTHON README.md docs/*.md
    snippets.py --binaries build/release/bin --needs go docs/*.md     # instead those that need Go (toolchains.py)

What a block's language means:
    sh          run by bash from the root of the repository (in a copy, so that nothing is left behind); must exit with 0
    python      run by --python, likewise
    json        must parse
    toml        accepted by sparsefusion-server --check-config
    go, java    must have a `file` remark, and after it a block that compiles it, runs it and expects its answer
    cpp, cmake  kept true by a test of its own: only looked at by people
    text        output or a sketch: not run
Without a language: an error. A comment on a line of its own before a block says what else is expected of it:
    <!-- expect: WORDS -->        the output has these words
    <!-- file: PATH -->           written to PATH, for the blocks after it, instead of run
    <!-- needs: go -->            run with --needs go only. Where the toolchain is missing: exit status 77 (skipped), but 1
                                  where CI is set, so that nothing is left out there unseen
    <!-- no-test: REASON -->      not run; every one is listed at the end
Also: a relative link must lead to a file that is there, and its #fragment to a heading.

localhost:8000 (REST), :8001 (gRPC) and :8002 (management) become the ports of the server that the test starts.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from live_server import LiveServer  # noqa: E402: beside the tests, in no package
from toolchains import TOOLCHAINS  # noqa: E402

FENCE = re.compile(r"^( *)```([\w+-]*)\s*$")
REMARK = re.compile(r"^\s*<!-- (no-test|expect|file|needs): (.+) -->\s*$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TIMEOUT_S = 240
LOOKED_AT = {"cpp", "cmake", "text", "proto", "promql", "yaml", "mermaid"}
SKIPPED = 77


class Block:
    def __init__(self, path, line, language, remarks):
        self.path, self.line, self.language = path, line, language
        self.expected = [text for kind, text in remarks if kind == "expect"]
        self.reason = next((text for kind, text in remarks if kind == "no-test"), None)
        self.file = next((text for kind, text in remarks if kind == "file"), None)
        self.needs = next((text for kind, text in remarks if kind == "needs"), None)
        if self.file and language in TOOLCHAINS:
            self.needs = language
        self.text = ""

    @property
    def place(self):
        return f"{self.path}:{self.line}"


def blocks_of(path):
    blocks, remarks, block, indent = [], [], None, ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if block is None and fence:
            block, indent = Block(path, number, fence[2], remarks), fence[1]
            remarks = []
        elif block is not None and fence and not fence[2]:
            blocks.append(block)
            block = None
        elif block is not None:
            block.text += line.removeprefix(indent) + "\n"
        elif REMARK.match(line):
            remarks.append(REMARK.match(line).groups())
        elif line.strip():
            remarks = []
    if block is not None:
        sys.exit(f"{block.place}: this block never ends")
    return blocks


def anchors_of(path):
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead_links(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    for target in LINK.findall(text):
        if re.match(r"^[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (path.parent / name) if name else path
        if not file.exists():
            yield f"{path}: the link to {target} leads nowhere"
        elif fragment and file.suffix == ".md" and fragment not in anchors_of(file):
            yield f"{path}: {target}: no such heading"


def misplaced(blocks):
    """What the remarks get wrong: a block that would never be run or compiled without anybody noticing."""
    for number, block in enumerate(blocks):
        runs_it = any(later.path == block.path and later.needs == block.needs and later.expected and not later.reason
                      for later in blocks[number + 1:])
        if not block.language:
            yield f"{block.place}: this block names no language"
        elif block.needs and block.needs not in TOOLCHAINS:
            yield f"{block.place}: needs {block.needs}, which toolchains.py does not know"
        elif block.reason is None and block.language in TOOLCHAINS and not (block.file and runs_it):
            yield f"{block.place}: needs a `file` remark, and after it a block with `needs: {block.language}` and `expect`"


# Builtins of the shell, whose arguments no limit of the kernel bounds.
BUILTINS = re.compile(r"^\s*(printf|echo)\b")
# What scripts/serve builds; any other program of ours that README shows is built by a command beside it.
BUILT_BY_SERVE = {"sparsefusion", "sparsefusion-server"}


def fail_for_a_photo(blocks):
    """Blocks that pass a picture to a program on its command line, where the examples' small one fits and a photo does not."""
    for block in blocks:
        if block.language != "sh" or block.file:
            continue
        text = re.sub(r"<<-?'?(\w+)'?.*?^\1$", "", block.text.replace("\\\n", " "), flags=re.S | re.M)
        for command in re.split(r"[|;\n]+", text):
            if "$(base64" in command and not BUILTINS.match(command) and not re.match(r"^\s*\w+=", command):
                yield f"{block.place}: a photo in base64 does not fit a command line: use -F image=@FILE or --data @-"


def unbuilt(blocks):
    """Programs of ours that README shows and that neither scripts/serve nor the block builds."""
    for block in blocks:
        if block.path.name != "README.md" or block.language != "sh":
            continue
        built = BUILT_BY_SERVE | {name for line in block.text.splitlines() if "--target" in line
                                  for name in re.findall(r"sparsefusion[\w-]*", line.partition("--target")[2].partition("#")[0])}
        for name in re.findall(r"build/\w+/bin/([\w-]+)", block.text):
            if name not in built:
                yield f"{block.place}: {name} is not built by scripts/serve, nor by a command of this block"


def start_server(root, binaries, scratch):
    """The bundled model in a store of its own, twice, so that reload commands have something to do."""
    store = scratch / "server-store"
    shutil.copytree(root / "models/demo", store / "5")
    server = LiveServer(binaries, scratch, "--model", store)
    shutil.copytree(root / "models/demo", store / ".7.tmp")
    (store / ".7.tmp").rename(store / "7")
    server.wait_until(lambda: '"event":"reload","version":7,"result":"success"' in server.log.read_text())
    return server


def with_ports(text, server):
    for port, name in ((8000, "http"), (8001, "grpc"), (8002, "admin")):
        text = re.sub(rf"\b(localhost|127\.0\.0\.1):{port}\b", server.address(name), text)
    return text


def run(block, server, arguments, workspace, environment):
    """What is wrong with it, or None."""
    text = with_ports(block.text, server)
    if block.file:
        file = workspace / block.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return None
    if block.language == "json":
        try:
            json.loads(text)
        except ValueError as error:
            return f"no JSON: {error}"
        return None
    if block.language == "toml":
        file = workspace / "snippet.toml"
        file.write_text(text)
        command = [arguments.binaries / "sparsefusion-server", "--config", file, "--check-config"]
    elif block.language == "python":
        command = [arguments.python, "-c", text]
    else:
        command = ["bash", "-euo", "pipefail", "-c", text]
    try:
        done = subprocess.run(command, cwd=workspace, env=environment, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except subprocess.TimeoutExpired:
        return f"did not end within {TIMEOUT_S} s"
    if done.returncode != 0:
        return f"exit status {done.returncode}\n{done.stdout[-2000:]}"
    missing = [words for words in block.expected if words not in done.stdout]
    return f"expected {missing} in\n{done.stdout[-2000:]}" if missing else None


def make_workspace(root, scratch):
    """A place that looks like the repository after a build."""
    workspace = scratch / "workspace"
    workspace.mkdir()
    for entry in ("models", "examples", "bench", "scripts", "deploy", "proto", "tests", "build"):
        (workspace / entry).symlink_to(root / entry)
    return workspace


def run_all(blocks, arguments, root):
    """What is wrong, one text for each block that failed."""
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        workspace = make_workspace(root, scratch)
        server = start_server(root, arguments.binaries, scratch)
        environment = os.environ | {
            "PATH": f"{arguments.binaries}:{pathlib.Path(arguments.python).parent}:{os.environ['PATH']}",
            "SPARSEFUSION_GRPC": server.address("grpc"), "SPARSEFUSION_SERVER": "http://" + server.address("http"),
            "SPARSEFUSION_ADMIN": "http://" + server.address("admin")}
        if arguments.needs:
            environment |= TOOLCHAINS[arguments.needs].environment(workspace, scratch)
        try:
            for block in blocks:
                began = time.monotonic()
                problem = run(block, server, arguments, workspace, environment)
                print(f"{'FAIL' if problem else 'ok  '} {block.place} ({block.language}, "
                      f"{time.monotonic() - began:.1f} s)", flush=True)
                if problem:
                    failures.append(f"{block.place}: {problem}")
        finally:
            server.stop()
    return failures


def without_toolchain(name, missing):
    """The exit status where the snippets of this language cannot be run."""
    words = (f"the snippets in {name} were NOT RUN: missing {', '.join(missing)}"
             " (scripts/setup brings everything, a JDK only with CI=1)")
    if os.environ.get("CI"):
        print(f"FAIL: {words}; CI is set, so nothing may be left out")
        return 1
    print(f"*** SKIPPED: {words} ***")
    return SKIPPED


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--needs", choices=sorted(TOOLCHAINS))
    parser.add_argument("documents", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    arguments.binaries = arguments.binaries.resolve()
    root = pathlib.Path(__file__).resolve().parents[2]

    if arguments.needs and (missing := TOOLCHAINS[arguments.needs].missing()):
        return without_toolchain(arguments.needs, missing)
    blocks = [block for path in arguments.documents for block in blocks_of(path)]
    failures = []
    if not arguments.needs:
        failures = [problem for path in arguments.documents for problem in dead_links(path)] + list(misplaced(blocks))
        failures += list(fail_for_a_photo(blocks)) + list(unbuilt(blocks))
    to_run = [block for block in blocks if block.language and block.reason is None and block.needs == arguments.needs
              and (block.file or block.language not in LOOKED_AT)]
    failures += run_all(to_run, arguments, root)
    for block in blocks:
        if block.reason and not arguments.needs:
            print(f"not run: {block.place}: {block.reason}")
    print(f"{len(to_run)} blocks ran, {len(failures)} failures")
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What every header of ours says in its leading comment, checked.

    headers.py check                 the thread rule, and that files which comments name exist
    headers.py generate OUT_FOLDER   the usage examples as examples_{plain,torch,protobuf}.cc, for the compiler

An example is a block indented by exactly three spaces behind an empty comment line. All blocks of a header are the body
of one function in the header's namespace; `#line` makes the compiler name the header's own line. Names that an example
does not declare stand in tests/headers/given/ROOM.h (engine/model -> engine_model.h), in the room's namespace
(sf::examples_engine_model), or in common.h for all rooms. `...` as a statement is an empty one, and behind a comma
before `}` it stands for the fields that are left out. A table, a formula or a file is indented by five spaces or more
and is not compiled.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["engine", "server", "trainer", "tools", "client"]

# How a header says which threads may use what it declares.
RULES = re.compile(
    r"\b(thread-safe|one thread (only|at a time)|immutable|plain values|pure functions?)\b", re.IGNORECASE
)
WALLS = {
    "torch": re.compile(r'#include <(torch|ATen|c10)/'),
    "protobuf": re.compile(r'#include (<(google/protobuf|grpc|grpcpp)/|"[^"]+\.pb\.h")'),
}
NAMED_FILE = re.compile(r"(?<![\w/.:*-])([\w-]+(?:/[\w.-]+)*\.(?:h|cc|md))\b")
LITERAL_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|//.*')
ELLIPSIS = re.compile(r'"(?:\\.|[^"\\])*"|//.*|catch \(\.\.\.\)|(,\s*\.\.\.)(?=\s*\})|(\.\.\.)')


def room_of(header):
    return "_".join(header.parent.parts)


def headers():
    """All headers that are checked, relative to the root."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.h")):
            yield path.relative_to(ROOT)


def leading_comment(header):
    for number, line in enumerate((ROOT / header).read_text().splitlines(), 1):
        if not line.startswith("//"):
            return
        yield number, line


def example_of(header):
    """[(line number, code)] of the header's example, indented as it stands."""
    lines, previous, inside = [], "", False
    for number, line in leading_comment(header):
        if inside or previous.rstrip() == "//":
            inside = bool(re.match(r"//   \S", line)) or inside and line.startswith("//    ")
        if inside:
            code = ELLIPSIS.sub(lambda m: "" if m[1] else "{}" if m[2] else m[0], line[2:])
            lines.append((number, "  " + code))
        previous = line
    code = LITERAL_OR_COMMENT.sub("", "\n".join(code for _, code in lines))
    if code.count("{") != code.count("}"):  # would break the examples behind it
        sys.exit(f"{header}:{lines[0][0]}: the braces of the example do not match")
    return lines


def wall_of(files):
    """The library whose headers these files reach; "plain" for neither."""
    seen, stack, found = set(), list(files), set()
    while stack:
        path = stack.pop()
        if path in seen or not (ROOT / path).is_file():
            continue
        seen.add(path)
        text = (ROOT / path).read_text()
        found |= {wall for wall, pattern in WALLS.items() if pattern.search(text)}
        stack += [pathlib.Path(name) for name in re.findall(r'#include "([^"]+)"', text)]
    if len(found) > 1:
        sys.exit(f"headers.py: {', '.join(map(str, files))} reach both LibTorch and protobuf")
    return found.pop() if found else "plain"


def generate(out):
    rooms = {}
    for header in headers():
        if example_of(header):
            rooms.setdefault(room_of(header), []).append(header)
    bodies = {"plain": ([], []), "torch": ([], []), "protobuf": ([], [])}
    for room, members in sorted(rooms.items()):
        given = pathlib.Path(f"tests/headers/given/{room}.h")
        files = members + ([given] if (ROOT / given).exists() else [])
        includes, functions = bodies[wall_of(files)]
        if not includes:
            includes.append('#include "tests/headers/given/common.h"')
        includes += [f'#include "{path}"' for path in files]
        for header in members:
            space = re.search(r"^namespace (sf[\w:]*) \{", (ROOT / header).read_text(), re.MULTILINE)
            functions.append(f"namespace {space[1] if space else 'sf'}::examples_{room} {{")
            functions.append(f"static auto {header.stem}_example() {{")
            functions.append("  using namespace sf::examples;")
            expected = None
            for number, code in example_of(header):
                if number != expected:
                    functions.append(f'#line {number} "{header}"')
                functions.append(code)
                expected = number + 1
            functions.append("}")
            functions.append("}")
    for wall, (includes, functions) in bodies.items():
        path = pathlib.Path(out) / f"examples_{wall}.cc"
        text = "\n".join(includes + functions) + "\n"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def check():
    names = {path.name for folder in FOLDERS + ["tests", "bench", "docs", "proto"]
             for path in (ROOT / folder).rglob("*.*")} | {path.name for path in ROOT.glob("*.md")}
    failures = 0
    for header in headers():
        problems = []
        if not RULES.search(" ".join(line.lstrip("/ ") for _, line in leading_comment(header))):
            problems.append((1, "no thread rule in the leading comment: Thread-safe, One thread only, One thread at a "
                                "time, Immutable, Plain values or Pure functions"))
        text = (ROOT / header).read_text()
        for number, line in enumerate(text.splitlines(), 1):
            comment = line.partition("//")[2] if "://" not in line else ""
            for name in NAMED_FILE.findall(comment):
                exists = (ROOT / name).exists() if "/" in name else name in names
                if not exists and f"#include <{name}>" not in text:
                    problems.append((number, f"names {name}, which does not exist"))
        for number, problem in problems:
            print(f"{header}:{number}: {problem}")
        failures += len(problems)
    return failures


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        sys.exit(1 if check() else 0)
    if len(sys.argv) == 3 and sys.argv[1] == "generate":
        generate(sys.argv[2])
    else:
        sys.exit(__doc__)

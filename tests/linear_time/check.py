#!/usr/bin/env python3
"""Runs a program of tests/linear_time under callgrind and fails where twice the input costs more than 2.2 times the
instructions.

usage: check.py PROGRAM [NAME ...]      (names: only cases that hold one of them)
"""
import collections
import os
import re
import subprocess
import sys
import tempfile

MAX_RATIO = 2.2
MIN_INSTRUCTIONS = 1_000_000  # below it what does not depend on the input could hide what does
MIN_RATIO = 1.4               # likewise
MAX_AGAIN = 2                 # runs more of a case that seems to fail
# malloc merges its fast bins in bursts, whose moment depends on what was freed before: without them.
ENVIRONMENT = dict(os.environ, GLIBC_TUNABLES="glibc.malloc.mxfast=0")


def counts(folder):
    """{case: [(size, instructions)]} of the dumps that callgrind wrote."""
    found = collections.defaultdict(list)
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), errors="replace") as dump:
            label = total = None
            for line in dump:
                if match := re.match(r"desc: Trigger: Client Request: (.*)\|(\d+)$", line):
                    label = match[1], int(match[2])
                elif match := re.match(r"(?:summary|totals): (\d+)", line):
                    total = int(match[1])
            if label and total is not None:
                found[label[0]].append((label[1], total))
    return {case: sorted(sizes) for case, sizes in found.items()}


def faults(sizes):
    if len(sizes) != 3:
        return ["%d sizes instead of 3" % len(sizes)]
    (_, one), (_, two), (_, four) = sizes
    said = []
    if one < MIN_INSTRUCTIONS:
        said.append("too few instructions to judge: make n larger")
    if two / one < MIN_RATIO or four / two < MIN_RATIO:
        said.append("the input is not what costs: make n larger")
    if two / one > MAX_RATIO or four / two > MAX_RATIO:
        said.append("more than %.1f times" % MAX_RATIO)
    return said


def measure(program, names):
    with tempfile.TemporaryDirectory(prefix="sf_linear_time_") as folder:
        run = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + folder + "/out", "--",
                              program, *names], env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
        if run.returncode != 0:
            sys.exit("%s failed:\n%s" % (program, run.stderr[-4000:]))
        return counts(folder)


def main():
    program, names = sys.argv[1], sys.argv[2:]
    cases = measure(program, names)
    if not cases:
        sys.exit("no case was measured")
    # What the server's other threads do meanwhile is counted too, and on a busy machine there is more of it. It only
    # adds: the fewest of several runs is nearest to what the input costs.
    for _ in range(MAX_AGAIN):
        doubtful = [case for case in cases if faults(cases[case])]
        if not doubtful:
            break
        for case, sizes in measure(program, doubtful).items():
            fewest = dict(cases.get(case, []))
            for size, count in sizes:
                fewest[size] = min(count, fewest.get(size, count))
            cases[case] = sorted(fewest.items())
    failed = 0
    for case in sorted(cases):
        sizes = cases[case]
        ratios = ["%.2f" % (later[1] / earlier[1]) for earlier, later in zip(sizes, sizes[1:])]
        said = faults(sizes)
        failed += bool(said)
        print("%-4s %-60s n %7d: %6.1f M instructions, x %s%s" % (
            "FAIL" if said else "ok", case, sizes[0][0], sizes[0][1] / 1e6, ", ".join(ratios),
            "  " + "; ".join(said) if said else ""))
    print("%d cases, %d failed" % (len(cases), failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

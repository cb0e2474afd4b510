"""Prints the folder of this interpreter's torch without importing it; exit 1 without one that is new enough."""
import importlib.util
import pathlib
import re
import sys

spec = importlib.util.find_spec("torch")
if spec is None or not spec.submodule_search_locations:
    sys.exit(1)
folder = pathlib.Path(spec.submodule_search_locations[0])
version = re.search(r"__version__ = '(\d+)\.(\d+)", (folder / "version.py").read_text())
# Wheels before 2.7 were built with the old std::string, and do not link with a program of ours.
if version is None or (int(version[1]), int(version[2])) < (2, 7):
    sys.exit(1)
print(folder)

"""Make the CMake files of ROS 2 wheels usable on this machine.

The wheels from PyPI were built in a container, and their exported CMake files name that container's
Python headers and NumPy headers. This rewrites both to those of the running interpreter, in every
`*.cmake` file below `<prefix>/share`. Running it twice changes nothing the second time.
"""

import argparse
import re
import sys
import sysconfig
from pathlib import Path

import numpy

# The folder of the container's interpreter, e.g. /opt/python/cp311-cp311.
_CONTAINER = r"/opt/python/cp3\d+-cp3\d+"
_PYTHON_INCLUDE = re.compile(_CONTAINER + r"/include/python3\.\d+")
_NUMPY_INCLUDE = re.compile(_CONTAINER + r"/lib/python3\.\d+/site-packages/numpy/(?:_core|core)/include")


def patch_text(text: str, python_include: str, numpy_include: str) -> str:
    """Return `text` with the container's two include folders replaced."""
    text = _NUMPY_INCLUDE.sub(lambda _: numpy_include, text)
    return _PYTHON_INCLUDE.sub(lambda _: python_include, text)


def patch_prefix(prefix: Path, python_include: str, numpy_include: str) -> int:
    """Rewrite the `*.cmake` files below `prefix`/share and return how many changed."""
    changed = 0
    for path in sorted((prefix / "share").rglob("*.cmake")):
        before = path.read_text(encoding="utf-8")
        after = patch_text(before, python_include, numpy_include)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed += 1
    return changed


def main() -> int:
    """Patch the prefix given, by default the running interpreter's own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prefix", nargs="?", type=Path, default=Path(sys.prefix))
    prefix: Path = parser.parse_args().prefix
    python_include = sysconfig.get_paths()["include"]
    if not (Path(python_include) / "Python.h").is_file():
        print(
            f"Python.h is not in {python_include}. Install this Python's development files "
            f"(Debian, Ubuntu: apt install python3-dev), then run this again.",
            file=sys.stderr,
        )
        return 1
    print(f"{patch_prefix(prefix, python_include, numpy.get_include())} CMake files patched")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

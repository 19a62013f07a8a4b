"""`ros2 run lsm_perception doctor`: the same as `lsm doctor`, where the `lsm` command is not on the path."""

from __future__ import annotations

import sys

from lsm_perception.node import missing_requirement


def main() -> int:
    """Run `lsm doctor` with the words given, or say in one line what it lacks."""
    complaint = missing_requirement()
    if complaint is not None:
        print(complaint, file=sys.stderr)
        return 1
    from lsm_core.cli.main import main as lsm

    return lsm(["doctor", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())

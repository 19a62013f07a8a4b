"""Entry point: `python -m lsm_perception.demo`."""

from __future__ import annotations

import sys

from lsm_core.errors import LsmError
from lsm_perception.demo.errors import DemoError
from lsm_perception.demo.options import parse_arguments
from lsm_perception.demo.session import run


def main() -> int:
    """Run the demo; 0 done, 1 it failed (one line says why), 2 wrong usage, 130 interrupted."""
    options = parse_arguments(sys.argv[1:])
    try:
        return run(options)
    except (DemoError, LsmError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""Entry point: `python -m lsm_perception.soak`."""

from __future__ import annotations

import sys

from lsm_core.errors import LsmError
from lsm_perception.demo.errors import DemoError
from lsm_perception.soak.options import parse_arguments


def main() -> int:
    """Soak the node, or report a run on file; 0 passed, 1 failed, 2 wrong usage, 130 interrupted."""
    options = parse_arguments(sys.argv[1:])
    try:
        if options.report is not None:
            from lsm_perception.soak.report import report

            return report(options.report)
        from lsm_perception.soak.session import run

        return run(options)
    except (DemoError, LsmError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

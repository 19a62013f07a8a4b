"""Print the page, or write it to the file named."""

import sys
from pathlib import Path

from lsm_perception.interface_reference import documentation


def main() -> int:
    """Print the page, or write it to the file named on the command line."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(documentation(), encoding="utf-8")
    else:
        sys.stdout.write(documentation())
    return 0


if __name__ == "__main__":
    sys.exit(main())

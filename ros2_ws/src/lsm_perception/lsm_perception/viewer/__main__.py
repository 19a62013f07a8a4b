"""Entry point: `python -m lsm_perception.viewer`."""

from __future__ import annotations

import sys

from lsm_perception.viewer.main import main

if __name__ == "__main__":
    sys.exit(main())

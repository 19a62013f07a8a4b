"""Stands in for a launched program: writes down how it was called, waits for its companions, and ends.

Usage: python launch_recorder.py NAME WORDS...; LSM_RECORDS is the folder to write into, LSM_EXPECTED the number of
records to wait for.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

KEPT = ("RCUTILS_LOGGING_BUFFERED_STREAM",)


def main() -> None:
    name, *words = sys.argv[1:]
    folder = Path(os.environ["LSM_RECORDS"])
    record = {
        "name": name,
        "words": words,
        "environment": {key: os.environ[key] for key in KEPT if key in os.environ},
        # launch_ros writes parameters given as a dictionary into files that it removes at the end.
        "files": [Path(words[i + 1]).read_text() for i, word in enumerate(words) if word == "--params-file"],
    }
    unfinished = folder / f"{os.getpid()}.part"
    unfinished.write_text(json.dumps(record), encoding="utf-8")
    unfinished.rename(unfinished.with_suffix(".json"))
    end = time.monotonic() + 20
    while len(list(folder.glob("*.json"))) < int(os.environ["LSM_EXPECTED"]) and time.monotonic() < end:
        time.sleep(0.05)


if __name__ == "__main__":
    main()

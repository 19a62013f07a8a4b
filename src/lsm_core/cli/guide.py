"""Which section of docs/troubleshooting.md an error of the command line belongs to, by its code."""

from __future__ import annotations

from lsm_core.errors import LsmError

GUIDE = "docs/troubleshooting.md"
# Errors of usage (bad_input, bad_query, unknown_backend) say all there is to say.
SECTIONS = {
    "bad_file": "files",
    "bad_weights": "weights",
    "device": "device",
    "missing_dependency": "missing-packages",
    "no_geometry": "no-geometry",
    "unsupported": "unsupported",
}


def section_of(error: LsmError) -> str:
    """Return the place in the documentation that treats an error, "" where its own words are enough."""
    section = SECTIONS.get(error.code)
    return f"{GUIDE}#{section}" if section else ""

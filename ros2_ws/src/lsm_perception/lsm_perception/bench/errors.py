"""Why a benchmark fails."""

from __future__ import annotations

from lsm_core.errors import LsmError


class BenchError(LsmError):
    """The node did not start, died, or did not answer."""

    code = "bench"

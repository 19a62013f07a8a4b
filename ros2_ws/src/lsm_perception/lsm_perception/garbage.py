"""Keeps the garbage collector short: what stays for good is not searched again and again.

A full collection holds the interpreter lock and visits every object. With PyTorch loaded these are hundreds of
thousands, a pause of 0.2 s on an idle machine, in the middle of whatever the node does.
"""

from __future__ import annotations

import gc


def freeze() -> None:
    """Collect once, then leave everything that is alive now out of later collections."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def thaw() -> None:
    """Let everything be collected again; call before the parts that `freeze` saw are given up."""
    gc.unfreeze()

"""Named protocols, one per file: samples, crop, switches, and the rows of the paper."""

from lsm_core.evaluation.protocols import (
    lsm_scannet,
    noposplat_pose,
    noposplat_re10k,
    pixelsplat_re10k,
    splatt3r_scannetpp,
)
from lsm_core.evaluation.protocols.protocol import Figure, PaperRow, Protocol

PROTOCOLS: dict[str, Protocol] = {
    module.PROTOCOL.name: module.PROTOCOL
    for module in (lsm_scannet, splatt3r_scannetpp, noposplat_re10k, noposplat_pose, pixelsplat_re10k)
}

__all__ = ["PROTOCOLS", "Figure", "PaperRow", "Protocol"]

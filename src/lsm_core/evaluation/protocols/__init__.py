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
    protocol.name: protocol
    for protocol in (
        lsm_scannet.PROTOCOL,
        lsm_scannet.AS_RELEASED,
        splatt3r_scannetpp.PROTOCOL,
        noposplat_re10k.PROTOCOL,
        noposplat_pose.PROTOCOL,
        pixelsplat_re10k.PROTOCOL,
    )
}

__all__ = ["PROTOCOLS", "Figure", "PaperRow", "Protocol"]

"""The families that can be answered: each module has `FAMILIES`; a new one is added to the list here."""

from lsm_core.parity.families import (
    clip,
    dust3r,
    focal,
    gaussians,
    harmonics,
    images,
    losses,
    lseg,
    lsm,
    mast3r,
    noposplat,
    pair,
    pixelsplat,
    points,
    pose,
    projection,
    rasterizer,
    shims,
    splatt3r_losses,
    ssim,
)
from lsm_core.parity.registry import register_family

for _module in (
    clip,
    dust3r,
    focal,
    gaussians,
    harmonics,
    images,
    losses,
    lseg,
    lsm,
    mast3r,
    noposplat,
    pair,
    pixelsplat,
    points,
    pose,
    projection,
    rasterizer,
    shims,
    splatt3r_losses,
    ssim,
):
    for _family in _module.FAMILIES:
        register_family(_family)

"""Drawing 3D Gaussians: one protocol, a readable reference, a fast CPU rasterizer, gsplat on CUDA."""

from __future__ import annotations

from lsm_core.render.base import Rasterizer
from lsm_core.render.choice import RasterizerName, choose_rasterizer, get_rasterizer
from lsm_core.render.draw import render
from lsm_core.render.reference import rasterize_reference

__all__ = ["Rasterizer", "RasterizerName", "choose_rasterizer", "get_rasterizer", "rasterize_reference", "render"]

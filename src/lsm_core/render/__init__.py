"""Drawing 3D Gaussians: one protocol, a readable reference, a fast CPU rasterizer, gsplat on CUDA."""

from __future__ import annotations

import sys
import types
from typing import Any

from lsm_core.render.base import Rasterizer
from lsm_core.render.choice import RasterizerName, choose_rasterizer, get_rasterizer
from lsm_core.render.draw import render
from lsm_core.render.reference import rasterize_reference

__all__ = ["Rasterizer", "RasterizerName", "choose_rasterizer", "get_rasterizer", "rasterize_reference", "render"]


class _CallablePackage(types.ModuleType):
    """`lsm_core.render(...)` draws: once this package is imported, its name in `lsm_core` stands for itself."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return render(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage

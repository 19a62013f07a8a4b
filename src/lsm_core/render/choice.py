"""Which rasterizer draws: by name, or by the device the Gaussians are on."""

from __future__ import annotations

import importlib.util
from typing import Literal, get_args

from lsm_core.errors import InputError
from lsm_core.render.base import Rasterizer
from lsm_core.render.reference import rasterize_reference
from lsm_core.types import Gaussians

RasterizerName = Literal["reference", "cpu", "gsplat"]


def choose_rasterizer(gaussians: Gaussians) -> RasterizerName:
    """Return "gsplat" for Gaussians on a CUDA device where gsplat is installed, else "cpu".

    "cpu" also serves tensors on other devices: it copies them to the processor and its results back.
    """
    if gaussians.means.device.type == "cuda" and importlib.util.find_spec("gsplat") is not None:
        return "gsplat"
    return "cpu"


def get_rasterizer(name: RasterizerName) -> Rasterizer:
    """Return a rasterizer; numba or gsplat is imported when the first one of its kind is asked for.

    Raises:
        InputError: there is none of that name.
        DependencyError: gsplat is not installed.
    """
    if name == "reference":
        return rasterize_reference
    if name == "cpu":
        from lsm_core.render.cpu import rasterize_cpu

        return rasterize_cpu
    if name == "gsplat":
        from lsm_core.render.gsplat import gsplat_rasterizer

        return gsplat_rasterizer()
    raise InputError(f"There is no rasterizer {name!r}.", f"Use one of {', '.join(get_args(RasterizerName))}.")

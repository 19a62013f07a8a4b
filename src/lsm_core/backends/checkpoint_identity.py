"""Which official checkpoint a file is, and what is missing from it or does not belong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lsm_core.backends import lseg_keys, lsm_keys, noposplat_files, pixelsplat_files
from lsm_core.backends.checkpoint_kinds import TITLES, kind_of
from lsm_core.backends.lsm_files import HEADS, OWN_PREFIXES, POINTS, part_of
from lsm_core.backends.lsm_sizes import clip_sizes, dust3r_sizes, lseg_sizes, point_sizes, shape
from lsm_core.backends.mast3r_files import mast3r_sizes, splatt3r_sizes
from lsm_core.backends.mast3r_keys import FOREIGN, MAST3R_RULES, PREFIX, SPLATT3R_RULES
from lsm_core.backends.noposplat_sizes import noposplat_sizes
from lsm_core.backends.pixelsplat_keys import RULES as PIXELSPLAT_RULES
from lsm_core.backends.pixelsplat_sizes import pixelsplat_sizes
from lsm_core.errors import WeightsError
from lsm_core.nn.clip_text import ClipText
from lsm_core.nn.dust3r import Dust3r, Dust3rConfig
from lsm_core.nn.gaussian_head import GaussianHead
from lsm_core.nn.lseg import Lseg, LsegConfig
from lsm_core.nn.mast3r import Mast3r, Mast3rConfig
from lsm_core.nn.noposplat import Noposplat, NoposplatConfig
from lsm_core.nn.pixelsplat import Pixelsplat, PixelsplatConfig
from lsm_core.nn.splatt3r import Splatt3r, Splatt3rConfig
from lsm_core.nn.xfeat import XFeat
from lsm_core.points.ptv3 import FusionConfig, PointTransformer, PointTransformerConfig
from lsm_core.weights import Differences, KeyRules, completed, differences, renamed
from lsm_core.weights.files import CheckpointFile, read_checkpoint
from lsm_core.weights.xfeat_file import RULES as XFEAT_RULES

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class PartReport:
    """One network of a file: its name, how the file differs from it, and its parameters."""

    name: str
    differences: Differences
    parameters: int


@dataclass(frozen=True)
class Identity:
    """What a file is.

    Attributes:
        path: of the file.
        kind: a key of `checkpoint_kinds.SIGNATURES`.
        released_size: whether its sizes are those of the release.
        parts: the networks in it.
        foreign: keys of none of them.
    """

    path: Path
    kind: str
    released_size: bool
    parts: tuple[PartReport, ...]
    foreign: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name for people."""
        return TITLES[self.kind] + ("" if self.released_size else ", not of the released size")

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, foreign or of another shape."""
        return not self.foreign and all(part.differences.fits for part in self.parts)


def identify(path: Path) -> Identity:
    """Say which checkpoint a file is. Tensors are not read, only their names and shapes.

    Raises:
        WeightsError: it is unreadable, or none of those known here.
    """
    file = read_checkpoint(path)
    kind = kind_of(file.tensors)
    if kind is None:
        some = ", ".join(list(file.tensors)[:3])
        raise WeightsError(
            f"{path} is no checkpoint that is known here; it has {len(file.tensors)} tensors, such as {some}.",
            "See lsm weights list for those that are.",
        )
    with torch.device("meta"):
        return READERS[kind](file)


def _dust3r(file: CheckpointFile) -> Identity:
    sizes = dust3r_sizes(file.tensors, file.path.name)
    part = _part("dust3r", Dust3r(sizes), file.tensors, lsm_keys.DUST3R_RULES)
    return Identity(file.path, "dust3r", sizes == Dust3rConfig(), (part,))


def _mast3r(file: CheckpointFile) -> Identity:
    state = completed(file.tensors, MAST3R_RULES)
    sizes = mast3r_sizes(state, file.path.name)
    part = _part("mast3r", Mast3r(sizes), state, MAST3R_RULES)
    return Identity(file.path, "mast3r", sizes == Mast3rConfig(), (part,))


def _splatt3r(file: CheckpointFile) -> Identity:
    state = completed(file.under(PREFIX), SPLATT3R_RULES)
    sizes = splatt3r_sizes(state, file.path.name)
    part = _part("splatt3r", Splatt3r(sizes), state, SPLATT3R_RULES)
    foreign = tuple(key for key in file.tensors if not key.startswith((PREFIX, *FOREIGN)))
    return Identity(file.path, "splatt3r", sizes == Splatt3rConfig(), (part,), foreign)


def _pixelsplat(file: CheckpointFile) -> Identity:
    state = pixelsplat_files.network_state(file)
    sizes = pixelsplat_sizes(state, file.path.name)
    part = _part("pixelsplat", Pixelsplat(sizes), state, PIXELSPLAT_RULES)
    released = sizes in (PixelsplatConfig(), pixelsplat_files.three_views(PixelsplatConfig()))
    return Identity(file.path, "pixelsplat", released, (part,))


def _noposplat(file: CheckpointFile) -> Identity:
    state = file.under(noposplat_files.PREFIX)
    sizes = noposplat_sizes(state, file.path.name)
    part = _part("noposplat", Noposplat(sizes), state, noposplat_files.RULES)
    foreign = tuple(key for key in file.tensors if not key.startswith(noposplat_files.PREFIX))
    return Identity(file.path, "noposplat", sizes == NoposplatConfig(), (part,), foreign)


def _xfeat(file: CheckpointFile) -> Identity:
    return Identity(file.path, "xfeat", True, (_part("xfeat", XFeat(), file.tensors, XFEAT_RULES),))


def _lseg(file: CheckpointFile) -> Identity:
    state = file.under(lseg_keys.PREFIX)
    sizes = lseg_sizes(state, file.path.name)
    text = part_of(state, lseg_keys.TEXT_PREFIX)
    parts = (
        _part("lseg", Lseg(sizes), renamed(state, lseg_keys.IMAGE_PREFIXES), lseg_keys.IMAGE_RULES),
        _part("clip_text", ClipText(clip_sizes(text, file.path.name)), text, lseg_keys.TEXT_RULES),
    )
    return Identity(file.path, "lseg", sizes == LsegConfig(), parts)


def _lsm(file: CheckpointFile) -> Identity:
    own, name = file.tensors, file.path.name
    dust3r, lseg = part_of(own, lsm_keys.DUST3R_PREFIX), part_of(own, lsm_keys.LSEG_PREFIX)
    points = part_of(own, POINTS)
    sizes, feature_dim = point_sizes(points, name), shape(own, "feature_reduction.0.bias", name)[0]
    out_dim = shape(own, "feature_expansion.1.bias", name)[0]
    modules: dict[str, nn.Module] = {
        "gaussian_head": GaussianHead(sizes.dec_channels[0], feature_dim),
        "feature_expansion": nn.Conv2d(feature_dim, out_dim, 1),
        "feature_reduction": nn.Conv2d(out_dim, feature_dim, 1),
    }
    lseg_state = renamed(lseg, lseg_keys.IMAGE_PREFIXES)
    parts = (
        _part("dust3r", Dust3r(dust3r_sizes(dust3r, name)), dust3r, lsm_keys.DUST3R_RULES),
        _part("lseg", Lseg(lseg_sizes(lseg, name)), lseg_state, lseg_keys.IMAGE_RULES),
        _part("point_transformer", PointTransformer(sizes), points),
        *(_part(part, modules[part], part_of(own, prefix)) for part, prefix in HEADS.items()),
    )
    released = sizes == PointTransformerConfig(fusion=FusionConfig())
    foreign = tuple(key for key in own if not key.startswith(OWN_PREFIXES))
    return Identity(file.path, "lsm", released, parts, foreign)


READERS: dict[str, Callable[[CheckpointFile], Identity]] = {
    "dust3r": _dust3r,
    "lseg": _lseg,
    "lsm": _lsm,
    "mast3r": _mast3r,
    "pixelsplat": _pixelsplat,
    "noposplat": _noposplat,
    "splatt3r": _splatt3r,
    "xfeat": _xfeat,
}


def _part(name: str, module: nn.Module, state: State, rules: KeyRules | None = None) -> PartReport:
    parameters = sum(p.numel() for p in module.parameters())
    return PartReport(name, differences(module, state, rules), parameters)

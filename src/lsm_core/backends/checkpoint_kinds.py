"""Which model a checkpoint is of, from the names of its tensors."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lsm_core.errors import WeightsError
from lsm_core.weights.files import CheckpointFile

# A key that this kind of file has; the first one that fits counts, since heirs have their ancestors' keys.
SIGNATURES = {
    "lsm": "point_transformer.embedding.stem.conv.weight",
    "lseg": "net.pretrained.model.cls_token",
    "splatt3r": "encoder.downstream_head1.gaussian_dpt.dpt.head.4.weight",
    "pixelsplat": "encoder.depth_predictor.projection.1.weight",
    "noposplat": "encoder.gaussian_param_head.dpt.head.4.weight",
    "mast3r": "downstream_head1.head_local_features.fc1.weight",
    "dust3r": "dec_blocks.0.norm_y.weight",
    "xfeat": "heatmap_head.2.weight",
}
TITLES = {
    "dust3r": "DUSt3R (dpt heads)",
    "lseg": "LSeg with CLIP's text tower",
    "lsm": "Large Spatial Model",
    "mast3r": "MASt3R (catmlp+dpt heads)",
    "pixelsplat": "pixelSplat",
    "splatt3r": "Splatt3R",
    "noposplat": "NoPoSplat",
    "xfeat": "XFeat",
}


def kind_of(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the kind of a checkpoint with these tensors, None where it is none known here."""
    return next((kind for kind, key in SIGNATURES.items() if key in tensors), None)


def check_kind(file: CheckpointFile, wanted: str) -> None:
    """Refuse a checkpoint of another model before its tensors are compared one by one.

    Raises:
        WeightsError: it is of another model that is known here.
    """
    found = kind_of(file.tensors)
    if found not in (None, wanted):
        raise WeightsError(
            f"{file.path} is a checkpoint of {TITLES[found]}, not of {TITLES[wanted]}.",
            f"Name the file that {wanted} needs (lsm weights list), or use this one for {found}.",
        )

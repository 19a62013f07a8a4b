"""Keys of the released pixelSplat checkpoints, and how an older set of them is known.

Below `encoder.` the modules of `lsm_core.nn.pixelsplat` carry the released names, so no table of names is needed.
"""

from __future__ import annotations

from lsm_core.weights import KeyRules

PREFIX = "encoder."
RULES = KeyRules(unused=("backbone.resnet_backbone.model.layer4.", "backbone.resnet_backbone.model.fc."))
# Convolutions after the self attention, which only the checkpoints before the camera-ready retraining have.
OLD = r"epipolar_transformer\.transformer\.layers\.\d+\.1\.fn\.layers\."

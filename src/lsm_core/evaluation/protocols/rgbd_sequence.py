"""Any recording with images, depth and poses in metres; no paper's, but every switch is said all the same."""

from __future__ import annotations

from lsm_core.evaluation.switches import Switches

NAME = "rgbd-sequence"
SWITCHES = Switches(scene_unit="depth", image_mask="covered", mask_averages=True)

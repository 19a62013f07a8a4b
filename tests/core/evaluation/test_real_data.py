"""The readers of the real evaluation data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_core.errors import FileFormatError
from lsm_core.evaluation.baselines import baselines
from lsm_core.evaluation.geometry_tables import rotation_good_share, rotation_median
from lsm_core.evaluation.hololens import read_recording
from lsm_core.evaluation.nyu import NYU_NAMES, load_nyu
from lsm_core.evaluation.pairs import evenly_spaced
from lsm_core.evaluation.records import run_pose_method
from lsm_core.evaluation.sequences import choose_pairs, load_pairs


def test_a_folder_without_the_recording_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="HoloLens"):
        read_recording(tmp_path)
    with pytest.raises(FileFormatError, match="labels"):
        load_nyu(tmp_path)


@pytest.mark.shared
def test_hololens_pairs_are_spread_over_overlap_and_match_by_features(shared_dir: Path) -> None:
    """SIFT finds the true relative pose of well-overlapping pairs: poses, intrinsics and images belong together."""
    recording = read_recording(shared_dir)
    assert len(recording.names) == 373 and len(recording.depth) == 63
    choices = choose_pairs(recording)
    assert choices == choose_pairs(recording)
    counts = np.histogram([c.overlap for c in choices], [0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.01])[0]
    assert counts.min() >= 55
    good = evenly_spaced([c for c in choices if c.overlap > 0.6], 8)
    pairs = load_pairs(recording, good)
    assert all(v.image.shape == (360, 540, 3) for p in pairs for v in p.views)
    sift = next(b for b in baselines() if b.name == "SIFT + E, full size")
    records = run_pose_method(sift.pose, pairs)
    assert rotation_median(records) < 2
    assert rotation_good_share(records) >= 0.75


@pytest.mark.shared
def test_hololens_depth_reprojects_onto_itself(shared_dir: Path) -> None:
    depth = read_recording(shared_dir).depth[0]
    known = depth[depth > 0]
    assert depth.shape == (360, 540) and depth.dtype == torch.float32
    assert 0.3 < float(known.median()) < 10


@pytest.mark.shared
def test_nyu_labels_use_the_shared_names(shared_dir: Path) -> None:
    views = load_nyu(shared_dir)
    assert len(views) >= 6
    ids = np.unique(np.concatenate([np.unique(v.labels) for v in views if v.labels is not None]))
    assert ids.min() == 0 and ids.max() <= len(NYU_NAMES)
    assert {"wall", "floor", "other"} <= {NYU_NAMES[i - 1] for i in ids if i}

"""XFeat with a seeded file in the official format: loading, points where they are, matches of a known motion."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from lsm_core.backends.checkpoint_identity import identify
from lsm_core.errors import WeightsError
from lsm_core.geometry.xfeat_features import find_xfeat, match_xfeat
from lsm_core.nn.xfeat import XFeat
from lsm_core.weights.xfeat_file import available_xfeat, load_xfeat


def seeded() -> XFeat:
    """Random weights that tell corners from the plain: a cell's hottest pixel is its brightest."""
    torch.manual_seed(0)
    network = XFeat().eval()
    units = [network.keypoint_head[k].layer for k in range(3)]
    for unit in units:
        nn.init.dirac_(unit[0].weight)
    last = network.keypoint_head[3]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    with torch.no_grad():
        last.weight[:64, :, 0, 0] = 4 * torch.eye(64)
    return network


def write(path: Path, network: XFeat) -> Path:
    """As the authors save it: the state alone, with the refiner that is not used here."""
    extra = {"fine_matcher.0.weight": torch.zeros(512, 128), "fine_matcher.0.bias": torch.zeros(512)}
    torch.save(network.state_dict() | extra, path)
    return path


def picture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
    return cv2.resize(noise, (320, 224), interpolation=cv2.INTER_CUBIC)


def test_the_official_file_is_recognised_and_loaded(tmp_path: Path) -> None:
    network = seeded()
    path = write(tmp_path / "xfeat.pt", network)
    found = identify(path)
    assert found.kind == "xfeat" and found.whole
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for loaded in (load_xfeat(path), load_xfeat(tmp_path)):
            assert torch.equal(loaded(image).descriptors, network(image).descriptors)


def test_a_file_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "xfeat.pt", seeded())
    state = torch.load(path)
    del state["block1.0.layer.0.weight"]
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r"block1\.0\.layer\.0\.weight"):
        load_xfeat(path)
    with pytest.raises(WeightsError, match="lsm weights fetch xfeat"):
        load_xfeat(tmp_path / "nowhere.pt")


def test_without_a_file_there_is_none_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert available_xfeat() is None
    (tmp_path / "weights" / "xfeat").mkdir(parents=True)
    write(tmp_path / "weights" / "xfeat" / "xfeat.pt", seeded())
    assert available_xfeat() is not None


def test_heat_of_a_cell_lies_on_the_pixels_of_that_cell() -> None:
    """Channel 8 * row + column of the logits is that pixel of the cell."""
    image = torch.zeros(1, 1, 64, 64)
    image[0, 0, 27, 45] = 1.0
    with torch.no_grad():
        heat = seeded()(image).heat()[0]
    assert divmod(int(heat.argmax()), 64) == (27, 45)


def test_a_shifted_picture_gives_matches_of_that_shift() -> None:
    """By 32 pixels, which all strides divide, so that even random features move with the picture."""
    whole = cv2.copyMakeBorder(picture(), 0, 0, 0, 32, cv2.BORDER_REFLECT)
    network = seeded()
    first, second = (find_xfeat(network, np.ascontiguousarray(whole[:, at : at + 320])) for at in (0, 32))
    matches = match_xfeat(first, second)
    assert len(matches) > 40
    shift = matches.pixels0 - matches.pixels1
    near = np.abs(shift - (32, 0)).max(1) < 2
    assert near.mean() > 0.5
    assert abs(np.median(shift[:, 0]) - 32) < 0.5 and abs(np.median(shift[:, 1])) < 0.5


def test_points_are_in_pixels_of_the_image_given() -> None:
    """An image that is no multiple of 32 is scaled for the network; a bright spot stays where it is."""
    image = np.zeros((100, 150, 3), np.uint8)
    cv2.circle(image, (61, 40), 3, (255, 255, 255), -1)
    found = find_xfeat(seeded(), image, max_points=4)
    assert np.abs(found.points - (61, 40)).max(1).min() < 3.5


def test_an_image_without_points_has_no_matches() -> None:
    plain = find_xfeat(seeded(), np.full((64, 64, 3), 90, np.uint8))
    some = find_xfeat(seeded(), picture())
    assert len(plain.points) == 0
    assert len(match_xfeat(plain, some)) == 0

"""Backend dust3r on a small checkpoint in the official format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_core import load_backend
from lsm_core.backends.dust3r import Dust3rBackend, Dust3rOptions, balls, load
from lsm_core.backends.lsm_files import FILES
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.errors import UnsupportedError, WeightsError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dust3r")
    write_checkpoints(path)
    return path


@pytest.fixture(scope="module")
def backend(folder: Path) -> Dust3rBackend:
    return load(torch.device("cpu"), folder, Dust3rOptions(size=80))


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def test_a_pair_gives_pointmaps_and_balls_on_a_grid_of_sixteens(backend: Dust3rBackend) -> None:
    found = backend.predict([picture(1), picture(2)])
    assert found.pointmaps[0].shape == (48, 80, 3) and found.gaussians is not None
    assert torch.equal(found.gaussians.means[: 48 * 80], found.pointmaps[0].flatten(0, 1))
    assert found.features is None


def test_the_file_or_its_folder_can_be_named(folder: Path) -> None:
    assert load_backend("dust3r", "cpu", folder / FILES["dust3r"]).name == "dust3r"


def test_words_are_refused_and_never_answered_by_an_empty_mask(backend: Dust3rBackend) -> None:
    with pytest.raises(UnsupportedError, match="no language"):
        backend.query(backend.predict([picture(1), picture(2)]), ["chair"])


def test_without_weights_the_command_that_brings_them_is_named() -> None:
    with pytest.raises(WeightsError, match="lsm weights fetch dust3r"):
        load_backend("dust3r", "cpu")


def test_balls_have_the_colour_of_their_pixel_and_half_the_spacing() -> None:
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(6.0), indexing="ij")
    points = torch.stack((x, y, torch.ones(6, 6)), -1)
    colors = torch.randint(0, 256, (6, 6, 3), dtype=torch.uint8)
    found = balls([points], [torch.ones(6, 6)], [colors])
    torch.testing.assert_close(found.rgb, colors.flatten(0, 1) / 255, atol=1e-5, rtol=1e-5)
    inner = found.scales.view(6, 6, 3)[2, 2]
    torch.testing.assert_close(inner, torch.full((3,), 0.5))

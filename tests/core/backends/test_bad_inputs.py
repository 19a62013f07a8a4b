"""Images, pairs and calibration that are wrong or odd: every backend gives a typed error or a right answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_core.backends import Backend, dust3r, lsm, tiny
from lsm_core.backends.dust3r import Dust3rOptions
from lsm_core.backends.lsm import LsmOptions
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.cli.main import main
from lsm_core.errors import InputError, UnsupportedError
from lsm_core.geometry import apply_affine, pixel_grid
from lsm_core.io import read_image, write_png
from lsm_core.types import Prediction

CPU = torch.device("cpu")
FOCUS = 0.8  # focal length over image width of the calibrations given


@pytest.fixture(scope="module", params=["lsm-tiny", "lsm", "dust3r"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Each backend, on small grids so that the tests are fast."""
    if request.param == "lsm-tiny":
        yield tiny.load(CPU, None)
        return
    folder: Path = tmp_path_factory.mktemp(request.param)
    write_checkpoints(folder)
    if request.param == "lsm":
        yield lsm.load(CPU, folder, LsmOptions(size=96))
    else:
        yield dust3r.load(CPU, folder, Dust3rOptions(size=96))


def ramp(height: int, width: int) -> np.ndarray:
    """Return an image whose red says the column, whose green says the row, with some texture in blue."""
    x = np.linspace(0, 255, width, dtype=np.float32)[None].repeat(height, 0)
    y = np.linspace(0, 255, height, dtype=np.float32)[:, None].repeat(width, 1)
    return np.stack([x, y, (x * 7 + y * 5) % 255], -1).round().astype(np.uint8)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def check_grid(found: Prediction, view: int, size: tuple[int, int]) -> None:
    """The grid's colours are those of the ramp where the grid says its pixels come from."""
    height, width = size
    colors = torch.from_numpy(found.colors[view]).float()
    at = apply_affine(found.grid_to_image[view].cpu(), pixel_grid(*colors.shape[:2]))
    expected = at * 255 / torch.tensor([width - 1.0, height - 1.0])
    inner = (slice(2, -2), slice(2, -2))  # resampling filters end at the border
    # The grid is coarse: a pixel of it covers several levels of the ramp, and small images give it steps.
    tolerance = 3 + 255 * 1.5 / min(height, width)
    assert float((colors[..., :2] - expected)[inner].abs().max()) < tolerance
    assert found.image_sizes[view] == size
    assert found.pointmaps[view].shape == found.pointmaps[0].shape
    if view == 0 or found.pose_valid[view]:
        assert bool(torch.isfinite(found.pointmaps[view]).all())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((120, 160), (160, 120)),  # landscape and portrait
        ((160, 120), (121, 163)),  # and the other way, sides odd
        ((300, 211), (97, 133)),
        ((16, 16), (16, 16)),  # the smallest
        ((100, 100), (100, 100)),  # 10,000 pixels in all
        ((10000, 3000), (1500, 10000)),  # 10,000 pixels a side
    ],
)
def test_images_of_any_size_and_mix_are_placed_right(
    backend: Backend, first: tuple[int, int], second: tuple[int, int]
) -> None:
    found = backend.predict([ramp(*first), ramp(*second)])
    check_grid(found, 0, first)
    check_grid(found, 1, second)
    assert 0.0 <= found.validity <= 1.0


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((1, 1, 3), np.uint8), "1x1"),
        (np.zeros((15, 400, 3), np.uint8), "400x15"),
        (np.zeros((17000, 20, 3), np.uint8), "20x17000"),
        (np.zeros((0, 0, 3), np.uint8), "0x0"),
        (picture(0)[..., 0], "It is grey"),
        (picture(0)[..., :1], "It is grey"),
        (np.dstack([picture(0), picture(1)[..., :1]]), "transparency"),
        ((picture(0) / 255).astype(np.float32), "image * 255"),
        (np.full((120, 160, 3), np.nan), "no NaN"),
        (picture(0).astype(np.int16), "Convert it"),
        (np.zeros((2, 120, 160, 3), np.uint8), "Convert it"),
        ("a.jpg", "str"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_rgb_image_is_refused_with_the_way_to_one(backend: Backend, image: object, words: str) -> None:
    with pytest.raises(InputError, match="mage") as caught:
        backend.encode(image)  # type: ignore[arg-type]
    assert words in str(caught.value)
    with pytest.raises(InputError):
        backend.predict([picture(0), image])  # type: ignore[list-item]


def test_the_ways_to_rgb_that_errors_name_work(backend: Backend) -> None:
    grey, alpha, real = picture(0)[..., 0], np.dstack([picture(0), picture(1)[..., :1]]), picture(0) / 255
    for image in (
        np.repeat(grey.reshape(*grey.shape[:2], 1), 3, axis=2),
        alpha[..., :3],
        (real * 255).round().clip(0, 255).astype("uint8"),
    ):
        assert backend.encode(image).image.shape == (120, 160, 3)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_views_than_two_is_refused(backend: Backend, count: int) -> None:
    with pytest.raises(InputError, match=f"two views, got {count}"):
        backend.predict([picture(0)] * count)


@pytest.mark.parametrize(
    "K", [np.full((3, 3), np.nan), np.eye(4), -np.eye(3), np.array([[np.inf, 0, 1], [0, 1, 1], [0, 0, 1]])]
)
def test_calibration_that_is_none_is_refused(backend: Backend, K: np.ndarray) -> None:
    with pytest.raises(InputError, match="3x3"):
        backend.predict([picture(0), picture(1)], [K, None])
    with pytest.raises(InputError, match="intrinsics"):
        backend.predict([picture(0), picture(1)], [np.eye(3)])


def test_poses_and_views_of_another_backend_are_refused(backend: Backend) -> None:
    with pytest.raises(UnsupportedError, match="poses"):
        backend.predict([picture(0), picture(1)], poses=[np.eye(4)] * 2)
    view = backend.encode(picture(0))
    foreign = type(view)("other", view.image, None, view.grid_to_image, view.tensors)
    with pytest.raises(InputError, match="'other'"):
        backend.predict([view, foreign])


@pytest.mark.parametrize("kind", ["identical", "black", "white", "black and noise"])
def test_pairs_without_parallax_or_content_claim_no_geometry(backend: Backend, kind: str) -> None:
    flat = np.full((120, 160, 3), 255 if kind == "white" else 0, np.uint8)
    pair = {"identical": [picture(0)] * 2, "black and noise": [flat, picture(0)]}.get(kind, [flat, flat])
    K = np.array([[160 * FOCUS, 0, 79.5], [0, 160 * FOCUS, 59.5], [0, 0, 1]])
    found = backend.predict(pair, [K, K])
    assert bool(torch.isfinite(found.pointmaps[0]).all())
    assert all(bool((c > 0).all()) for c in found.confidence)
    assert found.validity < 0.3
    assert found.pose_valid[1] == (kind == "identical")
    if kind == "identical":
        np.testing.assert_allclose(found.poses[1].cpu().numpy(), np.eye(4), atol=0.02)
    else:
        assert found.validity == 0.0 and bool(found.poses[1].isnan().all())


def test_the_command_line_reads_grey_and_transparent_files_and_refuses_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    Image.fromarray(picture(0)[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([picture(0), picture(1)[..., :1]])).save(tmp_path / "alpha.png")
    write_png(tmp_path / "pixel.png", np.zeros((1, 1, 3), np.uint8))
    write_png(tmp_path / "deep.png", np.zeros((100, 100), np.uint16))
    assert read_image(tmp_path / "grey.png").shape == read_image(tmp_path / "alpha.png").shape == (120, 160, 3)
    out = ["-o", str(tmp_path / "out")]
    good = str(tmp_path / "grey.png")
    for words, said in (
        ([good], "two images"),
        ([good, str(tmp_path / "pixel.png")], "1x1"),
        ([good, str(tmp_path / "deep.png")], "8-bit"),
        ([good, str(tmp_path / "none.png")], "no image file"),
    ):
        assert main(["reconstruct", *words, *out]) == 1
        assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()

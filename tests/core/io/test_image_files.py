"""Images: orientation, refusals, depth as 16-bit PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io import read_image, write_depth_png, write_png


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = (250, 0, 0)  # left half red
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter: left becomes top
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = read_image(tmp_path / "turned.jpg")
    assert upright.shape == (40, 20, 3)
    assert upright[:15, :, 0].min() > 200 and upright[25:, :, 0].max() < 50


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_other_eight_bit_images_become_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    Image.new("RGB", (20, 30), (90, 90, 90)).convert(mode).save(tmp_path / f"i.{suffix}")
    image = read_image(tmp_path / f"i.{suffix}")
    assert image.shape == (30, 20, 3) and image.dtype == np.uint8
    assert abs(int(image[5, 5, 0]) - 90) < 20


def test_missing_damaged_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no image file"):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(FileFormatError, match="not an image"):
        read_image(tmp_path / "text.png")
    write_png(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8))
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:3000])
    with pytest.raises(FileFormatError, match="damaged"):
        read_image(tmp_path / "cut.png")


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    write_png(tmp_path / "i.png", np.zeros((50, 50), np.uint8))
    with pytest.raises(FileFormatError, match="more than 100"):
        read_image(tmp_path / "i.png", max_pixels=100)


def test_sixteen_bit_images_are_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "d.png", np.zeros((20, 20), np.uint16))
    with pytest.raises(FileFormatError, match="8-bit"):
        read_image(tmp_path / "d.png")


def test_depth_png_holds_millimetres_and_zero_for_nothing(tmp_path: Path) -> None:
    depth = np.array([[1.2345, np.nan, -1.0], [np.inf, 70.0, 0.002]])
    write_depth_png(tmp_path / "d.png", depth)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "d.png")), [[1234, 0, 0], [0, 0, 2]])


def test_float_images_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_png(tmp_path / "f.png", np.zeros((5, 5, 3)))
    assert not list(tmp_path.iterdir())

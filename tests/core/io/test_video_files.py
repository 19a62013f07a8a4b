"""Films hold the frames they were given, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lsm_core.errors import DependencyError, InputError
from lsm_core.io import video
from lsm_core.io.video import can_write_video, write_animation, write_video


def frames(count: int = 8, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """Return frames that go from dark red to bright red."""
    out = []
    for k in range(count):
        frame = np.full((size[1], size[0], 3), (30, 60, 90), np.uint8)
        frame[..., 0] = 40 + 20 * k
        out.append(frame)
    return out


def read_back(path: Path) -> list[np.ndarray]:
    reader, found = cv2.VideoCapture(str(path)), []
    while True:
        good, frame = reader.read()
        if not good:
            return found
        found.append(frame[..., ::-1])


def test_an_mp4_gives_its_frames_back_in_order_and_colour(tmp_path: Path) -> None:
    assert can_write_video()
    assert write_video(tmp_path / "x.mp4", frames(size=(65, 49)), 10) == 8  # the odd row and column go
    found = read_back(tmp_path / "x.mp4")
    assert len(found) == 8 and found[0].shape == (48, 64, 3)
    for seen, given in zip(found, frames(), strict=True):
        np.testing.assert_allclose(seen.mean((0, 1)), given.mean((0, 1)), atol=6)


@pytest.mark.parametrize("ending", ["webp", "gif"])
def test_an_animation_gives_its_frames_back(tmp_path: Path, ending: str) -> None:
    write_animation(tmp_path / f"x.{ending}", frames(), 10)
    with Image.open(tmp_path / f"x.{ending}") as opened:
        assert opened.n_frames == 8
        opened.seek(7)
        np.testing.assert_allclose(np.asarray(opened.convert("RGB")).mean((0, 1)), (180, 60, 90), atol=8)


def test_what_is_interrupted_leaves_the_old_film(tmp_path: Path) -> None:
    target = tmp_path / "x.mp4"
    target.write_bytes(b"old")

    def stopping() -> Iterator[np.ndarray]:
        yield from frames(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(target, stopping(), 10)
    assert target.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["x.mp4"]


def test_a_film_that_lost_frames_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Losing:
        def __init__(self, *_: object) -> None:
            self.real = cv2.VideoWriter(*_)  # type: ignore[arg-type]
            self.count = 0

        def write(self, frame: np.ndarray) -> None:
            self.count += 1
            if self.count < 6:
                self.real.write(frame)

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    monkeypatch.setattr(video, "_open", lambda p, s, f: Losing(str(p), cv2.CAP_FFMPEG, 0x39307076, f, s))
    with pytest.raises(InputError, match="5 of 8 frames"):
        write_video(tmp_path / "x.mp4", frames(), 10)
    assert not list(tmp_path.iterdir())


def test_without_the_encoder_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_CODEC", "zzzz")
    assert not can_write_video()
    with pytest.raises(DependencyError, match="pip install") as caught:
        write_video(tmp_path / "x.mp4", frames(), 10)
    assert "--format png" in caught.value.fix and not list(tmp_path.iterdir())


def test_nothing_and_unequal_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        write_video(tmp_path / "x.mp4", [], 10)
    with pytest.raises(InputError, match="Frame 8"):
        write_video(tmp_path / "x.mp4", [*frames(), *frames(1, (32, 32))], 10)
    with pytest.raises(InputError, match=r"\.webp or \.gif"):
        write_animation(tmp_path / "x.avi", frames(), 10)
    assert not list(tmp_path.iterdir())

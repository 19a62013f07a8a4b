"""Films are written whole, go on after an interruption, and hold what was drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lsm_core.errors import DependencyError, InputError
from lsm_core.io import read_image, read_tum
from lsm_core.views import (
    FilmPlan,
    Form,
    Kind,
    Painter,
    Scene,
    film,
    fly_through,
    frame_scene,
    make_film,
    turntable,
)
from lsm_core.views.frame_store import film_key

KINDS = (Kind.RGB, Kind.DEPTH)


def visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_film_has_its_frames_its_path_and_a_sheet(known_room: Scene, tmp_path: Path) -> None:
    cameras = fly_through(known_room, frame_scene(known_room, 96, 72), 6)
    made = make_film(known_room, cameras, tmp_path, FilmPlan(KINDS, Form.MP4, 10.0, "fly"))
    assert visible(tmp_path) == ["depth.mp4", "path.tum", "rgb.mp4", "sheet.png"]
    assert made.frames == 6 and made.resumed == 0 and set(made.files) == {"rgb", "depth"}
    reader = cv2.VideoCapture(str(made.files["rgb"]))
    good, first = reader.read()
    drawn = Painter(known_room, KINDS, cameras).paint(cameras[0])["rgb"]
    assert good and np.abs(first[..., ::-1].astype(int) - drawn).mean() < 6
    poses = read_tum(made.path)
    np.testing.assert_allclose(poses.poses[2], cameras[2].T_scene_cam, atol=1e-5)
    assert poses.stamps_ns[1] == 100_000_000
    assert read_image(tmp_path / "sheet.png").shape[1] == 1600


def test_png_frames_take_the_place_of_older_ones(known_room: Scene, tmp_path: Path) -> None:
    cameras = fly_through(known_room, frame_scene(known_room, 64, 48), 5)
    plan = FilmPlan((Kind.RGB,), Form.PNG, sheet=False)
    make_film(known_room, cameras, tmp_path, plan)
    make_film(known_room, cameras[:3], tmp_path, plan)
    assert visible(tmp_path) == ["path.tum", "rgb"] and len(list((tmp_path / "rgb").iterdir())) == 3
    drawn = Painter(known_room, (Kind.RGB,), cameras).paint(cameras[2])["rgb"]
    np.testing.assert_array_equal(read_image(tmp_path / "rgb" / "00002.png"), drawn)


def test_what_was_interrupted_goes_on_and_gives_the_same_film(
    known_room: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = fly_through(known_room, frame_scene(known_room, 64, 48), 6)
    plan = FilmPlan(KINDS, Form.PNG, sheet=False)
    make_film(known_room, cameras, tmp_path / "whole", plan)
    painted: list[int] = []
    paint = Painter.paint

    def counted(self: Painter, camera: object) -> object:
        if len(painted) == 4:
            painted.append(-1)
            raise KeyboardInterrupt
        painted.append(1)
        return paint(self, camera)  # type: ignore[arg-type]

    monkeypatch.setattr(Painter, "paint", counted)
    with pytest.raises(KeyboardInterrupt):
        make_film(known_room, cameras, tmp_path / "cut", plan)
    assert [name[:8] for name in visible(tmp_path / "cut")] == [".frames-"]  # nothing that looks finished
    painted.clear()
    painted.append(0)
    made = make_film(known_room, cameras, tmp_path / "cut", plan)
    assert made.resumed == 4 and painted == [0, 1, 1]
    assert visible(tmp_path / "cut") == ["depth", "path.tum", "rgb"]
    for index in range(6):
        one, two = (read_image(tmp_path / run / "depth" / f"{index:05d}.png") for run in ("whole", "cut"))
        np.testing.assert_array_equal(one, two)


def test_frames_of_other_settings_are_not_taken_over(
    known_room: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    framing = frame_scene(known_room, 64, 48)
    cameras = fly_through(known_room, framing, 4)
    plan = FilmPlan((Kind.RGB,), Form.MP4, sheet=False)
    monkeypatch.setattr(film, "write_video", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make_film(known_room, cameras, tmp_path, plan)
    assert len(visible(tmp_path)) == 1
    monkeypatch.undo()
    made = make_film(known_room, fly_through(known_room, framing, 5), tmp_path, plan)
    assert made.resumed == 0 and visible(tmp_path) == ["path.tum", "rgb.mp4"]


def test_the_key_of_a_film_is_of_all_it_depends_on(known_room: Scene) -> None:
    scene, view = known_room.gaussians, known_room.cameras[0]
    moved = torch.eye(4)
    moved[0, 3] = 1e-3
    variants = [
        (scene, [view], {"kinds": ["rgb"]}),
        (scene, [view], {"kinds": ["depth"]}),
        (scene, [replace(view, near=0.02)], {"kinds": ["rgb"]}),
        (scene, [replace(view, width=view.width + 2)], {"kinds": ["rgb"]}),
        (scene, [replace(view, T_scene_cam=moved)], {"kinds": ["rgb"]}),
        (scene, [view, view], {"kinds": ["rgb"]}),
        (replace(scene, opacities=0.9 * scene.opacities), [view], {"kinds": ["rgb"]}),
        (replace(scene, features=None), [view], {"kinds": ["rgb"]}),
    ]
    keys = [film_key(*variant) for variant in variants]
    assert len(set(keys)) == len(keys) and film_key(*variants[0]) == keys[0]


def test_without_an_encoder_auto_gives_png_and_mp4_an_error(
    known_room: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsm_core.io.video._CODEC", "zzzz")
    cameras = fly_through(known_room, frame_scene(known_room, 64, 48), 3)
    made = make_film(known_room, cameras, tmp_path / "auto", FilmPlan((Kind.RGB,), Form.AUTO, sheet=False))
    assert made.form is Form.PNG and (tmp_path / "auto" / "rgb" / "00000.png").is_file()
    with pytest.raises(DependencyError, match="pip install"):
        make_film(known_room, cameras, tmp_path / "mp4", FilmPlan((Kind.RGB,), Form.MP4, sheet=False))
    assert not (tmp_path / "mp4").exists()  # said before the work is done


def test_a_folder_that_cannot_be_written_is_named(known_room: Scene, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    cameras = fly_through(known_room, frame_scene(known_room, 64, 48), 2)
    with pytest.raises(InputError, match="Cannot write in"):
        make_film(known_room, cameras, tmp_path / "file" / "out", FilmPlan((Kind.RGB,), Form.PNG))


def test_the_sheet_shows_frames_that_differ(known_room: Scene) -> None:
    cameras = fly_through(known_room, frame_scene(known_room, 64, 48), 20)  # there and back
    chosen = film.different_frames(cameras, 3)
    xs = [float(cameras[i].T_scene_cam[0, 3]) for i in chosen]
    assert chosen[0] == 0 and 10 in chosen and min(np.diff(np.sort(xs))) > 0.15
    assert film.different_frames(cameras[:1], 4) == [0]


@pytest.mark.parametrize("what", ["one", "five", "clear", "one place", "huge", "tiny", "behind", "meaningless"])
@pytest.mark.parametrize("known_cameras", [True, False])
def test_odd_scenes_give_pictures_all_the_same(
    known_room: Scene, tmp_path: Path, what: str, known_cameras: bool
) -> None:
    g = known_room.gaussians
    odd = {
        "one": replace(g.select(torch.arange(1)), features=None),
        "five": g.select(torch.arange(5)),
        "clear": replace(g, opacities=0 * g.opacities),
        "one place": replace(g, means=torch.tensor([0, 0, 2.0]).expand_as(g.means)),
        "huge": replace(g, scales=100 * g.scales),
        "tiny": replace(g, scales=torch.full_like(g.scales, 1e-12)),
        "behind": replace(g, means=-g.means),
        "meaningless": replace(g, features=torch.zeros_like(g.features)),
    }[what]
    scene = Scene(odd, known_room.cameras if known_cameras else ())
    kinds = tuple(kind for kind in Kind if kind not in (Kind.MASKS, Kind.RELEVANCY))
    kinds = kinds if odd.features is not None else tuple(k for k in kinds if k is not Kind.FEATURES)
    framing = frame_scene(scene, 48, 36)
    made = make_film(scene, turntable(scene, framing, 2), tmp_path, FilmPlan(kinds, Form.PNG, sheet=False))
    assert set(made.files) == {kind.value for kind in kinds}
    assert all(read_image(file / "00001.png").shape[0] == 36 for file in made.files.values())

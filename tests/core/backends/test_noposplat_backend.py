"""Backend noposplat on small files in the released format: loading, any number of views, cameras, honesty."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fitted_checkpoints import KnownView
from fitted_noposplat import write_fitted
from known_pair import T_CAM0_CAM1, K, known_pair

from lsm_core import load_backend
from lsm_core.backends.noposplat import NoposplatBackend, NoposplatOptions, load
from lsm_core.backends.noposplat_files import RULES, build
from lsm_core.backends.seeded_checkpoints import fill, write_checkpoints
from lsm_core.backends.seeded_noposplat import SMALL, noposplat_state, write_network, write_noposplat
from lsm_core.cli.main import main
from lsm_core.errors import InputError, LsmError, UnsupportedError, WeightsError
from lsm_core.io import read_gaussians, write_png
from lsm_core.nn.intrinsics_embedding import IntrinsicsMode
from lsm_core.nn.noposplat import Noposplat
from lsm_core.render import render
from lsm_core.types import Prediction
from lsm_core.weights.files import read_checkpoint

CPU = torch.device("cpu")
SMALL_SIZE = NoposplatOptions(size=64)
RELEASED = {
    "re10k.ckpt": 256,
    "acid.ckpt": 256,
    "mixRe10kDl3dv.ckpt": 256,
    "mixRe10kDl3dv_512x512.ckpt": 512,
    "re10k_3views.ckpt": 256,
}


def picture(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def known_views(count: int) -> list[KnownView]:
    """Return views of different images whose cameras walk along the second one's motion."""
    first, second = known_pair()
    views, T = [first, second], T_CAM0_CAM1
    for i in range(2, count):
        T = T @ T_CAM0_CAM1
        views.append(replace(second, rgb=np.ascontiguousarray(second.rgb[::-1] if i == 2 else second.rgb[:, ::-1])))
        views[-1] = replace(views[-1], T_world_cam=T)
    return views


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("noposplat") / "re10k.ckpt"
    write_noposplat(path)
    return path


@pytest.fixture(scope="module")
def backend(file: Path) -> NoposplatBackend:
    return load(CPU, file, SMALL_SIZE)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fitted") / "re10k.ckpt"
    write_fitted(path, known_views(4))
    return path


@pytest.fixture(scope="module")
def known(fitted: Path) -> NoposplatBackend:
    """The backend that knows the views."""
    return load(CPU, fitted)


def test_each_released_file_is_loaded_at_the_size_it_was_trained_on(tmp_path: Path) -> None:
    for seed, (name, size) in enumerate(RELEASED.items()):
        network = write_noposplat(tmp_path / str(seed) / name, seed=seed)
        found = load_backend("noposplat", "cpu", tmp_path / str(seed))  # the only file of its folder
        assert isinstance(found, NoposplatBackend) and found.options.size == size
        loaded = found.network.state_dict()
        same = [torch.equal(v, loaded[k]) for k, v in network.state_dict().items() if "param_head" not in k]
        assert len(same) > 100 and all(same)  # the others lose what is never drawn


def test_wrong_files_are_refused_by_name(file: Path, tmp_path: Path) -> None:
    state = torch.load(file, weights_only=False)["state_dict"]
    spoilt = {
        "missing": {k: v for k, v in state.items() if k != "encoder.backbone.intrinsic_encoder.bias"},
        "unknown": {**state, "encoder.stranger": torch.zeros(1)},
        "prefix": {**state, "decoder.stranger": torch.zeros(1)},
        "shape": {**state, "encoder.downstream_head2.dpt.head.4.weight": torch.zeros(4, 8, 1, 1)},
        "alias": {
            k: v + 1 if k == "encoder.gaussian_param_head2.dpt.scratch.layer_rn.3.weight" else v
            for k, v in state.items()
        },
    }
    texts = {
        "missing": "missing backbone.intrinsic_encoder.bias",
        "unknown": "unknown stranger",
        "prefix": "not under",
        "shape": "downstream_head2.dpt.head.4.weight",
        "alias": "must be the same tensor",
    }
    for kind, tensors in spoilt.items():
        torch.save({"state_dict": tensors}, tmp_path / f"{kind}.ckpt")
        with pytest.raises(WeightsError, match=texts[kind]):
            load(CPU, tmp_path / f"{kind}.ckpt")


def test_another_models_file_no_file_and_two_files_are_refused(file: Path, tmp_path: Path) -> None:
    write_checkpoints(tmp_path / "lsm")
    with pytest.raises(WeightsError, match="not of NoPoSplat"):
        load(CPU, tmp_path / "lsm" / "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth")
    with pytest.raises(WeightsError, match="lsm weights fetch noposplat"):
        load_backend("noposplat", "cpu")
    for name in ("re10k.ckpt", "acid.ckpt"):
        (tmp_path / name).write_bytes(file.read_bytes())
    with pytest.raises(WeightsError, match=r"re10k\.ckpt, acid\.ckpt"):
        load(CPU, tmp_path)


@pytest.mark.parametrize("views", [3, 4])
def test_poses_of_all_views_are_found_in_one_pass(known: NoposplatBackend, views: int) -> None:
    scene = known_views(views)
    found = known.predict([v.rgb for v in scene], [K] * views)
    assert found.pose_valid == [True] * views and found.validity > 0.6 and found.unit == "relative"
    assert found.extras["intrinsics_source"] == ["given"] * views
    for view, pose in zip(scene, found.poses, strict=True):
        np.testing.assert_allclose(pose.numpy(), view.T_world_cam, atol=0.04 * views)
    assert found.gaussians is not None and len(found.gaussians) == views * 256 * 256
    assert torch.equal(found.gaussians.means, torch.cat([p.flatten(0, 1) for p in found.pointmaps]))


def test_what_a_views_gaussians_show_its_camera_is_its_image(known: NoposplatBackend) -> None:
    scene = known_views(2)
    found = known.predict([v.rgb for v in scene], [K, K])
    assert found.gaussians is not None
    for view in range(2):
        own = torch.arange(256 * 256) + view * 256 * 256  # the two images are noise of their own
        drawn = render(found.gaussians.select(own), found.camera(view)).rgb
        wanted = torch.from_numpy(found.colors[view]) / 255
        off, elsewhere = ((drawn - other)[8:-8, 8:-8].abs().mean() for other in (wanted, wanted.roll(16, 0)))
        assert float(off) < 0.55 * float(elsewhere)
        assert view or float(off) < 0.08


def test_without_intrinsics_they_are_estimated_and_the_result_says_so(known: NoposplatBackend) -> None:
    scene = known_views(2)
    found = known.predict([v.rgb for v in scene])
    assert found.extras["intrinsics_source"] == ["estimated", "estimated"]
    for view in range(2):
        image_K = found.grid_to_image[view] @ found.intrinsics[view]
        np.testing.assert_allclose(image_K.numpy(), K, rtol=0.01, atol=1.0)
    shared = known.predict([v.rgb for v in scene], [K, None])
    assert shared.extras["intrinsics_source"] == ["given", "shared"]
    torch.testing.assert_close(shared.intrinsics[0], shared.intrinsics[1], atol=0.6, rtol=0.0)


def test_the_network_is_told_the_camera(file: Path, backend: NoposplatBackend) -> None:
    pair = [picture(seed=1), picture(seed=2)]
    near, far = (np.array([[f, 0, 39.5], [0, f, 29.5], [0, 0, 1.0]]) for f in (50.0, 90.0))
    a, b = (backend.predict(pair, [k, k]).pointmaps[1] for k in (near, far))
    assert float((a - b).abs().max()) > 1e-3
    unknown = backend.encode(pair[0]).tensors["K"]
    assert float(unknown[0, 0]) == pytest.approx(64 / (2 * np.tan(np.pi / 6)), rel=1e-3)
    two, one = (load(CPU, file, replace(SMALL_SIZE, focal_passes=n)).predict(pair) for n in (2, 1))
    assert float((two.pointmaps[1] - one.pointmaps[1]).abs().max()) > 1e-5  # told what the first pass showed


def test_the_readable_twin_says_the_same(file: Path, backend: NoposplatBackend) -> None:
    twin = load(CPU, file, replace(SMALL_SIZE, reference=True))
    assert twin.network.gaussian_param_head.dpt.last.out_channels == 83
    assert backend.network.gaussian_param_head.dpt.last.out_channels == 56
    views, cameras = [picture(seed=s) for s in range(3)], [np.diag([70.0, 70.0, 1.0])] * 3
    fast, slow = (model.predict(views, cameras).gaussians for model in (backend, twin))
    assert fast is not None and slow is not None and fast.sh.shape == slow.sh.shape == (3 * 64 * 64, 16, 3)
    for part in ("means", "quats", "scales", "opacities", "sh"):
        a, b = getattr(fast, part), getattr(slow, part)
        assert float((a - b).abs().max() / b.abs().max()) < 2e-5, part


def test_coefficients_that_no_rasterizer_reads_are_dropped_without_a_change(file: Path) -> None:
    whole, cut = build(file), build(file)
    assert cut.drop_unseen_colours() == 2 * 27 and cut.drop_unseen_colours() == 0
    image = torch.rand(2, 1, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    intrinsics = [torch.tensor([[[0.9, 0, 0.5], [0, 1.2, 0.5], [0, 0, 1]]])] * 2
    with torch.no_grad():
        for a, b in zip(whole(list(image), intrinsics), cut(list(image), intrinsics), strict=True):
            torch.testing.assert_close(b.sh, a.sh[..., :16, :], atol=1e-6, rtol=1e-5)
            assert torch.equal(a.means, b.means) and torch.equal(a.opacities, b.opacities)


def test_portrait_pixels_stay_where_they_are(fitted: Path) -> None:
    """Without attention a patch of the image moves its own points and colours, and no others."""
    model = load(CPU, fitted, NoposplatOptions(size=128, crop="whole"))
    images = [cv2.resize(v.rgb, (96, 128)) for v in known_views(2)]
    before = model.predict(images)
    changed = [image.copy() for image in images]
    for image in changed:
        image[80:96, 64:80] = 255 - image[80:96, 64:80]
    after = model.predict(changed)
    assert before.gaussians is not None and after.gaussians is not None
    for view in range(2):
        assert before.pointmaps[view].shape == (128, 96, 3)
        moved = (after.pointmaps[view] - before.pointmaps[view]).norm(dim=-1)
        inside = torch.zeros(128, 96, dtype=torch.bool)
        inside[56:120, 40:96] = True  # the patch, and what upsampling spreads it over
        assert float(moved[80:96, 64:80].mean()) > 0.01 and float(moved[~inside].max()) < 1e-4
        rgb = after.gaussians.rgb.view(2, 128, 96, 3)[view]
        torch.testing.assert_close(rgb, torch.from_numpy(after.colors[view]) / 255, atol=0.01, rtol=0.0)
        np.testing.assert_array_equal(after.colors[view], changed[view])
    assert before.grid_to_image[0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_a_pose_that_is_not_there_is_not_claimed(backend: NoposplatBackend, known: NoposplatBackend) -> None:
    found = backend.predict([picture(seed=1), picture(seed=2), picture(seed=3)])
    assert found.pose_valid[0] and not any(found.pose_valid[1:]) and found.validity == 0.0
    assert bool(found.poses[1].isnan().all()) and torch.equal(found.poses[0], torch.eye(4))
    image = known_views(1)[0].rgb
    same = known.predict([image, image], [K, K])
    assert same.pose_valid == [True, True] and same.validity == 0.0 and torch.equal(same.poses[1], torch.eye(4))
    blank = known.predict([image, np.full_like(image, 7)], [K, K])
    assert blank.pose_valid == [True, False]


def test_the_released_pose_search_agrees(fitted: Path) -> None:
    scene = known_views(2)
    found = load(CPU, fitted, NoposplatOptions(solver="opencv")).predict([v.rgb for v in scene], [K, K])
    assert found.pose_valid == [True, True]
    np.testing.assert_allclose(found.poses[1].numpy(), T_CAM0_CAM1, atol=0.04)


def test_half_precision_finds_the_same_pose(fitted: Path) -> None:
    scene = known_views(2)
    found = load(CPU, fitted, NoposplatOptions(precision="bfloat16")).predict([v.rgb for v in scene], [K, K])
    assert found.pose_valid == [True, True] and found.pointmaps[0].dtype == torch.float32
    np.testing.assert_allclose(found.poses[1].numpy(), T_CAM0_CAM1, atol=0.1)


@pytest.mark.parametrize(("place", "degree"), [("encoder", 4), ("encoder", 0), ("decoder", 2)])
def test_the_dense_form_of_intrinsics_is_recognised(tmp_path: Path, place: str, degree: int) -> None:
    mode = IntrinsicsMode("pixelwise", place, degree)  # type: ignore[arg-type]
    network = Noposplat(replace(SMALL, intrinsics=mode))
    fill(network, 1)
    write_network(tmp_path / "dense.ckpt", network)
    model = load(CPU, tmp_path / "dense.ckpt", SMALL_SIZE)
    assert model.network.config.intrinsics == mode
    pair = [picture(seed=1), picture(seed=2)]
    near, far = (np.array([[f, 0, 39.5], [0, f, 29.5], [0, 0, 1.0]]) for f in (50.0, 90.0))
    a, b = (model.predict(pair, [k, k]).pointmaps[1] for k in (near, far))
    assert a.shape == (64, 64, 3) and float((a - b).abs().max()) > 1e-3


def same_prediction(a: Prediction, b: Prediction) -> bool:
    assert a.gaussians is not None and b.gaussians is not None
    return torch.equal(a.gaussians.means, b.gaussians.means) and torch.equal(a.gaussians.sh, b.gaussians.sh)


def test_encoding_first_or_within_predict_is_the_same_and_nothing_is_changed(backend: NoposplatBackend) -> None:
    pair, camera = [picture(seed=3), picture(seed=4)], np.array([[70.0, 0, 39.5], [0, 70, 29.5], [0, 0, 1]])
    copies, camera_copy = [image.copy() for image in pair], camera.copy()
    encoded = [backend.encode(image, camera) for image in pair]
    once, twice = backend.predict(encoded), backend.predict(pair, [camera, camera])
    assert same_prediction(once, twice) and same_prediction(once, backend.predict(encoded))
    assert all(np.array_equal(a, b) for a, b in zip(pair, copies, strict=True))
    assert np.array_equal(camera, camera_copy)


def test_mixed_sizes_are_brought_to_the_first_views_grid(file: Path, backend: NoposplatBackend) -> None:
    model = load(CPU, file, NoposplatOptions(size=96, crop="whole"))
    found = model.predict([picture(90, 60), picture(60, 90, 1), picture(33, 40, 2)])
    assert {tuple(p.shape) for p in found.pointmaps} == {(96, 64, 3)}
    assert found.image_sizes == [(90, 60), (60, 90), (33, 40)]
    square = backend.predict([picture(90, 60), picture(16, 100, 1)])
    assert square.pointmaps[1].shape == (64, 64, 3)


@pytest.mark.parametrize("count", [1, 9])
def test_too_few_and_too_many_views_are_refused(backend: NoposplatBackend, count: int) -> None:
    with pytest.raises(InputError, match="2 to 8"):
        backend.predict([picture(seed=i) for i in range(count)])


def test_wrong_calls_are_refused(backend: NoposplatBackend, file: Path) -> None:
    pair = [picture(seed=1), picture(seed=2)]
    with pytest.raises(UnsupportedError, match="poses"):
        backend.predict(pair, poses=[np.eye(4)] * 2)
    with pytest.raises(InputError, match="intrinsics"):
        backend.predict(pair, [K])
    with pytest.raises(InputError, match="made by"):
        backend.predict([replace(backend.encode(pair[0]), backend="lsm"), pair[1]])
    with pytest.raises(UnsupportedError, match="no language"):
        backend.query(backend.predict(pair), ["chair"])
    for options in (NoposplatOptions(size=100), NoposplatOptions(focal_passes=0)):
        with pytest.raises(InputError):
            load(CPU, file, options)
    with pytest.raises(LsmError):
        backend.encode(picture(16, 200))


def test_the_state_dict_of_the_format_has_every_alias_and_every_unused_tensor(file: Path) -> None:
    tensors = read_checkpoint(file).tensors
    assert tensors.keys() == noposplat_state(Noposplat(SMALL)).keys()
    assert all(f"encoder.{alias}" in tensors for alias in RULES.aliases)
    assert all(any(key.startswith(f"encoder.{prefix}") for key in tensors) for prefix in RULES.unused)


def test_lsm_reconstruct_writes_the_whole_scene(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [str(tmp_path / f"{view}.png") for view in range(3)]
    for path, view in zip(images, known_views(3), strict=True):
        write_png(Path(path), view.rgb)
    out = tmp_path / "o"
    words = ["reconstruct", *images, "--backend", "noposplat", "--weights", str(fitted), "-o", str(out), "--json"]
    assert main(words) == 0
    record = json.loads(capsys.readouterr().out)
    assert [view["K_from"] for view in record["views"]] == ["estimated"] * 3
    np.testing.assert_allclose(record["views"][1]["T_cam0_cam"], T_CAM0_CAM1, atol=0.05)
    names = {path.name for path in out.iterdir()}
    wanted = {"gaussians.ply", "points.ply", "poses.json", "sheet.png", "turntable.webp"}
    assert names >= wanted | {f"depth_{view}.png" for view in range(3)}, names
    assert len(read_gaussians(out / "gaussians.ply")) == 3 * 256 * 256

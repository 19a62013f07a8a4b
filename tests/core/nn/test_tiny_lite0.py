"""The encoder: folded BatchNorm, TensorFlow padding, pyramid levels, the key table."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm_core.errors import WeightsError
from lsm_core.nn.tiny.lite0 import CHANNELS, InvertedResidual, Lite0, SameConv
from lsm_core.training.lite0_init import BATCH_NORM_EPS, fold_batch_norm, load_imagenet


def random_norm(prefix: str, channels: int) -> dict[str, Tensor]:
    return {
        f"{prefix}.weight": torch.rand(channels) + 0.5,
        f"{prefix}.bias": torch.randn(channels),
        f"{prefix}.running_mean": torch.randn(channels),
        f"{prefix}.running_var": torch.rand(channels) + 0.2,
        f"{prefix}.num_batches_tracked": torch.tensor(7),
    }


def fake_checkpoint(encoder: Lite0) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {"_conv_stem.weight": torch.randn_like(encoder.stem.weight)}
    state |= random_norm("_bn0", 32)
    for i, block in enumerate(encoder.blocks):
        assert isinstance(block, InvertedResidual)
        parts = [("depthwise", "_depthwise_conv", "_bn1"), ("project", "_project_conv", "_bn2")]
        if block.expand is not None:
            parts.insert(0, ("expand", "_expand_conv", "_bn0"))
        for ours, conv, norm in parts:
            weight = getattr(block, ours).weight
            state[f"_blocks.{i}.{conv}.weight"] = torch.randn_like(weight) * 0.1
            state |= random_norm(f"_blocks.{i}.{norm}", weight.shape[0])
    state["_conv_head.weight"] = torch.zeros(8, 320, 1, 1)
    return state


def test_folded_convolution_equals_convolution_and_frozen_batch_norm() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(5, 7, 3, bias=False), nn.BatchNorm2d(7, eps=BATCH_NORM_EPS)
    source = {"c.weight": conv.weight.detach()} | random_norm("n", 7)
    norm.load_state_dict({k.removeprefix("n."): v for k, v in source.items() if k.startswith("n.")})
    norm.eval()
    weight, bias = fold_batch_norm(source, "c", "n")
    x = torch.randn(2, 5, 9, 9)
    torch.testing.assert_close(F.conv2d(x, weight, bias), norm(conv(x)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("kernel", "before", "after"), [(3, 0, 1), (5, 1, 2)])
def test_stride_two_pads_like_tensorflow_same(kernel: int, before: int, after: int) -> None:
    conv = SameConv(1, 1, kernel, stride=2)
    x = torch.randn(1, 1, 12, 8)
    padded = F.pad(x, (before, after, before, after))
    torch.testing.assert_close(conv(x), F.conv2d(padded, conv.weight, conv.bias, stride=2))


def test_pyramid_has_the_levels_its_table_says() -> None:
    pyramid = Lite0()(torch.randn(1, 3, 64, 96))
    shapes = {name: tuple(value.shape[1:]) for name, value in pyramid.items()}
    assert shapes == {f"s{s}": (CHANNELS[f"s{s}"], 64 // s, 96 // s) for s in (2, 4, 8, 16, 32)}


def test_every_checkpoint_tensor_is_used_or_known_as_classifier(tmp_path: Path) -> None:
    encoder = Lite0()
    state = fake_checkpoint(encoder)
    torch.save(state, tmp_path / "net.pth")
    load_imagenet(encoder, tmp_path / "net.pth")
    weight, bias = fold_batch_norm(state, "_blocks.3._depthwise_conv", "_blocks.3._bn1")
    torch.testing.assert_close(encoder.blocks[3].depthwise.weight, weight)  # type: ignore[union-attr]
    torch.testing.assert_close(encoder.blocks[3].depthwise.bias, bias)  # type: ignore[union-attr]


@pytest.mark.parametrize("change", ["missing", "left over"])
def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, change: str) -> None:
    encoder = Lite0()
    state = fake_checkpoint(encoder)
    if change == "missing":
        del state["_blocks.5._bn2.bias"]
    else:
        state["_blocks.16._bn2.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(WeightsError):
        load_imagenet(encoder, tmp_path / "net.pth")

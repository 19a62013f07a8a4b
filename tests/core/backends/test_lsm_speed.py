"""What makes backend lsm fast is really done; each test counts work, none measures time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from lsm_core.backends.lsm import LsmBackend, LsmOptions, load
from lsm_core.backends.seeded_checkpoints import SMALL, write_checkpoints
from lsm_core.errors import InputError
from lsm_core.nn import croco, rope
from lsm_core.nn.lsm import Lsm
from lsm_core.nn.rope import grid_rope_tables
from lsm_core.nn.transformer import Attention, CrossAttention

CPU = torch.device("cpu")
SIZE = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lsm")
    write_checkpoints(path)
    return path


@pytest.fixture(scope="module")
def backend(folder: Path) -> LsmBackend:
    return load(CPU, folder, LsmOptions(size=SIZE))


@pytest.fixture(scope="module")
def twin(folder: Path) -> LsmBackend:
    return load(CPU, folder, LsmOptions(size=SIZE, reference=True))


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def calls(module: nn.Module, run: Callable[[], object]) -> list[tuple[Tensor, ...]]:
    """Return the inputs of each call of a module while something runs."""
    seen: list[tuple[Tensor, ...]] = []
    handle = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    try:
        run()
    finally:
        handle.remove()
    return seen


def operations(run: Callable[[], object]) -> Counter[str]:
    """Count the operations that run, by name, those inside of others too."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        run()
    return Counter(event.name.removeprefix("aten::") for event in seen.events())


def test_each_image_is_encoded_once_for_both_orders_and_once_in_a_chain(backend: LsmBackend) -> None:
    network = backend.network
    for module in (network.dust3r.enc_blocks[0], network.lseg.vit.blocks[0]):
        assert len(calls(module, lambda: backend.predict([picture(1), picture(2)]))) == 2
        views = [backend.encode(picture(seed)) for seed in range(3)]
        assert not calls(module, lambda: [backend.predict(views[i : i + 2]) for i in (0, 1)])  # noqa: B023


def test_both_orders_are_decoded_in_one_batch(backend: LsmBackend, twin: LsmBackend) -> None:
    pair = [picture(1), picture(2)]
    (inputs,) = calls(backend.network.dust3r.dec_blocks[0], lambda: backend.predict(pair))
    assert len(inputs[0]) == 2
    assert [len(i[0]) for i in calls(twin.network.dust3r.dec_blocks[0], lambda: twin.predict(pair))] == [1, 1]


def test_lsegs_wide_map_is_made_after_pooling_only(backend: LsmBackend, twin: LsmBackend) -> None:
    (inputs,) = calls(backend.network.lseg.head1, lambda: backend.encode(picture(1)))
    assert inputs[0].shape[2:] == (64 // 16, SIZE // 16)
    (inputs,) = calls(twin.network.lseg.head1, lambda: twin.encode(picture(1)))
    assert inputs[0].shape[2:] == (64 // 2, SIZE // 2)


@pytest.fixture(scope="module")
def work(backend: LsmBackend, twin: LsmBackend) -> tuple[Counter[str], Counter[str]]:
    """Return the operations of a pair, of the fast way and of the twin."""
    pair = [picture(1), picture(2)]
    return operations(lambda: backend.predict(pair)), operations(lambda: twin.predict(pair))


def test_attention_is_fused_everywhere(backend: LsmBackend, work: tuple[Counter[str], Counter[str]]) -> None:
    fast, slow = work
    fused = "_scaled_dot_product_flash_attention_for_cpu"
    assert fast["_softmax"] == 0 and slow[fused] == 0
    modules = [m for m in backend.network.dust3r.modules() if isinstance(m, Attention | CrossAttention)]
    assert fast[fused] >= len(modules) and slow["_softmax"] + slow["_safe_softmax"] >= len(modules)


def test_batch_norms_that_can_be_folded_do_not_run(work: tuple[Counter[str], Counter[str]]) -> None:
    fast, slow = work
    poolings = SMALL.points.stages - 1
    assert fast["native_batch_norm"] == poolings
    assert slow["native_batch_norm"] > poolings


def test_tables_of_a_size_are_made_once(backend: LsmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    grid_rope_tables.cache_clear()
    made: list[tuple[Any, ...]] = []
    original = rope.rope_tables
    monkeypatch.setattr(rope, "rope_tables", lambda *args: (made.append(args), original(*args))[1])
    monkeypatch.setattr(croco, "rope_tables", rope.rope_tables)
    for seed in (1, 3):
        backend.predict([picture(seed), picture(seed + 1)])
    assert len(made) == 1  # heads of encoder and decoder are of one size here


def test_the_twin_gives_the_same(backend: LsmBackend, twin: LsmBackend) -> None:
    for seed in (1, 2):
        fast, slow = backend.encode(picture(seed)).tensors, twin.encode(picture(seed)).tensors
        for key in ("tokens", "language", "residual"):
            torch.testing.assert_close(fast[key], slow[key], atol=1e-4, rtol=1e-4)
    found = [b.predict([picture(1), picture(2)]) for b in (backend, twin)]
    for one, other in zip(found[0].pointmaps, found[1].pointmaps, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_dense_part_stays_on_its_device_and_never_waits_for_it() -> None:
    """On a device without numbers, reading one back or meeting a tensor of the CPU is an error."""
    with torch.device("meta"):
        network, image = Lsm(SMALL).eval(), torch.rand(1, 3, 64, 96)
    try:
        views = [network.encode(image) for _ in (0, 1)]
        maps = network.dust3r.pointmaps([view.geometry for view in views], (64, 96))
    finally:
        grid_rope_tables.cache_clear()
    for tensor in (views[0].language, views[0].residual, maps[1].points, maps[1].confidence):
        assert tensor.is_meta
    with pytest.raises(RuntimeError):
        float(maps[0].points.max())
    with pytest.raises(RuntimeError):
        maps[0].points + torch.zeros(64, 96, 3)


def products(network: Lsm, run: Callable[[], object]) -> dict[str, tuple[torch.dtype, torch.dtype]]:
    """Return the dtypes of weight and output of each linear layer and convolution that runs, by name."""
    seen: dict[str, tuple[torch.dtype, torch.dtype]] = {}
    handles = [
        layer.register_forward_hook(
            lambda m, _, out, name=name: seen.__setitem__(name, (m.weight.dtype, out.dtype))  # type: ignore[misc]
        )
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    ]
    run()
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_used_where_it_may_be_and_nowhere_else(folder: Path, precision: Any) -> None:
    backend = load(CPU, folder, LsmOptions(size=SIZE, precision=precision))
    half, found = getattr(torch, precision), list[Any]()
    seen = products(backend.network, lambda: found.append(backend.predict([picture(1), picture(2)])))
    views = backend.encode(picture(1)).tensors
    full = ("dust3r.downstream_head1.dpt.head.", "dust3r.downstream_head2.dpt.head.", "lseg.head1", "feature_")
    in_float = {n for n in seen if n.startswith((*full, "point_transformer.", "gaussian_head."))}
    assert {seen[n] for n in in_float} == {(torch.float32, torch.float32)}
    assert {seen[n] for n in set(seen) - in_float} == {(half, half)}
    assert any("enc_blocks" in n for n in seen) and any("lseg.dpt" in n for n in seen) and len(in_float) > 8
    norms = {m.weight.dtype for m in backend.network.modules() if isinstance(m, nn.LayerNorm)}
    assert norms == {torch.float32}
    values = [*found[0].pointmaps, *found[0].confidence, found[0].gaussians.features, found[0].gaussians.scales]
    assert {t.dtype for t in (*values, views["tokens"], views["language"], views["residual"])} == {torch.float32}


def test_residual_streams_are_not_rounded_to_half(folder: Path) -> None:
    backend = load(CPU, folder, LsmOptions(size=SIZE, precision="bfloat16"))
    network = backend.network
    blocks = [*network.dust3r.enc_blocks, *network.dust3r.dec_blocks, *network.lseg.vit.blocks]
    seen: set[torch.dtype] = set()
    for block in blocks:
        block.register_forward_hook(lambda _, inputs, out: seen.update((inputs[0].dtype, out.dtype)))
    backend.predict([picture(1), picture(2)])
    assert seen == {torch.float32}


def test_half_precision_is_near_full_precision(folder: Path, backend: LsmBackend) -> None:
    half = load(CPU, folder, LsmOptions(size=SIZE, precision="bfloat16"))
    a, b = (x.encode(picture(1)).tensors for x in (backend, half))
    for key in ("tokens", "language", "residual"):
        error = (a[key] - b[key]).norm() / a[key].norm()
        assert 0 < float(error) < 0.03, key


def test_the_twin_in_half_and_unknown_precisions_are_refused(folder: Path) -> None:
    for options in (LsmOptions(reference=True, precision="bfloat16"), LsmOptions(precision="int8")):  # type: ignore[arg-type]
        with pytest.raises(InputError):
            load(CPU, folder, options)

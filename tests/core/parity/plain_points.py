"""Point Transformer V3 point by point, written out from the description of the released code, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from plain_maths import Weights, attend, batch_norm, gelu, layer_norm, linear, mlp, part
from torch import Tensor

Cell = tuple[int, ...]  # (sample, x, y, z)


def hilbert_words(axes: Sequence[int], bits: int) -> list[int]:
    """Return Skilling's transposed index of a point."""
    x = list(axes)
    q = 1 << (bits - 1)
    while q > 1:
        p = q - 1
        for i in range(3):
            if x[i] & q:
                x[0] ^= p
            else:
                t = (x[0] ^ x[i]) & p
                x[0] ^= t
                x[i] ^= t
        q >>= 1
    for i in (1, 2):
        x[i] ^= x[i - 1]
    t, q = 0, 1 << (bits - 1)
    while q > 1:
        if x[2] & q:
            t ^= q - 1
        q >>= 1
    return [word ^ t for word in x]


def code(cell: Cell, curve: str, bits: int) -> int:
    """Return the place of a cell on a curve."""
    sample, *axes = cell
    if curve.endswith("-trans"):
        axes = [axes[1], axes[0], axes[2]]
    words = hilbert_words(axes, bits) if curve.startswith("hilbert") else axes
    digits = "".join(str((words[axis] >> bit) & 1) for bit in reversed(range(bits)) for axis in range(3))
    return (sample << 3 * bits) | int(digits or "0", 2)


def convolved(w: Weights, key: str, x: Tensor, cells: Sequence[Cell]) -> Tensor:
    """Convolve features where points are; the lowest index of a cell is its winner, see the specification, 5.5."""
    kernel = w[f"{key}.weight"]
    members: dict[Cell, list[int]] = {}
    for i, cell in enumerate(cells):
        members.setdefault(cell, []).append(i)
    half = kernel.shape[1] // 2
    out = []
    for i, (sample, *axes) in enumerate(cells):
        total = w.get(f"{key}.bias", torch.zeros(len(kernel), dtype=x.dtype))
        for step in torch.cartesian_prod(*[torch.arange(-half, half + 1)] * 3).tolist():
            tap = kernel[:, step[0] + half, step[1] + half, step[2] + half]
            there = members.get((sample, *(a + s for a, s in zip(axes, step, strict=True))), [])
            if step == [0, 0, 0]:
                total = total + tap @ x[i]
            elif step > [0, 0, 0] and there:
                total = total + tap @ x[there[0]]
            elif there and members[cells[i]][0] == i:
                total = total + tap @ x[there].sum(0)
        out.append(total)
    return torch.stack(out)


def patch_attention(
    w: Weights, key: str, x: Tensor, order: Sequence[int], counts: Sequence[int], heads: int, patch: int
) -> Tensor:
    """Attend within patches along a curve; the last patch is filled from the one before."""
    q, k, v = linear(w, f"{key}.qkv", x).chunk(3, 1)
    out, start = torch.zeros_like(x), 0
    for count in counts:
        own = list(order[start : start + count])
        start += count
        filled = own
        if count > patch:
            while len(filled) % patch:
                filled = [*filled, own[len(filled) - patch]]
        for first in range(0, len(filled), max(patch, 1)) if count > patch else (0,):
            group = filled[first : first + patch] if count > patch else filled
            mixed = attend(q[group], k[group], v[group], heads)
            for place, point in enumerate(group):
                if first + place < count:
                    out[point] = mixed[place]
    return linear(w, f"{key}.proj", out)


class Points:
    """Cells, features and curves of a stage."""

    def __init__(self, cells: list[Cell], codes: list[list[int]], bits: int, last_first: bool = False) -> None:
        self.cells, self.codes, self.bits = cells, codes, bits
        places = range(len(cells))[::-1] if last_first else range(len(cells))
        self.orders = [sorted(places, key=row.__getitem__) for row in codes]
        samples = [cell[0] for cell in cells]
        self.counts = [samples.count(s) for s in range(max(samples) + 1)]


def block(
    w: Weights, key: str, x: Tensor, points: Points, index: int, heads: int, patch: int, source: Tensor
) -> Tensor:
    """x += LN(linear(conv(source))); x += attention; x += mlp."""
    position = linear(w, f"{key}.cpe.1", convolved(w, f"{key}.cpe.0", source, points.cells))
    x = x + layer_norm(w, f"{key}.cpe.2", position, 1e-5)
    order = points.orders[index % len(points.orders)]
    y = layer_norm(w, f"{key}.norm1.0", x, 1e-5)
    x = x + patch_attention(w, f"{key}.attn", y, order, points.counts, heads, patch)
    return x + mlp(w, f"{key}.mlp.0", layer_norm(w, f"{key}.norm2.0", x, 1e-5))


def pooled(points: Points, permutation: Sequence[int], stride: int) -> tuple[Points, list[int]]:
    """Return the coarser points and the cluster of each finer one."""
    shift = (stride - 1).bit_length()
    shift = shift if shift <= points.bits else 0
    coarse = [[c >> 3 * shift for c in row] for row in points.codes]
    clusters = sorted(set(coarse[0]))
    own = [clusters.index(c) for c in coarse[0]]
    heads = [own.index(k) for k in range(len(clusters))]
    cells = [(points.cells[i][0], *(a >> shift for a in points.cells[i][1:])) for i in heads]
    codes = [[coarse[row][i] for i in heads] for row in permutation]
    return Points(cells, codes, points.bits - shift), own


def fusion(w: Weights, x: Tensor, counts: Sequence[int], memory: Tensor, heads: int) -> Tensor:
    """Let each sample's points attend to each other and to its tokens [B, L, D]."""
    out = []
    for sample, y in enumerate(x.split(list(counts))):
        n = layer_norm(w, "norm1", y, 1e-5)
        q, k, v = (n @ m.T for m in w["attn.in_proj_weight"].chunk(3))
        y = y + attend(q, k, v, heads) @ w["attn.out_proj.weight"].T
        m = layer_norm(w, "norm_y", memory[sample], 1e-5)
        wq, wk, wv = w["cross_attn.in_proj_weight"].chunk(3)
        q, k, v = layer_norm(w, "norm2", y, 1e-5) @ wq.T, m @ wk.T, m @ wv.T
        y = y + attend(q, k, v, heads) @ w["cross_attn.out_proj.weight"].T
        out.append(y + mlp(w, "mlp", layer_norm(w, "norm3", y, 1e-5)))
    return torch.cat(out)


def point_transformer(
    w: Weights,
    spec: Mapping[str, Any],
    inputs: Mapping[str, Tensor],
    permutations: Sequence[Sequence[int]],
    shared_size: bool = False,
    last_first: bool = False,
) -> dict[str, Tensor]:
    """Run the network; return what the fixtures record of a run. The grid is cut in float32, as in the code.

    With `last_first` the point of highest index comes first among those that share a cell.
    """
    config, curves = spec["config"], spec["order_names"]
    coord = inputs["coord"].float()
    samples = [s for s, n in enumerate(spec["counts"]) for _ in range(n)]
    grid = ((coord - coord.amin(0)) / spec["grid_size"]).trunc().int().tolist()
    bits = max(max(g) for g in grid).bit_length()
    cells: list[Cell] = [(s, *g) for s, g in zip(samples, grid, strict=True)]
    codes = [[code(cell, curves[row], bits) for cell in cells] for row in permutations[0]]
    points = Points(cells, codes, bits, last_first)
    out = {
        "first.serialized_code": torch.tensor(codes),
        "first.serialized_order": torch.tensor(points.orders),
        "first.grid_coord": torch.tensor(grid, dtype=torch.int32),
    }

    def blocks(side: str, s: int, x: Tensor, points: Points, source: Tensor | None = None) -> Tensor:
        patch = config[f"{side}_patch_size"][s]
        patch = min(patch, *points.counts) if shared_size else patch
        for i in range(config[f"{side}_depths"][s]):
            first = x if source is None or i else source
            key = f"{side}.{side}{s}.block{i}"
            x = block(w, key, x, points, i, config[f"{side}_num_head"][s], patch, first)
        out[f"{side}.{side}{s}.feat"] = x
        return x

    x = convolved(w, "embedding.stem.conv", inputs["feat"], cells)
    x = out["embedding.feat"] = gelu(batch_norm(w, "embedding.stem.norm", x, 1e-3, 1))
    x = blocks("enc", 0, x, points)
    kept = []
    for s in range(1, len(config["enc_depths"])):
        coarse, own = pooled(points, permutations[s], config["stride"][s - 1])
        kept.append((points, x, own))
        y, index = linear(w, f"enc.enc{s}.down.proj", x), torch.tensor(own)
        y = torch.stack([y[index == k].amax(0) for k in range(max(own) + 1)])
        points = coarse
        x = blocks("enc", s, gelu(batch_norm(w, f"enc.enc{s}.down.norm.0", y, 1e-3, 1)), points)
    sizes = config.get("fusion")
    if sizes:
        for name, tokens in (("dust", inputs["dust_tokens"]), ("lseg", inputs["lseg_tokens"])):
            memory = linear(w, f"{name}_feat_proj", tokens)
            x = fusion(part(w, f"decoder_block_{name}."), x, points.counts, memory, sizes["heads"])
            out[f"decoder_block_{name}.feat"] = x
    for s in reversed(range(len(config["dec_depths"]))):
        points, skip, own = kept[s]
        up = [
            gelu(batch_norm(w, f"dec.dec{s}.up.{n}.1", linear(w, f"dec.dec{s}.up.{n}.0", y), 1e-3, 1))
            for n, y in (("proj_skip", skip), ("proj", x))
        ]
        x = blocks("dec", s, up[0] + up[1][own], points, up[0])
        if sizes and s == len(config["dec_depths"]) - 1:
            memory = linear(w, "multi_scale_proj", inputs["lseg_tokens"])
            x = fusion(part(w, "decoder_block_multi_scale."), x, points.counts, memory, sizes["heads2"])
            out["decoder_block_multi_scale.feat"] = x
    return out | {"out.feat": x}

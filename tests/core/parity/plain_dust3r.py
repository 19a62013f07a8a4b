"""DUSt3R and LSeg for one image at a time, written out from the description of the released code, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from plain_maths import Weights, attend, batch_norm, gelu, layer_norm, linear, mlp
from torch import Tensor

EPS = 1e-6


def turned(x: Tensor, positions: Sequence[tuple[int, int]], heads: int, base: float) -> Tensor:
    """Rotate each head's pairs (i, i + D/2) of its y half and its x half by position times base^(-2i/D)."""
    out = x.clone()
    d = x.shape[1] // heads
    half, quarter = d // 2, d // 4
    for n, position in enumerate(positions):
        for h in range(heads):
            for axis in (0, 1):
                start = h * d + axis * half
                for i in range(quarter):
                    angle = torch.tensor(position[axis] * base ** (-2 * i / half), dtype=x.dtype)
                    a, b = x[n, start + i], x[n, start + i + quarter]
                    out[n, start + i] = a * angle.cos() - b * angle.sin()
                    out[n, start + i + quarter] = b * angle.cos() + a * angle.sin()
    return out


def patches(w: Weights, key: str, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Return tokens [N, dim], row-major, and the grid."""
    kernel = w[f"{key}.weight"]
    size = kernel.shape[-1]
    h, width = image.shape[1] // size, image.shape[2] // size
    rows = []
    for y in range(h):
        for x in range(width):
            patch = image[:, y * size : (y + 1) * size, x * size : (x + 1) * size]
            rows.append((kernel * patch).sum((1, 2, 3)) + w[f"{key}.bias"])
    return torch.stack(rows), (h, width)


def self_attention(w: Weights, key: str, x: Tensor, heads: int, positions: Any = None, base: float = 0) -> Tensor:
    """Attend within x, with rotary positions where given."""
    q, k, v = linear(w, f"{key}.qkv", x).chunk(3, 1)
    if positions is not None:
        q, k = turned(q, positions, heads, base), turned(k, positions, heads, base)
    return linear(w, f"{key}.proj", attend(q, k, v, heads))


def vit_block(w: Weights, key: str, x: Tensor, heads: int, positions: Any = None, base: float = 0) -> Tensor:
    """x += attention; x += mlp."""
    x = x + self_attention(w, f"{key}.attn", layer_norm(w, f"{key}.norm1", x, EPS), heads, positions, base)
    return x + mlp(w, f"{key}.mlp", layer_norm(w, f"{key}.norm2", x, EPS))


def decoder_block(w: Weights, key: str, x: Tensor, y: Tensor, heads: int, px: Any, py: Any, base: float) -> Tensor:
    """x += self attention; x += attention to the other view; x += mlp."""
    x = x + self_attention(w, f"{key}.attn", layer_norm(w, f"{key}.norm1", x, EPS), heads, px, base)
    memory = layer_norm(w, f"{key}.norm_y", y, EPS)
    q = turned(linear(w, f"{key}.cross_attn.projq", layer_norm(w, f"{key}.norm2", x, EPS)), px, heads, base)
    k = turned(linear(w, f"{key}.cross_attn.projk", memory), py, heads, base)
    v = linear(w, f"{key}.cross_attn.projv", memory)
    x = x + linear(w, f"{key}.cross_attn.proj", attend(q, k, v, heads))
    return x + mlp(w, f"{key}.mlp", layer_norm(w, f"{key}.norm3", x, EPS))


def upsampled(x: Tensor) -> Tensor:
    """Double a map [C, h, w], corners aligned."""
    return F.interpolate(x[None], scale_factor=2, mode="bilinear", align_corners=True)[0]


def conv(w: Weights, key: str, x: Tensor, **how: Any) -> Tensor:
    """Convolve a map [C, h, w]."""
    return F.conv2d(x[None], w[f"{key}.weight"], w.get(f"{key}.bias"), **how)[0]


def unit(w: Weights, key: str, x: Tensor) -> Tensor:
    """x + conv(relu(conv(relu(x)))), normalised after each where the weights have statistics."""
    out = x
    for i in (1, 2):
        out = conv(w, f"{key}.conv{i}", out.clamp(min=0), padding=1)
        if f"{key}.bn{i}.weight" in w:
            out = batch_norm(w, f"{key}.bn{i}", out, 1e-5, 0)
    return x + out


def fused_paths(w: Weights, maps: Sequence[Tensor], layers: Sequence[tuple[str, str]]) -> list[Tensor]:
    """Return path_4 to path_1 of four token maps; `layers` names the two reassembling layers of each."""
    skips = []
    for k, (m, (first, second)) in enumerate(zip(maps, layers, strict=True)):
        x = conv(w, first, m)
        if k < 2:
            stride = 4 >> k
            x = F.conv_transpose2d(x[None], w[f"{second}.weight"], w[f"{second}.bias"], stride=stride)[0]
        if k == 3:
            x = conv(w, second, x, stride=2, padding=1)
        skips.append(conv(w, f"scratch.layer{k + 1}_rn", x, padding=1))
    paths: list[Tensor] = []
    for k in (4, 3, 2, 1):
        key = f"scratch.refinenet{k}"
        x = skips[3] if k == 4 else paths[-1] + unit(w, f"{key}.resConfUnit1", skips[k - 1])
        x = conv(w, f"{key}.out_conv", upsampled(unit(w, f"{key}.resConfUnit2", x)))
        paths.append(x[:, : skips[2].shape[1], : skips[2].shape[2]] if k == 4 else x)
    return paths


def as_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return tokens [N, C] as [C, h, w]."""
    return tokens.T.reshape(-1, *grid)


def dpt_raw(w: Weights, layers: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
    """Return a DPT head's raw [4, H, W] of a view's token list."""
    depth = len(layers) - 1
    maps = [as_map(layers[i], grid) for i in (0, depth // 2, depth * 3 // 4, depth)]
    names = [(f"act_postprocess.{k}.0", f"act_postprocess.{k}.1") for k in range(4)]
    x = upsampled(conv(w, "head.0", fused_paths(w, maps, names)[-1], padding=1))
    return conv(w, "head.4", conv(w, "head.2", x, padding=1).clamp(min=0))


def linear_raw(w: Weights, layers: Sequence[Tensor], grid: tuple[int, int], patch: int) -> Tensor:
    """Return a linear head's raw [4, H, W]: channel c, row r, column s of a patch are value (4, P, P)[c, r, s]."""
    values = linear(w, "proj", layers[-1]).view(*grid, 4, patch, patch)
    return values.permute(2, 0, 3, 1, 4).reshape(4, grid[0] * patch, grid[1] * patch)


def dust3r(w: Weights, config: Mapping[str, Any], images: Sequence[Tensor]) -> dict[str, Tensor]:
    """Run a pair of images [3, H, W]; return what the fixtures record, without the batch axis."""
    base, out, now, grids, places = 100.0, dict[str, Tensor](), [], [], []
    for v, image in enumerate(images):
        x, grid = patches(w, "patch_embed.proj", image)
        positions = [(y, c) for y in range(grid[0]) for c in range(grid[1])]
        for i in range(config["enc_depth"]):
            x = vit_block(w, f"enc_blocks.{i}", x, config["enc_num_heads"], positions, base)
        now.append(layer_norm(w, "enc_norm", x, EPS))
        grids.append(grid)
        places.append(positions)
        out |= {f"feat{v + 1}": now[v], f"pos{v + 1}": torch.tensor(positions)}
    lists = [[x] for x in now]
    now = [linear(w, "decoder_embed", x) for x in now]
    for i in range(config["dec_depth"]):
        blocks, heads = (f"dec_blocks.{i}", f"dec_blocks2.{i}"), config["dec_num_heads"]
        now = [
            decoder_block(w, blocks[v], now[v], now[1 - v], heads, places[v], places[1 - v], base) for v in (0, 1)
        ]
        for v in (0, 1):
            lists[v].append(now[v])
    for v, name in enumerate(("pts3d_1", "pts3d_in_other_view_2")):
        lists[v][-1] = layer_norm(w, "dec_norm", lists[v][-1], EPS)
        out |= {f"dec{v + 1}.{i}": x for i, x in enumerate(lists[v]) if i}
        raw = head_raw(w, config, v, lists[v], grids[v])
        length = raw[:3].square().sum(0).sqrt()
        out[f"head{v + 1}_raw"] = raw
        out[name] = (raw[:3] / length.clamp(min=1e-8) * (length.exp() - 1)).permute(1, 2, 0)
        out[f"conf_{v + 1}"] = 1 + raw[3].exp()
    return out


def head_raw(w: Weights, config: Mapping[str, Any], view: int, layers: Sequence[Tensor], grid: Any) -> Tensor:
    """Return the raw output of a view's head."""
    prefix = f"downstream_head{view + 1}."
    own = {k.removeprefix(prefix).removeprefix("dpt."): t for k, t in w.items() if k.startswith(prefix)}
    if config.get("head_type") == "linear":
        return linear_raw(own, layers, grid, w["patch_embed.proj.weight"].shape[-1])
    return dpt_raw(own, layers, grid)


def lseg(w: Weights, config: Mapping[str, Any], image: Tensor) -> dict[str, Tensor]:
    """Run LSeg's image side on [3, H, W]; return what the fixtures record, without the batch axis."""
    x, grid = patches(w, "pretrained.model.patch_embed.proj", image)
    learned, side = w["pretrained.model.pos_embed"][0], round((w["pretrained.model.pos_embed"].shape[1] - 1) ** 0.5)
    square = as_map(learned[1:], (side, side))[None]
    resized = F.interpolate(square, grid, mode="bilinear", align_corners=False)[0].flatten(1).T
    x = torch.cat((w["pretrained.model.cls_token"][0], x)) + torch.cat((learned[:1], resized))
    readouts = []
    for i in range(config["depth"]):
        x = vit_block(w, f"pretrained.model.blocks.{i}", x, config["heads"])
        if i in config["hooks"]:
            joined = torch.cat((x[1:], x[:1].expand(len(x) - 1, -1)), 1)
            key = f"pretrained.act_postprocess{len(readouts) + 1}.0.project.0"
            readouts.append(as_map(gelu(linear(w, key, joined)), grid))
    names = [(f"pretrained.act_postprocess{k}.3", f"pretrained.act_postprocess{k}.4") for k in range(1, 5)]
    paths = fused_paths(w, readouts, names)
    features = conv(w, "scratch.head1", paths[-1])
    return {
        **{f"readout_{k + 1}": readouts[k] for k in range(4)},
        "path_4": paths[0],
        "path_1": paths[3],
        "features_half_ch_stride4": features[::4],
        "tokens_8x8": F.avg_pool2d(features[None], 8)[0].flatten(1).T,
        "features_full_sum_c": upsampled(features).sum(0),
    }

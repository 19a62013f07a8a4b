"""Small checkpoints of Splatt3R and NoPoSplat that know a few views of a known scene; see `fitted_checkpoints`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from fitted_checkpoints import (
    CONFIG,
    SIZE,
    KnownView,
    fit_geometry,
    only_features,
    pass_through_head,
    raw_points,
    recorded,
    regress,
    show_other_view,
    zero,
)

from lsm_core.backends.noposplat import NoposplatBackend, NoposplatOptions
from lsm_core.backends.seeded_checkpoints import fill
from lsm_core.backends.seeded_mast3r import save_splatt3r
from lsm_core.backends.seeded_noposplat import write_network
from lsm_core.nn.intrinsics_embedding import normalised_intrinsics
from lsm_core.nn.mast3r import DescriptorConfig
from lsm_core.nn.noposplat import EncodedImage, Noposplat, NoposplatConfig
from lsm_core.nn.splatt3r import Splatt3r, Splatt3rConfig

GEOMETRY = CONFIG.dust3r
OPACITY_LOGIT, SCALE_RAW = 2.0, 4.0


def write_fitted_splatt3r(path: Path, views: Sequence[KnownView]) -> None:
    """Write a Splatt3R that knows views, each with the next; its Gaussians start as training starts them."""
    network = Splatt3r(
        Splatt3rConfig(
            GEOMETRY.croco,
            GEOMETRY.layer_dims,
            GEOMETRY.feature_dim,
            GEOMETRY.last_dim,
            descriptor=DescriptorConfig(dim=6, confidence_range=(1.0, float("inf"))),
        )
    )
    with torch.no_grad():
        fill(network, 0)
        fit_geometry(network, views)
        network.start_gaussians(torch.Generator().manual_seed(0))
    save_splatt3r(path, network)


def write_fitted_noposplat(path: Path, views: Sequence[KnownView]) -> None:
    """Write a NoPoSplat that knows views, each with the next; its Gaussians are opaque and grey."""
    network = Noposplat(
        NoposplatConfig(GEOMETRY.croco, GEOMETRY.layer_dims, GEOMETRY.feature_dim, GEOMETRY.last_dim)
    )
    with torch.no_grad():
        fill(network, 0)
        fit_noposplat(network, views)
    write_network(path, network)


def fit_noposplat(network: Noposplat, views: Sequence[KnownView]) -> None:
    """Fit the centres; the tokens of the cameras see and say nothing."""
    trunk = network.backbone
    only_features(trunk)  # type: ignore[arg-type]  # the same backbone
    encoded = [encoded_view(network, view) for view in views]
    show_other_view(trunk, [trunk.embedded(view) for view in encoded])  # type: ignore[arg-type]
    pairs = [pair for i in range(1, len(views)) for pair in ((i - 1, i), (i, i - 1))]
    heads = (network.downstream_head1, network.downstream_head2)
    for head, blocks in enumerate((trunk.dec_blocks, trunk.dec_blocks2)):
        output = blocks[0].mlp.fc2
        inputs = recorded(output, lambda: [network.decode([encoded[i], encoded[j]]) for i, j in pairs])
        truths = [raw_points(views[i if head == 0 else j], views[i]) for i, j in pairs]
        regress(output, torch.cat([x[0, :-1] for x in inputs]), torch.cat(truths))
        pass_through_head(heads[head])
    for parameters in (network.gaussian_param_head, network.gaussian_param_head2):
        last = parameters.dpt.last
        zero(last)
        assert last.bias is not None
        last.bias[:4] = torch.tensor([OPACITY_LOGIT, SCALE_RAW, SCALE_RAW, SCALE_RAW])
        last.bias[7] = 1.0  # no turn: quaternions are xyzw


def encoded_view(network: Noposplat, view: KnownView) -> EncodedImage:
    """Encode a view as the backend does."""
    backend = NoposplatBackend(network.eval(), torch.device("cpu"), NoposplatOptions(size=SIZE))
    tensors = backend.encode(view.rgb, view.K).tensors
    return network.encode(tensors["image"].clone(), normalised_intrinsics(tensors["K"], (SIZE, SIZE))[None])

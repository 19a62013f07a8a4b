"""LSeg on its own as a semantic source: language features of the whole image, CLIP's texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lsm_core.backends import lseg_keys
from lsm_core.backends.base import Image, check_image, free_memory
from lsm_core.backends.clip_texts import ClipTexts
from lsm_core.backends.image_crop import prepare, stretch_plan
from lsm_core.backends.lsm_files import file_in, text_tower
from lsm_core.backends.lsm_sizes import lseg_sizes
from lsm_core.backends.semantic_source import SemanticMap, SemanticSource
from lsm_core.geometry import resize_affine
from lsm_core.nn.clip_text import ClipText
from lsm_core.nn.folding import fold_batch_norms
from lsm_core.nn.lseg import LOGIT_SCALE, MULTIPLE, Lseg
from lsm_core.weights import Part, load_parts, renamed
from lsm_core.weights.files import read_checkpoint


@dataclass(frozen=True)
class LsegOptions:
    """How the source works: the long edge of the image it looks at, pixels (384 is what LSeg was trained with)."""

    size: int = 384


class LsegSource(SemanticSource):
    """LSeg's features at half the size of its input, before the last linear layer, which is the decoder.

    That layer is linear and so is all that follows but the norm, so 256 channels say what the 512 would.

    Args:
        network: filled, in eval mode, on `device`.
        tower: CLIP's text tower, on `device`.
        device: where they run.
        options: how it works.
    """

    name: ClassVar[str] = "lseg"

    def __init__(
        self, network: Lseg, tower: ClipText, device: torch.device, options: LsegOptions | None = None
    ) -> None:
        super().__init__(device)
        self.network, self.options = network, options or LsegOptions()
        self._texts = ClipTexts(tower, device)

    @property
    def embedding_dim(self) -> int:
        """Width of CLIP's space."""
        return self.network.config.out_dim

    @property
    def text_logit_scale(self) -> float:
        """LSeg's constant."""
        return LOGIT_SCALE

    @torch.inference_mode()
    def encode(self, image: Image) -> SemanticMap:
        """Compute the features of an image, stretched by a few percent to sides that are multiples of 32."""
        picture = check_image(image)
        height, width = picture.shape[:2]
        placed = prepare(picture, stretch_plan(width, height, self.options.size, MULTIPLE))
        features = self.network.path(placed.tensor.to(self.device))[0].permute(1, 2, 0)
        grid, size = (int(features.shape[0]), int(features.shape[1])), placed.pixels.shape[:2]
        affine = placed.grid_to_image @ resize_affine(grid, (int(size[0]), int(size[1]))).to(placed.grid_to_image)
        return SemanticMap(features.half().contiguous(), affine, (height, width))

    @torch.inference_mode()
    def decode_features(self, features: Tensor) -> Tensor:
        """Map features [..., 256] to CLIP's space [..., 512], not normalised."""
        head = self.network.head1
        return F.linear(features.to(self.device, torch.float32), head.weight[:, :, 0, 0], head.bias)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts with CLIP ViT-B/32: [T, 512] float32, unit norm, cached per string."""
        return self._texts.encode(texts)

    def close(self) -> None:
        """Give back device memory."""
        self._texts.close()
        free_memory(self.network)


def load(device: torch.device, weights: Path | None, options: LsegOptions | None = None) -> LsegSource:
    """Load LSeg's file, named itself or by its folder.

    Raises:
        WeightsError: no file was named, or it is missing, damaged, or of another model.
    """
    path = file_in(weights, "lseg")
    state = read_checkpoint(path).under(lseg_keys.PREFIX)
    with torch.device("meta"):
        network = Lseg(lseg_sizes(state, str(path))).eval()
    tower, text_part = text_tower(state, str(path))
    image_part = Part(network, renamed(state, lseg_keys.IMAGE_PREFIXES), str(path), lseg_keys.IMAGE_RULES)
    load_parts([image_part, text_part])
    fold_batch_norms(network)
    network.requires_grad_(False)
    tower.requires_grad_(False)
    return LsegSource(network.to(device), tower.to(device), device, options)

"""A dictionary that has seen real photographs: the classifier that comes with the encoder, read densely.

The ImageNet weights that training starts from carry a classifier for 1000 names, dozens of which stand in rooms.
Applied to every cell of its last feature map instead of the mean (as MaskCLIP does with CLIP; Zhou et al. 2022), it
says where it sees evidence for each name. It never trains; the language features are taught to agree with it, in
the space of the sentence encoder, so that what ImageNet's photographs taught about chairs reaches the word "chair".
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm_core.data.classes import CLASS_ID
from lsm_core.errors import WeightsError
from lsm_core.nn.tiny.lite0 import CHANNELS, Lite0, normalise
from lsm_core.nn.tiny.semantics import TextHead
from lsm_core.training.lite0_init import fold_batch_norm, load_imagenet

HEAD_CHANNELS = 1280
LAST_STRUCTURE = CLASS_ID["ceiling"]  # void, wall, floor and ceiling come first

# index of the ImageNet-1k class -> what it is called here
INDOOR_NAMES: dict[int, str] = {
    409: "clock", 412: "waste bin", 414: "backpack", 423: "barber chair", 431: "bassinet", 434: "bath towel",
    435: "bathtub", 440: "beer bottle", 453: "bookcase", 463: "bucket", 478: "cardboard box",
    493: "chest of drawers", 495: "china cabinet", 504: "coffee mug", 505: "coffee pot",
    508: "computer keyboard", 516: "cradle", 519: "crate", 520: "baby bed", 526: "desk",
    527: "desktop computer", 530: "digital clock", 532: "dining table", 534: "dishwasher", 539: "doormat",
    545: "electric fan", 548: "entertainment center", 550: "espresso machine", 553: "filing cabinet",
    559: "folding chair", 564: "four-poster bed", 579: "grand piano", 598: "home theater", 606: "clothes iron",
    619: "lampshade", 620: "laptop", 632: "loudspeaker", 648: "medicine cabinet", 651: "microwave oven",
    664: "computer monitor", 673: "computer mouse", 681: "notebook computer", 700: "paper towel", 703: "bench",
    721: "pillow", 725: "pitcher", 728: "plastic bag", 736: "pool table", 738: "flowerpot", 742: "printer",
    748: "purse", 750: "quilt", 753: "radiator", 754: "radio", 760: "refrigerator", 765: "rocking chair",
    773: "salt shaker", 782: "screen", 789: "shoji", 790: "shopping basket", 794: "shower curtain",
    799: "sliding door", 804: "soap dispenser", 811: "space heater", 827: "stove", 831: "sofa",
    846: "table lamp", 849: "teapot", 850: "teddy bear", 851: "television", 854: "theater curtain",
    859: "toaster", 861: "toilet seat", 868: "tray", 876: "tub", 881: "upright piano", 882: "vacuum cleaner",
    883: "vase", 892: "wall clock", 894: "wardrobe", 896: "washbasin", 897: "washing machine",
    898: "water bottle", 904: "window screen", 905: "window blind", 907: "wine bottle", 948: "apple",
    950: "orange", 951: "lemon", 954: "banana", 968: "cup",
}  # fmt: skip


class DenseClassifier(nn.Module):
    """The ImageNet classifier of EfficientNet-Lite0 on every cell at 1/32; frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Lite0()
        self.head = nn.Conv2d(CHANNELS["s32"], HEAD_CHANNELS, 1)
        self.classes = nn.Conv2d(HEAD_CHANNELS, 1000, 1)
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def load(cls, path: Path) -> DenseClassifier:
        """Fill one from the ImageNet checkpoint.

        Raises:
            WeightsError: the file is unreadable or of another network.
        """
        made = cls()
        load_imagenet(made.encoder, path)
        try:
            source: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
            weight, bias = fold_batch_norm(source, "_conv_head", "_bn1")
            made.head.load_state_dict({"weight": weight, "bias": bias})
            fc = {"weight": source["_fc.weight"][:, :, None, None], "bias": source["_fc.bias"]}
            made.classes.load_state_dict(fc)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(f"{path.name} lacks the classifier: {error}.", "Reinstall its package.") from error
        return made

    @torch.no_grad()
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is seen where.

        Args:
            image: [B, 3, H, W] RGB in [0, 1].

        Returns:
            probability [B, K, H/32, W/32] over the indoor names, summing to one, and the share [B, H/32, W/32] of
            the classifier's belief that is on them at all.
        """
        deepest = self.encoder(normalise(image))["s32"]
        logits = self.classes(F.relu6(self.head(deepest))).float().log_softmax(dim=1)
        indoor = logits[:, list(INDOOR_NAMES)]
        return indoor.softmax(dim=1), indoor.logsumexp(dim=1).exp()


class Dictionary:
    """The classifier beside its names in text space.

    Args:
        classifier: the teacher.
        texts: [K, 384] unit embeddings of ``INDOOR_NAMES`` in their order.
    """

    def __init__(self, classifier: DenseClassifier, texts: Tensor) -> None:
        self.classifier, self.texts = classifier, texts

    def loss(self, image: Tensor, labels: Tensor, features: Tensor, head: TextHead) -> Tensor:
        """Return the cross-entropy between the classifier's names and those of the features, per cell at 1/32.

        Cells count by the square of the classifier's belief in indoor names and by the share that things fill in
        them: it has no word for walls and floors, and sees things there that are none.

        Args:
            image: [2B, 3, H, W] as the network gets it.
            labels: [2B, H, W] true classes.
            features: [2B, D, h4, w4] language features.
            head: their way into text space.
        """
        probability, belief = self.classifier(image)
        pooled = F.avg_pool2d(features.float(), 8).permute(0, 2, 3, 1)
        scores = (head.scale() * head.similarity(pooled, self.texts)).log_softmax(dim=-1)
        error = -(probability.permute(0, 2, 3, 1) * scores).sum(-1)
        weight = belief.square() * F.avg_pool2d((labels > LAST_STRUCTURE).float(), 32)
        return (error * weight).sum() / weight.sum().clamp_min(1e-3)

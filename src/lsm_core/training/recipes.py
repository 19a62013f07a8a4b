"""Named settings of training runs: what made the shipped weights, and what is to make the next ones."""

from __future__ import annotations

from dataclasses import replace

from lsm_core.nn.tiny import TinyConfig
from lsm_core.training.config import FULL_GRIDS, MIDDLE_GRIDS, LossWeights, PoseNoise, Stage, TrainConfig

V0 = TrainConfig()

# Goes on from the weights of version 0, so it begins at the middle size; sharper poses, since the backend can
# refine them on the full-size images; words that show what an unknown word is worth are kept out of the vocabulary.
V1 = replace(
    V0,
    steps=9000,
    network=TinyConfig(fine_bins=12),
    stages=(
        Stage(0.0, MIDDLE_GRIDS, 12, 0.2, by_class=0.5, language=2.0, unrelated=0.06),
        Stage(0.5, FULL_GRIDS, 8, 0.12, by_class=0.5, language=2.0, unrelated=0.08),
    ),
    learning_rate=6e-4,
    encoder_learning_rate=1e-4,
    decay_from=0.6,
    weights=LossWeights(pose=0.2, composed=0.2),
    pose_noise=PoseNoise(match_px=1.0),
    held_out_words=("couch", "seat", "carpet", "armchair", "carpet floor"),
)

# Goes on from finished weights with a robot's own recordings: short and gentle, the ImageNet encoder kept, so that
# what the rooms taught is not lost.
BAGS = replace(
    V0,
    steps=400,
    stages=(Stage(0.0, FULL_GRIDS, 6, 0.15),),
    learning_rate=1e-4,
    encoder_learning_rate=0.0,
    warmup_steps=40,
    decay_from=0.4,
    ema_decay=0.99,
)

# For the ablations: v1 without one of its pieces, or with one more.
RECIPES: dict[str, TrainConfig] = {
    "v0": V0,
    "v1": V1,
    "bags": BAGS,
    "v1-no-pose": replace(V1, weights=LossWeights()),
    "v1-dictionary": replace(V1, weights=replace(V1.weights, dictionary=0.2)),
    "v1-no-search": replace(V1, network=TinyConfig()),
}

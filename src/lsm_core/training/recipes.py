"""Named settings of training runs: what made the shipped weights, and what is to make the next ones."""

from __future__ import annotations

from dataclasses import replace

from lsm_core.nn.tiny import TinyConfig
from lsm_core.training.config import (
    FULL_GRIDS,
    MIDDLE_GRIDS,
    AugmentConfig,
    Grid,
    LossWeights,
    PoseNoise,
    Stage,
    TrainConfig,
)

V0 = TrainConfig(minutes=75.0)

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
    steps=200,
    stages=(Stage(0.0, FULL_GRIDS, 6, 0.15),),
    learning_rate=3e-5,
    encoder_learning_rate=0.0,
    warmup_steps=20,
    decay_from=0.4,
    ema_decay=0.99,
)

# A minute on one core, on generated rooms of boxes: shows that training works on this machine, and nothing else.
SMOKE = replace(
    V0,
    steps=30,
    generated_rooms=8,
    stages=(Stage(0.0, (Grid(64, 96, 1.0),), 4, 0.2),),
    warmup_steps=5,
    ema_decay=0.9,
    drop_intrinsics=0.0,
    checkpoint_seconds=2.0,
    validation_pairs=8,
    memory_gb=1.0,
    augment=AugmentConfig(warp=0.0, colour=0.0, grey=0.0, blur=0.0, jpeg=0.0, noise=0.0),
)

# For the ablations: v1 without one of its pieces, or with one more.
RECIPES: dict[str, TrainConfig] = {
    "smoke": SMOKE,
    "v0": V0,
    "v1": V1,
    "bags": BAGS,
    "v1-no-pose": replace(V1, weights=LossWeights()),
    "v1-dictionary": replace(V1, weights=replace(V1.weights, dictionary=0.2)),
    "v1-no-search": replace(V1, network=TinyConfig()),
}

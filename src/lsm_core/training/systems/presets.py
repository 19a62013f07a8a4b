"""Named configurations of the four systems.

"released" follows the specifications of the released training programs (docs/training.md compares them); batches
are per process, and the numbers of steps suppose the number of GPUs named there. "smoke" is a network of toy size
on small pictures, for tests and a first run: seconds on one core.
"""

from __future__ import annotations

from dataclasses import replace

from lsm_core.backends import seeded_checkpoints, seeded_mast3r, seeded_noposplat, seeded_pixelsplat
from lsm_core.data.selection import Selection
from lsm_core.training.photometric_terms import PhotometricWeights
from lsm_core.training.run_config import OptimiserConfig, RunConfig
from lsm_core.training.schedule import ScheduleConfig
from lsm_core.training.systems.lsm import LsmTraining
from lsm_core.training.systems.noposplat import NoposplatTraining
from lsm_core.training.systems.pixelsplat import PixelsplatTraining
from lsm_core.training.systems.splatt3r import Splatt3rTraining
from lsm_core.training.view_batch import Fitting

SMOKE_SIDE = 64
LSM_SMOKE_SIDE = 32  # its sparse convolutions on the CPU are slow
SMOKE_RUN = RunConfig(
    steps=60,
    batch=2,
    ema_decay=0.9,
    checkpoint_steps=10,
    optimiser=OptimiserConfig(learning_rate=2e-3, betas=(0.9, 0.95), clip_norm=1.0),
    schedule=ScheduleConfig("cosine", warmup_steps=3, warmup_from=0.2, cosine_steps=57, final_rate=1e-4),
)
SMOKE_SELECTION = Selection(targets=1, gap=(3, 6))

# 4 GPUs, 100 epochs of 10,000 pairs: 312.5 steps of 32 pairs each, every pair in both orders
LSM_RELEASED = LsmTraining(
    RunConfig(
        steps=31250,
        batch=4,
        accumulate=2,
        checkpoint_steps=1000,
        optimiser=OptimiserConfig("adamw", 1e-4, (0.9, 0.95), 0.05, decay_vectors=False),
        schedule=ScheduleConfig("cosine", warmup_steps=3125, cosine_steps=28125, final_rate=1e-6),
    ),
    Selection(targets=1, gap=(5, 30), multiple=5, place="middle"),
    Fitting(256, 256, "principal point", aug_crop=16),
    photometric=PhotometricWeights(mse=0.0, l1=1.0),
)
SPLATT3R_RELEASED = Splatt3rTraining(
    RunConfig(
        steps=1200,
        batch=12,
        checkpoint_steps=60,
        optimiser=OptimiserConfig("adam", 1e-5, clip_norm=0.5),
        schedule=ScheduleConfig("steps", milestones=(600,)),
    ),
    Selection(targets=3, gap=(1, 30), place="around", min_overlap=0.3, swap=True),
    Fitting(512, 512, "principal point"),
    released_average=True,
)
NOPOSPLAT_RELEASED = NoposplatTraining(
    RunConfig(
        steps=18751,
        batch=16,
        seed=111123,
        checkpoint_steps=1000,
        optimiser=OptimiserConfig("adamw", 2e-4, (0.9, 0.95), 0.05, clip_norm=0.5),
        schedule=ScheduleConfig("cosine", 125, 1 / 125, cosine_steps=18751, final_rate=2e-5),
    ),
    Selection(targets=4, gap=(25, 25), final_gap=(45, 90), gap_steps=9375),
    Fitting(256, 256, "cover", mirror=0.5),
    photometric=PhotometricWeights(mse=1.0, lpips=0.05),
)
PIXELSPLAT_RELEASED = PixelsplatTraining(
    RunConfig(
        steps=300001,
        batch=7,
        seed=111123,
        checkpoint_steps=5000,
        optimiser=OptimiserConfig("adam", 1.5e-4, clip_norm=0.5),
        schedule=ScheduleConfig("constant", warmup_steps=2000, warmup_from=1 / 2000),
    ),
    Selection(targets=4, gap=(45, 45)),
    Fitting(256, 256, "cover", mirror=0.5),
    photometric=PhotometricWeights(mse=1.0, lpips=0.05, lpips_from_step=150_000),
)

_SQUARE = Fitting(SMOKE_SIDE, SMOKE_SIDE, "cover")
LSM_PRESETS = {
    "released": LSM_RELEASED,
    "smoke": replace(
        LSM_RELEASED,
        run=replace(SMOKE_RUN, batch=1),
        selection=replace(SMOKE_SELECTION, place="middle"),
        fitting=Fitting(LSM_SMOKE_SIDE, LSM_SMOKE_SIDE, "principal point"),
        network=seeded_checkpoints.SMALL,
    ),
}
SPLATT3R_PRESETS = {
    "released": SPLATT3R_RELEASED,
    "smoke": replace(
        SPLATT3R_RELEASED,
        run=SMOKE_RUN,
        selection=replace(SMOKE_SELECTION, targets=3, place="around"),
        fitting=replace(_SQUARE, crop="principal point"),
        network=replace(seeded_mast3r.SMALL_SPLATT3R, descriptor=None),
        lpips_weight=0.0,
        pointmap_weight=1.0,  # without a parent the trunk has to learn points first
    ),
}
NOPOSPLAT_PRESETS = {
    "released": NOPOSPLAT_RELEASED,
    "smoke": replace(
        NOPOSPLAT_RELEASED,
        run=SMOKE_RUN,
        selection=SMOKE_SELECTION,
        fitting=_SQUARE,
        network=seeded_noposplat.SMALL,
        photometric=PhotometricWeights(mse=1.0),
    ),
}
PIXELSPLAT_PRESETS = {
    "released": PIXELSPLAT_RELEASED,
    "smoke": replace(
        PIXELSPLAT_RELEASED,
        run=SMOKE_RUN,
        selection=SMOKE_SELECTION,
        fitting=_SQUARE,
        network=seeded_pixelsplat.SMALL,
        photometric=PhotometricWeights(mse=1.0),
    ),
}

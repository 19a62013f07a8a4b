"""Training of lsm-tiny: shards to weights. Equations live in lsm_core.nn, data in lsm_core.data."""

from lsm_core.training.config import TrainConfig
from lsm_core.training.trainer import Trainer

__all__ = ["TrainConfig", "Trainer"]

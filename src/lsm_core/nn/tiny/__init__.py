"""lsm-tiny's network: equations only."""

from lsm_core.nn.tiny.config import TinyConfig
from lsm_core.nn.tiny.network import Encoded, Matched, Refined, TinyNet, stack_views

__all__ = ["Encoded", "Matched", "Refined", "TinyConfig", "TinyNet", "stack_views"]

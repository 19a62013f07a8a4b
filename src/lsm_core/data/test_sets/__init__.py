"""Published test sets as sequences of samples, one protocol per file; a sample is read when it is asked for."""

from lsm_core.data.test_sets.indexed import indexed_samples, overlap_tag
from lsm_core.data.test_sets.lsm_scannet import lsm_scannet_samples
from lsm_core.data.test_sets.samples import Choice, ChosenSamples
from lsm_core.data.test_sets.scannet1500 import scannet1500_samples
from lsm_core.data.test_sets.splatt3r_scannetpp import splatt3r_samples

__all__ = [
    "Choice",
    "ChosenSamples",
    "indexed_samples",
    "lsm_scannet_samples",
    "overlap_tag",
    "scannet1500_samples",
    "splatt3r_samples",
]

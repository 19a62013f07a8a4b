"""Procedural training rooms, their renderer, the shards on disk, and the packaged sample sequence.

Importing this package is cheap: nothing here loads OpenGL.
"""

from lsm_core.data.classes import CLASS_ID, CLASSES, SYNONYMS
from lsm_core.data.sample import sample_path

__all__ = ["CLASSES", "CLASS_ID", "SYNONYMS", "sample_path"]

"""What a camera's stream needs of its neighbours: a gate that judges each image, and a place for candidates."""

from __future__ import annotations

from typing import Protocol

from lsm_perception.accounting import Ticket
from lsm_perception.calibration import Calibration
from lsm_perception.gate import GateResult
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Candidate
from lsm_perception.source_image import SourceImage


class ImageGate(Protocol):
    """Judges the images of one camera in its callback."""

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""

    def consider(self, image: SourceImage, calibration: Calibration) -> GateResult:
        """Judge one image.

        Raises:
            TimeJumpedBack: the node must be reset first; then ask again.
        """

    def changed_format(self, image: SourceImage) -> bool:
        """Whether frame_id or size differ from the images before; remembers the new ones."""


class CandidateQueue(Protocol):
    """Takes the images that passed the gate, with their accounts."""

    def submit(self, camera: str, payload: Candidate, ticket: Ticket, yields: bool = False) -> None:
        """Put an image in line and settle its account later; `yields`: it gives way to one that waits already."""

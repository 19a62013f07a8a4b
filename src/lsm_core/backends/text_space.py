"""Which text space stored language features belong to, and whether a model at hand can read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.errors import UnsupportedError

PROBES = 4
TOLERANCE = 0.02  # of the largest number; half precision on another device stays below


@dataclass(frozen=True, eq=False)
class TextSpace:
    """What turned features into the space of texts.

    Attributes:
        backend: its name, "NAME" or "NAME+WORDS" with a semantic source.
        width: D of the features.
        decoded: [PROBES, E] float32, what it makes of fixed features: other weights give other numbers.
    """

    backend: str
    width: int
    decoded: NDArray[np.float32]

    @staticmethod
    def of(backend: Backend, width: int) -> TextSpace:
        """Describe the space of a backend's features of a width.

        Raises:
            UnsupportedError: it has no language features, or none of that width.
        """
        return TextSpace(backend.name, width, _decode(backend, width))

    def check(self, backend: Backend) -> None:
        """Check that a backend reads these features.

        Raises:
            UnsupportedError: it does not; the message names the one that does.
        """
        fix = f"Use the backend {self.backend}, with the weights it had."
        if not backend.has_language:
            raise UnsupportedError(f"Backend '{backend.name}' has no words; these are of '{self.backend}'.", fix)
        try:
            found = _decode(backend, self.width)
        except UnsupportedError as error:
            raise UnsupportedError(
                f"'{backend.name}' does not read the features of '{self.backend}', {self.width} wide.", fix
            ) from error
        largest = float(np.abs(self.decoded).max()) if self.decoded.size else 0.0
        if found.shape != self.decoded.shape or not np.allclose(
            found, self.decoded, rtol=0, atol=TOLERANCE * largest + 1e-6
        ):
            raise UnsupportedError(
                f"'{backend.name}' reads features in another way than the '{self.backend}' that made these.", fix
            )


def _decode(backend: Backend, width: int) -> NDArray[np.float32]:
    """Return what a backend makes of the probes, [PROBES, E]."""
    probes = torch.randn(PROBES, width, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            decoded: NDArray[np.float32] = backend.decode_features(probes).float().cpu().numpy()
    except RuntimeError as error:
        raise UnsupportedError(f"'{backend.name}' does not read features of {width} channels.") from error
    return decoded

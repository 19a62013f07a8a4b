"""One recorded oracle on disk: NAME.json beside NAME.io.safetensors and, where it has one, a weight file.

Two dialects exist: one states `kind` and names tensors freely; the other states `what` and prefixes tensors with
`in.`, `mid.` and `out.`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lsm_core.errors import FileFormatError


@dataclass(frozen=True)
class Fixture:
    """What a fixture's JSON says, with its files named but not read.

    Attributes:
        name: file name without .json.
        kind: the fixture's `kind`, or None in the dialect without one.
        spec: the JSON document.
        folder: where its files are.
        device: where its tensors are put.
    """

    name: str
    kind: str | None
    spec: Mapping[str, Any]
    folder: Path
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def tensors(self) -> dict[str, Tensor]:
        """Read the recorded tensors: inputs and answers.

        Raises:
            FileFormatError: the file is absent or unreadable.
        """
        return self._read("io", f"{self.name}.io.safetensors")

    def weights(self) -> dict[str, Tensor]:
        """Read the recorded weights, under the reference's keys.

        Raises:
            FileFormatError: the file is absent or unreadable.
        """
        return self._read("weights", f"{self.name}.weights.safetensors")

    def sibling(self, name: str) -> Fixture:
        """Return another fixture of the same folder, whose files this one shares.

        Raises:
            FileFormatError: it is not there.
        """
        return replace(read_fixture(self.folder / f"{name}.json"), device=self.device)

    def partner(self, ending: str) -> Fixture:
        """Return the fixture that holds some part of this one: this one's name and an ending.

        Where there is none of that name, it is the only one of the folder with that ending.

        Raises:
            FileFormatError: there is none, or more than one.
        """
        if (self.folder / f"{self.name}{ending}.json").is_file():
            return self.sibling(f"{self.name}{ending}")
        found = sorted(path.stem for path in self.folder.glob(f"*{ending}.json"))
        if len(found) != 1:
            some = f"; there are {', '.join(found)}" if found else ""
            raise FileFormatError(f"Fixture '{self.name}' needs {self.name}{ending}.json{some}.", "Restore it.")
        return self.sibling(found[0])

    def _read(self, role: str, usual_name: str) -> dict[str, Tensor]:
        files = self.spec.get("files")
        stated = files.get(role) if isinstance(files, Mapping) else None
        path = self.folder / (stated or usual_name)
        try:
            return load_file(path, device=str(self.device))
        except (OSError, SafetensorError) as error:
            raise FileFormatError(
                f"The {role} file of fixture '{self.name}' cannot be read: {error}.", f"Restore {path.name}."
            ) from error


def read_fixture(path: Path) -> Fixture:
    """Read NAME.json.

    Raises:
        FileFormatError: it is not a JSON object.
    """
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FileFormatError(f"{path.name} is not readable as JSON: {error}.") from error
    if not isinstance(spec, dict):
        raise FileFormatError(f"{path.name} is not a fixture: its top level is not an object.")
    kind = spec.get("kind")
    return Fixture(path.stem, kind if isinstance(kind, str) else None, spec, path.parent)


def find_fixtures(folder: Path) -> list[Path]:
    """Return the NAME.json files of a folder, sorted.

    Raises:
        FileFormatError: the folder does not exist or holds none.
    """
    if not folder.is_dir():
        raise FileFormatError(f"There is no folder {folder}.", "Name the folder that holds NAME.json fixtures.")
    found = sorted(folder.glob("*.json"))
    if not found:
        raise FileFormatError(f"{folder} holds no NAME.json fixture.", "Name a folder of fixtures.")
    return found

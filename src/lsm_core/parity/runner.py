"""Run fixtures against this implementation and say how far off each is."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lsm_core.errors import InputError, LsmError, UnsupportedError
from lsm_core.nn.precision import strict_float32
from lsm_core.parity.fixture import Fixture, find_fixtures, read_fixture
from lsm_core.parity.registry import Family, family_of

Status = Literal["passed", "failed", "unsupported"]

CPU = torch.device("cpu")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FixtureReport:
    """Outcome of one fixture.

    Attributes:
        name: of the fixture.
        status: passed, failed or unsupported.
        worst_error: largest error of a tensor over what its tolerance allows (1 is the border); NaN where nothing
            could be compared.
        worst_tensor: name of that tensor.
        tensors: number of tensors compared.
        message: why it failed or is unsupported, empty otherwise.
    """

    name: str
    status: Status
    worst_error: float = math.nan
    worst_tensor: str = ""
    tensors: int = 0
    message: str = ""


def run_fixture(path: Path, device: torch.device = CPU) -> FixtureReport:
    """Run one NAME.json; every problem ends in the report, not in an exception.

    Args:
        path: of the JSON file.
        device: where families that can be are answered, in float32 without TF32; the others are on the CPU.
    """
    name = path.stem
    try:
        fixture = read_fixture(path)
        family = family_of(fixture)
        if not family.on_device or device.type == "cpu":
            return _compare(fixture, family)
        with torch.device(device), strict_float32():
            return _compare(replace(fixture, device=device), family)
    except UnsupportedError as error:
        return FixtureReport(name, "unsupported", message=error.message)
    except LsmError as error:
        return FixtureReport(name, "failed", message=str(error))
    except Exception as error:  # a fixture that breaks our code is a failed fixture; the others still run
        logger.debug("fixture %s", name, exc_info=True)
        return FixtureReport(name, "failed", message=f"{type(error).__name__}: {error}")


def run_folder(folder: Path, only: Sequence[str] = (), device: torch.device = CPU) -> Iterator[FixtureReport]:
    """Run the fixtures of a folder in the order of their names.

    Args:
        folder: holds NAME.json files.
        only: names to run; all by default.
        device: see `run_fixture`.

    Raises:
        FileFormatError: the folder is absent or holds no fixture.
        InputError: a name in `only` is not there.
    """
    paths = find_fixtures(folder)
    missing = sorted(set(only) - {path.stem for path in paths})
    if missing:
        raise InputError(f"There is no fixture named {', '.join(missing)} in {folder}.", "Check --only.")
    return (run_fixture(path, device) for path in paths if not only or path.stem in only)


def _compare(fixture: Fixture, family: Family) -> FixtureReport:
    """Let the family answer and compare every answer tensor."""
    recorded = fixture.tensors()
    answers = {name: tensor for name, tensor in recorded.items() if family.is_answer(name)}
    inputs = {name: tensor for name, tensor in recorded.items() if name not in answers}
    answers |= family.stated(fixture.spec)
    ours = family.answer(fixture, inputs)
    required = {name for name in answers if not family.optional(name)}
    missing = sorted(required - set(ours))
    compared = [name for name in answers if name in ours]  # what was not recorded cannot be compared
    if missing or not compared:
        detail = f"not computed: {', '.join(missing)}" if missing else "the fixture has no answers"
        return FixtureReport(fixture.name, "failed", message=detail)
    seen, expected = family.prepared(fixture.spec, inputs, ours, answers)
    errors = {name: _error(fixture, family, name, seen[name], expected) for name in compared}
    worst = max(errors, key=errors.__getitem__)
    status: Status = "passed" if errors[worst] <= 1 else "failed"
    message = "" if status == "passed" else f"{sum(e > 1 for e in errors.values())} tensors out of tolerance"
    return FixtureReport(fixture.name, status, errors[worst], worst, len(errors), message)


def _error(fixture: Fixture, family: Family, name: str, ours: Tensor, answers: Mapping[str, Tensor]) -> float:
    """Compare one tensor, on the elements that count."""
    answer, counted = answers[name], family.counted(fixture.spec, name, answers)
    if counted is not None and ours.shape == answer.shape:
        ours, answer = ours[counted], answer[counted]
    return family.tolerance(fixture.spec, name).error(ours, answer)

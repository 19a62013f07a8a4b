"""What each piece of lsm-tiny is worth: the same weights with a piece left out, on the same pairs.

    python tools/tiny_ablation.py [--rooms FOLDER] [--shared DIR] [--limit 94] [--weights FILE] [--md FILE]

Nothing is trained again: a network that had been trained without the piece might do better than one that loses it
afterwards. HoloLens pairs and, with `--rooms`, rendered ones; docs/evaluation.md says how they are measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.backends.tiny import TinyBackend, TinyOptions
from lsm_core.backends.tiny_full_resolution import FullResolutionOptions
from lsm_core.backends.tiny_weights import PACKAGED, load_network
from lsm_core.cli.console import out, progress_bar
from lsm_core.evaluation.geometry_tables import (
    above,
    direction_median,
    mean_of,
    median_of,
    rotation_good_share,
    rotation_median,
)
from lsm_core.evaluation.goals import GOOD_OVERLAP, PARALLAX_BASELINE_M, PARALLAX_OVERLAP
from lsm_core.evaluation.hololens import read_recording
from lsm_core.evaluation.pairs import EvalPair, evenly_spaced
from lsm_core.evaluation.pose_metrics import pose_auc
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.records import PairRecord, run_backend
from lsm_core.evaluation.rooms import load_room_pairs
from lsm_core.evaluation.sequences import choose_pairs, load_pairs
from lsm_core.evaluation.shared_data import find_shared
from lsm_core.evaluation.tables import Column, Table, update_markdown

FULL = FullResolutionOptions()
PLAIN = TinyOptions(full_resolution=None)
COMMAND = "tools/tiny_ablation.py"


class WithoutPose(TinyBackend):
    """The refinement is not told the pose: depth comes from the image and the other view's features alone."""

    def _pose_inputs(self, pose: object) -> tuple[Tensor, Tensor]:
        return super()._pose_inputs(None)


@dataclass(frozen=True)
class Variant:
    """One row: what is left out."""

    name: str
    options: TinyOptions = field(default_factory=TinyOptions)
    known_intrinsics: bool = True
    searches: bool = True  # the finer search at 1/4
    told_pose: bool = True  # the search along epipolar lines

    def backend(self, weights: Path) -> TinyBackend:
        """Load the network and take the piece out."""
        device = torch.device("cpu")
        network, card = load_network(weights, device)
        if not self.searches:
            network.fine_search = None
        kind = TinyBackend if self.told_pose else WithoutPose
        return kind(network, device, card, self.options)


VARIANTS = (
    Variant("whole"),
    Variant("intrinsics not given", known_intrinsics=False),
    Variant("no second search for weak poses", TinyOptions(full_resolution=replace(FULL, pool=None))),
    Variant("no corners at full size", TinyOptions(full_resolution=replace(FULL, passes=()))),
    Variant("no depth from parallax", TinyOptions(full_resolution=replace(FULL, parallax=None))),
    Variant("nothing at full size", PLAIN),
    Variant("and no finer search at 1/4", PLAIN, searches=False),
    Variant("nor a search along epipolar lines", PLAIN, searches=False, told_pose=False),
)


def figures(records: Sequence[PairRecord]) -> list[float]:
    """Return the cells of one row."""
    good = above(records, GOOD_OVERLAP)
    seen = [r for r in records if r.overlap > PARALLAX_OVERLAP and r.baseline_m >= PARALLAX_BASELINE_M]
    depth = [r.depth[0] for r in seen if r.depth[0] is not None]
    return [
        rotation_median(good),
        rotation_good_share(good),
        direction_median(good),
        pose_auc([r.pose.worst_deg for r in good], (20.0,))[0],
        mean_of(depth, lambda e: e.absrel),
        mean_of(depth, lambda e: e.delta),
        median_of([r.pointmap1 for r in seen]),
        median_of([r.cpu_seconds for r in records]),
    ]


def ablate(title: str, pairs: Sequence[EvalPair], weights: Path, step: Callable[[], None]) -> Table:
    """Measure every variant on the same pairs."""
    names = ("left out", "rot °", "<10°", "dir °", "AUC@20", "absrel", "δ<1.25", "view-1 points", "CPU s")
    specs = ("", ".2f", ".3f", ".1f", ".3f", ".3f", ".3f", ".3f", ".2f")
    rows: list[list[str | float | int | None]] = []
    for variant in VARIANTS:
        backend: Backend = variant.backend(weights)
        records = []
        for _, _, record in run_backend(backend, pairs, variant.known_intrinsics):
            records.append(record)
            step()
        rows.append([variant.name, *figures(records)])
    good = len([p for p in pairs if p.overlap > GOOD_OVERLAP])
    note = (
        f"{len(pairs)} pairs; poses: the {good} with an overlap above {GOOD_OVERLAP}; depth, points: those above "
        f"{PARALLAX_OVERLAP} with a baseline of {PARALLAX_BASELINE_M} m. {provenance(torch.device('cpu')).line()}"
    )
    return Table(title, [Column(n, s) for n, s in zip(names, specs, strict=True)], rows, note)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=Path, help="folder with shard_*.npz of rooms not trained on")
    parser.add_argument("--shared", type=Path, help="folder with data/; default LSM_SHARED or ../shared")
    parser.add_argument("--limit", type=int, default=94, help="pairs of each kind, evenly spread")
    parser.add_argument("--weights", type=Path, default=PACKAGED)
    parser.add_argument("--md", type=Path, help="Markdown file to write the tables into")
    arguments = parser.parse_args()
    recording = read_recording(find_shared(arguments.shared))
    choices = evenly_spaced(choose_pairs(recording), arguments.limit)
    sets: dict[str, Sequence[EvalPair]] = {"HoloLens kitchen": load_pairs(recording, choices)}
    if arguments.rooms is not None:
        sets["Rendered rooms, held-out furniture"] = load_room_pairs(arguments.rooms, arguments.limit)
    tables = []
    with progress_bar() as bar:
        task = bar.add_task("ablation", total=len(VARIANTS) * sum(map(len, sets.values())))
        for title, chosen in sets.items():
            tables.append(ablate(title, chosen, arguments.weights, lambda: bar.advance(task)))
    for table in tables:
        out.print(table.rich())
    if arguments.md is not None:
        update_markdown(arguments.md, COMMAND, "\n\n".join(table.markdown() for table in tables))


if __name__ == "__main__":
    main()

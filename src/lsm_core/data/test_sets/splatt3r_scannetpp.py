"""Splatt3R's test sets on ScanNet++: `test_set_ALPHA_BETA.json` of its release."""

from __future__ import annotations

from pathlib import Path

from lsm_core.data.formats.reading import read_json
from lsm_core.data.formats.scannetpp_splatt3r import ScanNetppSplatt3r
from lsm_core.data.test_sets.samples import Choice, ChosenSamples
from lsm_core.errors import FileFormatError

EVERY = 10


def splatt3r_samples(root: Path, listed: Path, every: int = EVERY) -> ChosenSamples:
    """Return the samples of one list: two context views, one target (spec_splatt3r section 7).

    Args:
        root: folder with raw/ and processed/.
        listed: the JSON, a list of [scene, context 1, context 2, target]; frames count the good training pictures.
        every: take every n-th sample, 10 as in the paper's tables.

    Raises:
        FileFormatError: the list or the folder has another form.
    """
    if not ScanNetppSplatt3r.recognises(root):
        raise FileFormatError(f"'{root}' is not laid out for Splatt3R.", f"Its layout: {ScanNetppSplatt3r.layout}.")
    entries = read_json(listed)
    if not isinstance(entries, list):
        raise FileFormatError(f"'{listed}' is no list of samples.", "Pass a test_set_ALPHA_BETA.json.")
    dataset = ScanNetppSplatt3r(root)
    known = set(dataset.scenes)
    choices, missing = [], []
    for number, entry in enumerate(entries):
        if number % every:
            continue
        try:
            scene, *frames = entry
            first, second, target = (int(frame) for frame in frames)
        except (TypeError, ValueError) as error:
            raise FileFormatError(
                f"Sample {number} of '{listed}' is {str(entry)[:60]}.", "It must be [scene, first, second, target]."
            ) from error
        if scene in known:
            choices.append(Choice(str(scene), (first, second), (target,)))
        else:
            missing.append(str(scene))
    return ChosenSamples(dataset, choices, sorted(set(missing)))

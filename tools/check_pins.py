"""Ask the package indexes about every pinned version: is it there, was it withdrawn, is a hole known in it?

`python tools/check_pins.py` reads requirements/*.txt, the exact pins of pyproject.toml and the npm lock files.
Exit code 1 when a version is absent, yanked, deprecated, of another hash than locked, or has a known vulnerability;
2 when an index cannot be reached. What an index does not tell is said in the last line, never taken for good news.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
PYPI, NPM = "https://pypi.org/pypi", "https://registry.npmjs.org"
TIMEOUT_S = 60.0
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([A-Za-z0-9.!+_-]+)")
Get = Callable[[str], Any]


class IndexUnreachableError(Exception):
    """The index gives no answer."""


@dataclass(frozen=True)
class Pin:
    """One exact version.

    Attributes:
        kind: pypi or npm.
        name, version: of the package.
        where: file that names it.
        integrity: hash in an npm lock file, "" otherwise.
    """

    kind: str
    name: str
    version: str
    where: str
    integrity: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the index says of a pin: complaints (none is good), and whether it was asked about vulnerabilities."""

    pin: Pin
    complaints: tuple[str, ...]
    audited: bool


def python_pins(root: Path = ROOT) -> Iterator[Pin]:
    """Yield the pins of requirements/*.txt and of pyproject.toml; ranges are no pins."""
    for file in sorted((root / "requirements").glob("*.txt")):
        for line in file.read_text(encoding="utf-8").splitlines():
            text = line.partition("#")[0].strip()
            found = PIN.fullmatch(text)
            if found:
                yield Pin("pypi", found[1], found[2], str(file.relative_to(root)))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in [*project["dependencies"], *(t for ts in project["optional-dependencies"].values() for t in ts)]:
        found = PIN.fullmatch(text.partition(";")[0].strip())
        if found:
            yield Pin("pypi", found[1], found[2], "pyproject.toml")


def npm_pins(root: Path = ROOT) -> Iterator[Pin]:
    """Yield what the npm lock files hold."""
    for file in sorted((root / "tools").glob("*/package-lock.json")):
        for path, entry in json.loads(file.read_text(encoding="utf-8"))["packages"].items():
            if path:
                name = path.rpartition("node_modules/")[2]
                yield Pin("npm", name, entry["version"], str(file.relative_to(root)), entry.get("integrity", ""))


def get_json(url: str) -> Any:
    """Return what an index answers, None for "no such thing".

    Raises:
        IndexUnreachableError: no answer.
    """
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise IndexUnreachableError(f"{url}: {error}") from error
    except (OSError, ValueError) as error:
        raise IndexUnreachableError(f"{url}: {error}") from error


def judge(pin: Pin, get: Get = get_json) -> Verdict:
    """Ask the index about one pin.

    Raises:
        IndexUnreachableError: no answer.
    """
    return _judge_python(pin, get) if pin.kind == "pypi" else _judge_npm(pin, get)


def _judge_python(pin: Pin, get: Get) -> Verdict:
    project = get(f"{PYPI}/{quote(pin.name)}/json")
    files = (project or {}).get("releases", {}).get(pin.version, [])
    if not files:
        return Verdict(pin, ("is not on the index",), False)
    reasons = {str(file.get("yanked_reason") or "no reason given") for file in files if file.get("yanked")}
    complaints = [f"was yanked: {reason}" for reason in sorted(reasons)]
    release = get(f"{PYPI}/{quote(pin.name)}/{pin.version}/json")
    known = None if release is None else release.get("vulnerabilities")
    for hole in known or []:
        if not hole.get("withdrawn"):
            complaints.append(
                f"has {hole.get('id')}, fixed in {', '.join(hole.get('fixed_in', [])) or 'no version'}"
            )
    return Verdict(pin, tuple(complaints), known is not None)


def _judge_npm(pin: Pin, get: Get) -> Verdict:
    document = get(f"{NPM}/{quote(pin.name, safe='@')}")
    version = (document or {}).get("versions", {}).get(pin.version)
    if version is None:
        return Verdict(pin, ("is not on the registry",), False)
    complaints = []
    if version.get("deprecated"):
        complaints.append(f"is deprecated: {version['deprecated']}")
    published = version.get("dist", {}).get("integrity", "")
    if pin.integrity and published and pin.integrity != published:
        complaints.append("has another hash than the lock file")
    return Verdict(pin, tuple(complaints), False)


def main() -> int:
    """Judge every pin and print what is wrong, or how many are right."""
    pins = sorted({*python_pins(), *npm_pins()}, key=lambda pin: (pin.kind, pin.name, pin.where))
    try:
        with ThreadPoolExecutor(4) as pool:
            verdicts = list(pool.map(judge, pins))
    except IndexUnreachableError as error:
        print(f"check_pins: an index cannot be reached: {error}", file=sys.stderr)
        return 2
    bad = [verdict for verdict in verdicts if verdict.complaints]
    for verdict in bad:
        print(f"{verdict.pin.where}: {verdict.pin.name} {verdict.pin.version} {'; '.join(verdict.complaints)}")
    audited = sum(verdict.audited for verdict in verdicts)
    print(f"{len(verdicts)} pinned versions, {len(bad)} with complaints.")
    print(f"Known vulnerabilities: the index answered for {audited} of them; for the others nothing is known here.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

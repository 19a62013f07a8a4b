"""What a check says: a finding, and the catalogue entry of each fault with its fix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked at.
        level: ok, note (something optional is missing, or worth knowing) or problem (a main function fails).
        found: what is there.
        fix: what to do, empty where nothing is to be done.
        code: of the fault in the catalogue, "" for none.
        see: page and anchor that tell more, "" for none.
    """

    name: str
    level: Level
    found: str
    fix: str = ""
    code: str = ""
    see: str = ""


@dataclass(frozen=True)
class Fault:
    """One thing that can be wrong; docs/doctor.md lists all of them.

    Attributes:
        code: short and stable, `<subject>.<what>`.
        level: note or problem; a check may say the other where the circumstances make it so.
        cause: what it means, one sentence.
        fix: what to do; words in braces are filled in by the check.
        see: page under docs/ and anchor, "" for none.
    """

    code: str
    level: Level
    cause: str
    fix: str
    see: str = ""

    def seen(self, name: str, found: str, level: Level | None = None, **words: object) -> Finding:
        """Return the finding that says so.

        Args:
            name: what was looked at.
            found: what is there.
            level: instead of the usual one.
            words: for the braces of the fix.
        """
        see = f"docs/{self.see}" if self.see else ""
        return Finding(name, level or self.level, found, self.fix.format(**words), self.code, see)

    def table_row(self) -> str:
        """Return the row of the catalogue in Markdown; braces become words in capitals."""
        fix = re.sub(r"\{(\w+)\}", lambda match: match[1].upper().replace("_", " "), self.fix)
        more = f" ([more]({self.see}))" if self.see else ""
        cells = (f"`{self.code}`", self.level, self.cause, fix + more)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def ok(name: str, found: str) -> Finding:
    """Return that all is well with something."""
    return Finding(name, "ok", found)

"""How a report was made, as a table: every switch with its value."""

from __future__ import annotations

from lsm_core.evaluation.switches import Switches
from lsm_core.evaluation.tables import Column, Table


def switch_table(switches: Switches) -> Table:
    """Return one row per switch."""
    rows = [[name, str(value)] for name, value in switches.plain().items()]
    return Table("Switches", [Column("switch"), Column("value")], [list(row) for row in rows])

"""Entry point: `python -m lsm_perception.bench`, which `lsm bench node` runs."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions
from rich.console import Console

from lsm_core.cli.console import err, finite, out
from lsm_core.errors import LsmError
from lsm_core.evaluation.tables import update_markdown
from lsm_core.io.atomic import write_text
from lsm_perception.bench.options import BenchOptions, parse_arguments
from lsm_perception.bench.report import goal_table, note_of, rate_table, report, stage_table
from lsm_perception.bench.session import run_case
from lsm_perception.dds_profile import use_profile
from lsm_perception.demo.processes import child_environment

INTERRUPTED = 130
WIDTH = 150  # of tables that go into a file or a pipe


def main() -> int:
    """Measure; 0 done, 1 it failed (one line says why), 2 wrong usage, 130 interrupted."""
    options = parse_arguments(sys.argv[1:])
    try:
        with tempfile.TemporaryDirectory(prefix="lsm-bench-") as folder:
            logs = options.log_folder or Path(folder)
            logs.mkdir(parents=True, exist_ok=True)
            measure(options, logs)
    except LsmError as error:
        print(f"lsm bench node: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def measure(options: BenchOptions, logs: Path) -> None:
    """Run all cases, print the tables and write the JSON."""
    use_profile()
    environment = child_environment(logs)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    cases = []
    try:
        with err.status("Starting ...") as status:
            for case in options.cases():
                status.update(f"{case.name}: starting the node")
                cases.append(run_case(case, options, logs, environment, status.update))
                if options.json_file is not None:  # what is done is kept, whatever comes
                    write_text(options.json_file, json.dumps(finite(report(cases, options)), indent=2) + "\n")
    finally:
        rclpy.try_shutdown()
    console = out if out.is_terminal else Console(highlight=False, width=WIDTH)
    tables = [rate_table(cases, note_of(options)), stage_table(cases)]
    if options.backend == "lsm-tiny":
        tables.append(goal_table(cases))
    for table in tables:
        console.print(table.rich())
    if options.md_file is not None:
        update_markdown(options.md_file, "lsm bench node", "\n\n".join(table.markdown() for table in tables))


if __name__ == "__main__":
    sys.exit(main())

"""Entry point of `lsm`: mounts the verbs and turns typed errors into one line and exit code 1."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from typing import Annotated

import typer

from lsm_core.cli.console import err, out, print_error
from lsm_core.errors import LsmError

VERBS = (
    "reconstruct",
    "query",
    "render",
    "export",
    "data",
    "train",
    "eval",
    "bench",
    "weights",
    "parity",
    "doctor",
)

app = typer.Typer(
    name="lsm",
    help="3D scenes that answer to words, from two unposed images or a ROS bag.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from lsm_core import __version__

        out.print(f"lsm_core {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the library's log.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
) -> None:
    """3D scenes that answer to words, from two unposed images or a ROS bag."""
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("lsm_core").setLevel(level)


@cache
def mount_verbs() -> None:
    """Register every verb whose module is in this installation; one that does not import is named, not fatal."""
    for verb in VERBS:
        name = f"lsm_core.cli.{verb}"
        if importlib.util.find_spec(name) is None:
            continue
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            err.print(f"[yellow]`lsm {verb}` is not available:[/] {error}", markup=True)
            continue
        if hasattr(module, "register"):
            module.register(app)
        else:
            app.add_typer(module.app, name=verb)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 a typed error, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, as_json = "--debug" in words, "--json" in words
    words = (["--debug"] if debug else []) + [word for word in words if word != "--debug"]
    try:
        mount_verbs()
        app(args=words, prog_name="lsm")
    except LsmError as error:
        if debug:
            traceback.print_exc()
        print_error(error, as_json)
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        err.print("Interrupted.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`lsm bench node`: how fast the ROS 2 node is. The measuring is done by a child, since lsm_core is without ROS."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from lsm_core.cli.arguments import BackendOption, DeviceOption
from lsm_core.errors import DependencyError

MODULE = "lsm_perception.bench"
NEEDED = ("rclpy", "lsm_perception_msgs", "lsm_perception")
FIX = (
    "Run it as `./run lsm bench node` in the repository, or source a ROS 2 installation and the workspace in which "
    "lsm_perception is built."
)


def node(
    rates: Annotated[str | None, typer.Option(help="Images per second; default 5,10,30,60.")] = None,
    sizes: Annotated[str | None, typer.Option(help="Default 640x480,1280x720.")] = None,
    transports: Annotated[str | None, typer.Option(help="Default raw,compressed.")] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="Runs per case, default 5.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.5, help="Length of a run, default 5.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One run of one case, where not said otherwise.")] = False,
    backend: BackendOption = "lsm-tiny",
    device: DeviceOption = "auto",
    listen: Annotated[str, typer.Option(help="Outputs of the node to subscribe to.")] = "points,pair_pose",
    param: Annotated[list[str] | None, typer.Option(help="Parameter of the node, NAME:=VALUE; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise in the images.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures into this file.")] = None,
    md: Annotated[Path | None, typer.Option("--md", help="Write the tables into this Markdown file.")] = None,
) -> None:
    """Time the node as a process: images over DDS at several rates and sizes, latency, drops, processor, memory."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DependencyError(f"The node's benchmark needs ROS 2: '{missing[0]}' is not here.", FIX)
    given = {
        "--rates": rates, "--sizes": sizes, "--transports": transports, "--runs": runs, "--seconds": seconds,
        "--backend": backend, "--device": device, "--listen": listen, "--seed": seed, "--json": json_file,
        "--md": md,
    }  # fmt: skip
    words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    words += [word for value in param or () for word in ("--param", value)]
    done = subprocess.run([sys.executable, "-m", MODULE, *words, *(["--quick"] if quick else [])], check=False)
    raise typer.Exit(done.returncode)

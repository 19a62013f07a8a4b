"""Commands that start something which goes on until Ctrl-C: what is started, and how it says that it is up."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from command_ways import node_program
from document_commands import ROOT, Command

SCRIPTS = ROOT / "ros2_ws" / "src" / "lsm_perception" / "scripts"
ARGUMENTS = ("backend", "semantics:", "weights", "viewer", "namespace", "bag", "clock", "cameras", "params_file")
WITH_VALUE = ("backend", "semantics:", "weights:=weights/onnx", "pairing")
SAYS = {  # when it is up
    "bringup": "Active; listening to",
    "node": "Active; listening to",
    "demo": " through the node",
    "viewer": "Open http",
}
NAMES = {"replay": "lsm_replay", "label_mask": "label_mask", "goal_from_detection": "goal_from_detection"}  # nodes


@dataclass(frozen=True)
class Start:
    """What a command starts.

    Attributes:
        program: bringup, replay, demo ...
        words: its arguments, as a shell would hand them over.
    """

    program: str
    words: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """The command line without ./run or ros2, whose own work is tested elsewhere."""
        words = [os.path.expandvars(os.path.expanduser(word)) for word in self.words]
        if self.program in ("label_mask", "goal_from_detection"):
            return [str(SCRIPTS / self.program), *words]
        return [sys.executable, "-m", f"lsm_perception.{self.program}", *words, *self._free_port()]

    def _free_port(self) -> list[str]:
        """Return words that let the viewer take any port: others of this machine may have taken its own."""
        if "viewer:=true" in self.words:
            return ["viewer_port:=0"]
        return ["--port", "0"] if self.program == "viewer" and "--port" not in self.words else []

    @property
    def ready(self) -> list[str]:
        """What it prints when it is up, in any order."""
        said = [SAYS[self.program]] if self.program in SAYS else []
        return said + (["Open http"] if "viewer:=true" in self.words else [])

    @property
    def kind(self) -> tuple[str, ...]:
        """What distinguishes it from others that only have other topics, words or files."""
        names = {word if word.startswith(WITH_VALUE) else word.split(":=")[0] for word in self.words}
        return (self.program, *sorted(name for name in names if name.startswith(("--", *ARGUMENTS))))


def start_of(command: Command) -> Start:
    """Return what a command starts; `...` and `key:=value` stand for arguments of the reader's own."""
    words = command.words
    program = node_program(command)
    assert program is not None
    given = words[2:] if words[0] == "./run" else words[3:] if words[0] == "python" else words[4:]
    given = [word for word in given if word not in ("...", "key:=value")]
    return Start(program, tuple(word.replace(":=...", ":=/camera/image_raw") for word in given))

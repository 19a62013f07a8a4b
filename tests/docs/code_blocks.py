"""Python blocks of the documents: which there are, what they use and do not make, and running them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from document_commands import ROOT, Block, blocks
from sample_pictures import sample_pictures

NEEDS_ROS = ("rclpy", "client")


def python_blocks(with_ros: bool) -> list[Block]:
    """Return the Python blocks that need a running node, or the others."""
    return [b for b in blocks() if b.language == "python" and is_for_ros(b) is with_ros and not is_file(b)]


def is_for_ros(block: Block) -> bool:
    """Whether a block asks a node."""
    return any(name in missing_names(block.text) for name in NEEDS_ROS) or "import rclpy" in block.text


def is_file(block: Block) -> bool:
    """Whether a block shows a file to write, which another test of the page takes out and uses."""
    return "def load(" in block.text


def missing_names(text: str) -> set[str]:
    """Return the names that code reads and neither makes nor imports."""
    tree = ast.parse(text)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(dir(builtins))
    made |= {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    made |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    made |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {node.id for node in names if isinstance(node.ctx, ast.Load)} - made


def _lsm_core() -> Any:
    import lsm_core

    return lsm_core


def _gaussians() -> Any:
    from lsm_core.io import read_gaussians

    return read_gaussians(Path("gaussians.ply"))


def _camera() -> Any:
    from lsm_core.types import Camera

    picture = sample_pictures()[0]
    height, width = picture.image.shape[:2]
    return Camera(torch.from_numpy(picture.K).float(), width, height, torch.eye(4))


# What the text around a block says is there.
GIVEN: dict[str, Callable[[], Any]] = {
    "lsm_core": _lsm_core,
    "a": lambda: sample_pictures()[0].image,
    "b": lambda: sample_pictures()[1].image,
    "gaussians": _gaussians,
    "camera": _camera,
}


def run_block(block: Block, given: dict[str, Any]) -> dict[str, Any]:
    """Run a Python block with what the page's text gives it; return what it made.

    Raises:
        KeyError: it uses a name that nobody gives.
    """
    space = {name: given[name] if name in given else GIVEN[name]() for name in missing_names(block.text)}
    code = compile("\n" * (block.line - 1) + block.text, str(ROOT / block.page), "exec")
    exec(code, space)
    return space

"""No code of this project runs what a file says: read from the source, call by call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "ros2_ws/src", "ros2_ws/overlay", "tools")
FILES = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts
)
# Where pickles are read: by an unpickler of its own that builds tensors and arrays only, or only for its error.
UNPICKLERS = {"src/lsm_core/weights/files.py", "src/lsm_core/weights/lpips_package.py"}
PICKLE_NAMES = {"Unpickler", "UnpicklingError"}
FORBIDDEN_MODULES = {"cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve", "tarfile"}
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.hub.load", "torch.jit.load",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "pickle.load", "pickle.loads", "np.fromfile",
}  # fmt: skip
# What OpenCV decodes there was encoded by the same function, or its header judged by the node's own check.
OWN_PICTURES = {
    "src/lsm_core/data/sensor.py", "src/lsm_core/training/augment.py",
    "ros2_ws/src/lsm_perception/lsm_perception/conversions/compressed_images.py",
    "ros2_ws/overlay/cv_bridge/cv_bridge/core.py",  # as ROS's own: its callers judge
}  # fmt: skip
OPENED_ELSEWHERE = {"src/lsm_core/data/furniture.py"}  # textures of the Debian package of furniture


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with its function as written."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> object:
    """Return a keyword's constant value, None where it is not given."""
    found = [k.value for k in call.keywords if k.arg == name]
    return found[0].value if found and isinstance(found[0], ast.Constant) else None


def complaints(path: Path) -> list[str]:
    """Return what a file does that it may not."""
    found = []
    for function, call in calls(path):
        where = f"{name_of(path)}:{call.lineno}: {function}"
        method = function.rpartition(".")[2]
        if function in FORBIDDEN_CALLS or method in ("extractall", "extract"):
            found.append(where)
        if function == "np.load" and keyword(call, "allow_pickle") is not False:
            found.append(f"{where} without allow_pickle=False")
        if (
            function == "torch.load"
            and keyword(call, "weights_only") is not True
            and name_of(path) not in UNPICKLERS
        ):
            found.append(f"{where} without weights_only=True")
        if keyword(call, "shell") is True:
            found.append(f"{where} with a shell")
        formats = any(k.arg == "formats" for k in call.keywords) or name_of(path) in OPENED_ELSEWHERE
        if function.endswith("Image.open") and not formats:
            found.append(f"{where} without formats")
    return found


def test_the_sources_were_found() -> None:
    assert len(FILES) > 400 and {name_of(path) for path in FILES} >= UNPICKLERS


def test_no_call_runs_what_a_file_says() -> None:
    assert not [complaint for path in FILES for complaint in complaints(path)]


def test_opencv_decodes_no_picture_whose_header_was_not_judged() -> None:
    """Its decoders take memory for up to 2^30 pixels; cv_bridge's call them."""
    decoding = {}
    for path in FILES:
        functions = {function for function, _ in calls(path)}
        names = {function.rpartition(".")[2] for function in functions}
        if names & {"imread", "imdecode", "imreadmulti", "compressed_imgmsg_to_cv2"}:
            decoding[name_of(path)] = functions
    assert set(decoding) > OWN_PICTURES
    judged = {name for name, functions in decoding.items() if "check_picture_size" in functions}
    assert set(decoding) - judged == OWN_PICTURES


def test_pickle_is_only_restricted() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        imported |= {
            n.module.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module
        }
        assert not imported & FORBIDDEN_MODULES, name_of(path)
        used = {
            n.attr for n in ast.walk(tree)
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "pickle"
        }  # fmt: skip
        assert used <= (PICKLE_NAMES if name_of(path) in UNPICKLERS else {"UnpicklingError"}), name_of(path)


@pytest.mark.parametrize("name", sorted(UNPICKLERS))
def test_every_unpickler_decides_itself_what_a_class_is(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    own = [
        n for n in ast.walk(tree)
        if isinstance(n, ast.ClassDef) and any(ast.unparse(b) == "pickle.Unpickler" for b in n.bases)
    ]  # fmt: skip
    assert own
    for unpickler in own:
        methods = {n.name: n for n in unpickler.body if isinstance(n, ast.FunctionDef)}
        assert "super" not in ast.unparse(methods["find_class"])


@pytest.mark.parametrize(
    "line",
    ["import numpy as np\nnp.load('x')", "torch.load('x')", "yaml.load(f)", "subprocess.run(c, shell=True)",
     "archive.extractall()", "Image.open(p)", "eval(text)"],
)  # fmt: skip
def test_the_check_notices(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "x.py").write_text(line)
    assert complaints(tmp_path / "x.py")

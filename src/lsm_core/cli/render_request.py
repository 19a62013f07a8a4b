"""What `lsm render` was asked for, as a scene, a path and kinds of pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lsm_core.cli.arguments import intrinsics, numbers
from lsm_core.cli.console import err
from lsm_core.errors import InputError

if TYPE_CHECKING:
    from lsm_core.backends import Backend
    from lsm_core.cli.loading import ModelChoice
    from lsm_core.types import Camera
    from lsm_core.views import Framing, Kind, Scene

WIDTH = 640
FRAMES = 60
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")


@dataclass(frozen=True)
class Request:
    """The options of one call, see `lsm render --help`."""

    source: list[Path]
    path: str
    show: list[str]
    query: list[str]
    frames: int | None
    angle: float | None
    view: int | None
    eye: str | None
    target: str | None
    fov: float | None
    size: tuple[int, int] | None
    backend: str | None
    device: str
    weights: Path | None
    semantics: str | None
    semantics_weights: Path | None
    intrinsics: str | None

    def model(self, made_with: str | None = None) -> ModelChoice:
        """Return the model to load: the option's, or the one a scene was made with ("NAME" or "NAME+WORDS")."""
        from lsm_core.cli.loading import ModelChoice

        name, _, words = (self.backend or made_with or "lsm-tiny").partition("+")
        semantics = self.semantics or words or None
        return ModelChoice(name, self.device, self.weights, semantics, self.semantics_weights)


def read_scene(request: Request) -> tuple[Scene, Backend | None]:
    """Read or reconstruct the scene; the backend too where images or words need it.

    Raises:
        InputError: neither a scene nor two images.
        LsmError: what reading, loading or reconstructing raises.
    """
    from lsm_core.backends.with_semantics import SemanticBackend
    from lsm_core.cli.known_cameras import known_cameras
    from lsm_core.cli.loading import load_images, load_model
    from lsm_core.views import open_scene, scene_of

    check(request)
    if len(request.source) == 2:
        images = load_images(request.source)
        model = load_model(request.model(), request.query)
        known = known_cameras(model, images, intrinsics(request.intrinsics))
        with err.status("Reconstructing ..."):
            prediction = known.judged(model.predict(images, known.intrinsics, known.poses))
            if isinstance(model, SemanticBackend) and (request.query or "features" in ",".join(request.show)):
                prediction = model.with_gaussian_features(prediction)
        return scene_of(prediction, images, " + ".join(path.name for path in request.source)), model
    scene = open_scene(request.source[0])
    return scene, load_model(request.model(scene.backend), request.query) if request.query else None


def check(request: Request) -> None:
    """Refuse what cannot work before anything is loaded.

    Raises:
        InputError: wrong sources, an unknown path, or options that do not belong together.
    """
    if len(request.source) > 2 or (len(request.source) == 1 and request.source[0].suffix.lower() in IMAGE_ENDINGS):
        raise InputError(
            f"{len(request.source)} argument(s) are neither a scene nor two images.",
            "Name a folder of `lsm reconstruct`, a .ply or .npz file, or two images.",
        )
    if request.path not in ("turntable", "fly", "still") and not Path(request.path).is_file():
        raise InputError(
            f"There is no path '{request.path}'.", "Use turntable, fly, still, or an existing TUM file of poses."
        )
    if request.path != "still" and any(x is not None for x in (request.view, request.eye, request.target)):
        raise InputError("--view, --eye and --look-at place a still.", "Add --path still, or name a .png file.")
    if request.angle is not None and request.path != "turntable":
        raise InputError("--angle belongs to --path turntable.")
    if request.fov is not None and not 1 <= request.fov <= 170:
        raise InputError(f"--fov must be between 1 and 170 degrees, got {request.fov:g}.")
    if request.query and len(set(request.query)) != len(request.query):
        raise InputError("A word is asked for twice.", "Name each --query once.")


def default_kinds(request: Request, scene: Scene, one_file: bool) -> list[Kind]:
    """Return the kinds asked for, or what the scene supports (one file: colour, or masks where words are given).

    Raises:
        InputError: an unknown kind, or masks and relevancy without words.
    """
    from lsm_core.views import Kind, parse_kinds

    chosen = parse_kinds(request.show)
    supported = [Kind.RGB, Kind.DEPTH, Kind.NORMALS]
    supported += [Kind.FEATURES] if scene.gaussians.features is not None else []
    supported += [Kind.MASKS, Kind.RELEVANCY] if request.query else []
    if "all" in ",".join(request.show).lower().split(","):
        return supported
    if chosen:
        return chosen
    if one_file:
        return [Kind.MASKS if request.query else Kind.RGB]
    return supported


def frame(request: Request, scene: Scene) -> Framing:
    """Return the middle view in the size and lens asked for."""
    from lsm_core.views import frame_scene

    width, height = request.size or _size_like(scene)
    return frame_scene(scene, width, height, request.fov)


def choose_cameras(request: Request, scene: Scene, framing: Framing) -> list[Camera]:
    """Return one camera per frame.

    Raises:
        InputError: the path does not fit the scene.
        FileFormatError: the TUM file cannot be read.
    """
    from lsm_core.io import read_tum
    from lsm_core.views import along, fly_through, turntable

    frames = request.frames or FRAMES
    if request.path == "still":
        return [_still_camera(request, scene, framing)]
    if request.path == "turntable":
        return turntable(scene, framing, frames, request.angle)
    if request.path == "fly":
        return fly_through(scene, framing, frames)
    return along(read_tum(request.path), framing, request.frames)


def _size_like(scene: Scene) -> tuple[int, int]:
    """Return a size of the input views' shape, sides even."""
    shape = (scene.cameras[0].width, scene.cameras[0].height) if scene.cameras else (4, 3)
    return WIDTH, max(16, 2 * round(WIDTH * shape[1] / shape[0] / 2))


def _still_camera(request: Request, scene: Scene, framing: Framing) -> Camera:
    """Return the camera of a still: an input view, a place and target, or the middle view."""
    import torch

    from lsm_core.views.lens import fitted, look_at

    if request.view is not None:
        if request.view >= len(scene.cameras):
            raise InputError(
                f"There is no input view {request.view}; the scene has {len(scene.cameras)}.", "They count from 0."
            )
        own = scene.cameras[request.view]
        lens = (
            framing.camera if request.fov is not None else fitted(own, framing.camera.width, framing.camera.height)
        )
        return replace(lens, T_scene_cam=own.T_scene_cam, near=0.25 * framing.camera.near)
    if request.eye is None and request.target is None:
        return framing.camera
    middle = framing.camera.T_scene_cam[:3, 3].tolist()
    eye = numbers(request.eye, 3, "--eye") if request.eye else middle
    ahead = (torch.tensor(eye) + framing.distance * framing.camera.T_scene_cam[:3, 2]).tolist()
    target = numbers(request.target, 3, "--look-at") if request.target else ahead
    return replace(framing.camera, T_scene_cam=look_at(eye, target))

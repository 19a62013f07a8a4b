"""`lsm reconstruct`: two images into points, Gaussians and poses, or a ROS bag into a trajectory and a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsm_core.cli.arguments import (
    BackendOption,
    DeviceOption,
    IntrinsicsOption,
    JsonOption,
    PatienceOption,
    PosesFromOption,
    PosesOption,
    PosesWeightsOption,
    QueryOption,
    RefineOption,
    SemanticsOption,
    SemanticsWeightsOption,
    TurntableOption,
    WeightsOption,
    intrinsics,
)
from lsm_core.cli.console import err, out, print_json, progress_bar
from lsm_core.errors import GeometryError, InputError

if TYPE_CHECKING:
    from lsm_core.cli.loading import ModelChoice

BAG_ENDINGS = (".mcap", ".db3")
TURNTABLE = "turntable.webp"


def reconstruct(
    inputs: Annotated[list[Path], typer.Argument(metavar="A B | BAG", help="Two images, or one bag.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "out/reconstruct"
    ),
    query: QueryOption = None,
    backend: BackendOption = "lsm-tiny",
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    semantics: SemanticsOption = None,
    semantics_weights: SemanticsWeightsOption = None,
    camera: IntrinsicsOption = None,
    refine_pose: RefineOption = None,
    patience: PatienceOption = None,
    poses: PosesOption = None,
    poses_from: PosesFromOption = None,
    poses_weights: PosesWeightsOption = None,
    turntable: TurntableOption = True,
    topic: Annotated[str | None, typer.Option(help="Bag: image topic; default: the one with most images.")] = None,
    max_seconds: Annotated[float, typer.Option(min=0, help="Bag: stop after this much of it; 0 for all.")] = 0.0,
    use_odometry: Annotated[bool, typer.Option("--odometry/--no-odometry", help="Bag: use its odometry.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Reconstruct a scene from two images, or map a ROS bag."""
    from lsm_core.cli.loading import ModelChoice

    choice = ModelChoice(backend, device, weights, semantics, semantics_weights, refine_pose, patience)
    if len(inputs) == 1 and (inputs[0].is_dir() or inputs[0].suffix in BAG_ENDINGS):
        if query or camera:
            raise InputError("--query and --intrinsics are for images.", "For a bag with queries use `./run demo`.")
        if poses or poses_from:
            raise InputError("--poses and --poses-from are for images.", "A bag's poses are its odometry.")
        _reconstruct_bag(inputs[0], output, choice, topic, max_seconds, use_odometry, as_json)
    else:
        given = GivenCameras(camera, poses, poses_from, poses_weights)
        _reconstruct_images(inputs, output, query or [], choice, given, turntable, as_json)


@dataclass(frozen=True)
class GivenCameras:
    """What the options say of the cameras: `--intrinsics`, `--poses`, `--poses-from`, `--poses-weights`."""

    intrinsics: str | None
    poses: Path | None
    poses_from: str | None
    poses_weights: Path | None


def _reconstruct_images(
    paths: list[Path],
    output: Path,
    texts: list[str],
    choice: ModelChoice,
    given: GivenCameras,
    turntable: bool,
    as_json: bool,
) -> None:
    """Reconstruct from image files."""
    from lsm_core.cli.film_files import write_turntable
    from lsm_core.cli.known_cameras import known_cameras
    from lsm_core.cli.loading import load_images, load_model
    from lsm_core.cli.pair_files import write_masks, write_pair
    from lsm_core.cli.pair_sheet import pair_sheet
    from lsm_core.cli.refinement_files import write_refinement
    from lsm_core.io import write_png

    images = load_images(paths)
    model = load_model(choice, texts)
    known = known_cameras(
        model, images, intrinsics(given.intrinsics), given.poses, given.poses_from, given.poses_weights
    )
    with err.status("Reconstructing ..."):
        prediction = known.judged(model.predict(images, known.intrinsics, known.poses))
        found = model.query(prediction, texts) if texts else None
        record = write_pair(output, prediction, [str(path) for path in paths], found, known.sources)
        if found is not None:
            write_masks(output, found, images)
            record["presence"] = dict(zip(found.texts, map(float, found.presence), strict=True))
        record |= write_refinement(output, prediction)
        title = " + ".join(path.name for path in paths)
        write_png(output / "sheet.png", pair_sheet(prediction, images, title, found))
    complete = all(view["pose_valid"] for view in record["views"])
    if turntable and record["gaussians"]:
        write_turntable(output / TURNTABLE, prediction, images, title, as_json)
    if as_json and complete:
        print_json({"ok": True, "folder": str(output), **record})
    elif not as_json:
        _print_pair(record, output)
    if not complete:
        raise GeometryError(
            "No relative pose could be found, so none is claimed; only what the first image shows was written.",
            "Use images that share more of the scene and are not too far apart.",
        )


def _print_pair(record: dict[str, Any], output: Path) -> None:
    """Say in a few lines what was found."""
    metres = record["unit"] == "metre"
    for index, view in enumerate(record["views"][1:], 1):
        if view["pose_valid"]:
            x, y, z = (row[3] for row in view["T_cam0_cam"][:3])
            out.print(
                f"Camera {index}: {x:+.3f} {y:+.3f} {z:+.3f} {'m' if metres else '(arbitrary unit)'} from camera 0"
            )
    for found in record.get("pose_refinement", []):
        out.print(
            f"Pose {found['view']} refined ({found['method']}{', with LPIPS' if found['lpips'] else ''}): "
            f"the drawn view has {found['psnr_before']:.2f} -> {found['psnr_after']:.2f} dB"
        )
    for text, presence in record.get("presence", {}).items():
        out.print(f"'{text}': {'in view' if presence >= 0.5 else 'not seen'} ({presence:.2f})")
    for key, what in (("poses_from", "Poses"), ("intrinsics_from", "Intrinsics")):
        if record.get(key, "given") != "given":
            out.print(f"{what} from {record[key]}.")
    gaussians = f", {record['gaussians']:,} Gaussians" if record["gaussians"] else ""
    out.print(f"{record['points']:,} points{gaussians}, validity {record['validity']:.2f}: {output}")


def _reconstruct_bag(
    path: Path,
    output: Path,
    choice: ModelChoice,
    topic: str | None,
    max_seconds: float,
    use_odometry: bool,
    as_json: bool,
) -> None:
    """Map a bag."""
    from lsm_core.cli.bag_files import write_bag_map
    from lsm_core.cli.bag_map import BagMapper
    from lsm_core.cli.loading import load_model
    from lsm_core.io import open_bag

    with open_bag(path) as bag:
        image_topic = bag.image_topic(topic)
        frames = bag.frames(image_topic)
        first = next(frames, None)
        if first is None:
            raise InputError(f"'{path}' has no images on {image_topic}.", "Record the topic, or name another.")
        truth = bag.camera_trajectory(first.frame_id)
        mapper = BagMapper(load_model(choice), truth if use_odometry else None)
        with progress_bar(disable=as_json) as bar:
            task = bar.add_task("Mapping", total=bag.frame_count(image_topic))
            mapper.add(first)
            for frame in frames:
                if max_seconds and frame.stamp_ns - first.stamp_ns > max_seconds * 1e9:
                    break
                mapper.add(frame)
                bar.update(task, advance=1)
    summary = write_bag_map(output, mapper, path, truth)
    if not mapper.pairs:
        raise GeometryError(
            f"No pair of images in '{path}' supports geometry ({dict(mapper.rejected)}).",
            "The camera must move through the scene; check the images.",
        )
    if as_json:
        print_json({"ok": True, "folder": str(output), **summary})
        return
    out.print(
        f"{summary['keyframes']} keyframes, {summary['pairs_accepted']} pairs accepted, "
        f"{sum(summary['pairs_rejected'].values())} rejected, {len(summary['segments'])} segment(s)"
    )
    check = summary.get("odometry")
    if check and check["compared"]:
        out.print(
            f"Against odometry: rotation {check['rotation_median_deg']:.2f}° median, "
            f"direction {check['direction_median_deg']:.1f}° median"
        )
    out.print(f"Trajectory, map and sheet: {output}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(reconstruct)

"""How long drawing Gaussians takes: targets, scaling, gradients, and the ratio to the reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from lsm_core.evaluation.render_scene import middle_camera, pixel_aligned_scene
from lsm_core.render import RasterizerName, render
from lsm_core.render.projection import project
from lsm_core.render.reference import CHUNK, blend_pixels, blend_weights, blended_values
from lsm_core.types import Camera, Gaussians

WARMUP = 2
SAMPLED_PIXELS = 256  # for the mean number of Gaussians blended
REFERENCE_PIXELS = 240  # of the image that the reference draws; its time grows with the pixels


@dataclass(frozen=True)
class RenderCase:
    """What is timed.

    Attributes:
        group: the table it stands in.
        name: of the row.
        gaussians: N.
        size: of the square image, pixels.
        channels: D feature channels; 0 draws colour and depth only.
        threads: of PyTorch, which the CPU rasterizer takes, too.
        gradient: also the way back to the camera's pose.
        target_s: what the case is to keep to, seconds.
        compare: also time the reference.
    """

    group: str
    name: str
    gaussians: int
    size: int
    channels: int
    threads: int
    gradient: bool = False
    target_s: float | None = None
    compare: bool = False


@dataclass(frozen=True)
class RenderTime:
    """Seconds of a case.

    Attributes:
        case: what was timed.
        median_s, p10_s, p90_s: by the clock.
        cpu_s: processor time of all threads, median; what others do on the machine hardly shows in it.
        blended: mean number of Gaussians per pixel.
        reference_s: what the reference takes, or None.
    """

    case: RenderCase
    median_s: float
    p10_s: float
    p90_s: float
    cpu_s: float
    blended: float
    reference_s: float | None


def bench_cases(threads: int, quick: bool = False) -> list[RenderCase]:
    """Return the cases: the targets, then one thing varied at a time about the first of them.

    Args:
        threads: to use, and the most of the threads' table.
        quick: leave out the larger half.
    """
    targets = [
        ("rgb + 64 + depth", 131_072, 256, 64, 0.15),
        ("rgb + 64 + depth", 524_288, 512, 64, 0.5),
        ("rgb + depth", 131_072, 256, 0, 0.05),
    ]
    cases = [
        RenderCase("targets", name, count, size, channels, threads, target_s=target_s, compare=True)
        for name, count, size, channels, target_s in targets
    ]
    cases.append(RenderCase("targets", "rgb, and back to the pose", 131_072, 256, 0, threads, gradient=True))
    cases += [RenderCase("Gaussians", f"{n:,}", n, 256, 64, threads) for n in (8192, 32_768, 131_072, 524_288)]
    cases += [RenderCase("channels", str(d), 131_072, 256, d, threads) for d in (0, 8, 16, 32, 64, 128)]
    cases += [RenderCase("pixels", f"{s}x{s}", 131_072, s, 64, threads) for s in (64, 128, 256, 512)]
    counts = sorted({1, threads, *(2**k for k in range(1, 8) if 2**k < threads)})
    cases += [RenderCase("threads", str(t), 131_072, 256, 64, t) for t in counts]
    return [case for case in cases if case.gaussians <= 131_072 and case.size <= 256] if quick else cases


def bench_scene(case: RenderCase, seed: int) -> tuple[Gaussians, Camera]:
    """Return the seeded scene and camera of a case.

    The Gaussians are those of two pixel-aligned views of the image's size where that gives N; else of 256 x 256
    views: every k-th of them for fewer, several seeds for more, the same with another camera for another size.
    """
    if case.gaussians == 2 * case.size**2:
        return pixel_aligned_scene(case.size, case.channels, seed), middle_camera(case.size)
    base = 256
    count = 2 * base**2
    parts = [pixel_aligned_scene(base, case.channels, seed + k) for k in range(max(1, case.gaussians // count))]
    step = max(1, count // case.gaussians)
    scene = Gaussians.concatenate(parts).select(torch.arange(0, count * len(parts), step))
    return scene, middle_camera(base).resized(case.size, case.size)


def bench_render(
    case: RenderCase, repeats: int, seed: int, device: torch.device, name: RasterizerName | None = None
) -> RenderTime:
    """Time one case.

    Args:
        case: what.
        repeats: timed runs, after 2 to warm up.
        seed: of the scene.
        device: where the Gaussians are.
        name: of the rasterizer; None chooses by the device.
    """
    torch.set_num_threads(case.threads)
    scene, camera = bench_scene(case, seed)
    there = on_device(scene, device)
    times, cpu_times = timed(drawing(there, camera, case, name), repeats, device)
    p10, median, p90 = (float(value) for value in np.percentile(times, [10, 50, 90]))
    blended = blended_per_pixel(scene, camera, seed)
    reference_s = reference_seconds(scene, camera, case) if case.compare else None
    return RenderTime(case, median, p10, p90, float(np.median(cpu_times)), blended, reference_s)


def drawing(
    scene: Gaussians, camera: Camera, case: RenderCase, name: RasterizerName | None
) -> Callable[[], object]:
    """Return what one timed run does."""
    if not case.gradient:
        return lambda: render(scene, camera, features=case.channels > 0, rasterizer=name)

    def forth_and_back() -> None:
        T_scene_cam = camera.T_scene_cam.to(scene.means).clone().requires_grad_()
        out = render(scene, replace(camera, T_scene_cam=T_scene_cam), rasterizer=name, picks=False)
        out.rgb.square().mean().backward()

    return forth_and_back


def timed(run: Callable[[], object], repeats: int, device: torch.device) -> tuple[list[float], list[float]]:
    """Return the seconds and the processor seconds of each run, after some to warm up."""
    times, cpu_times = [], []
    for _ in range(WARMUP + repeats):
        started, cpu_started = time.perf_counter(), time.process_time()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
        cpu_times.append(time.process_time() - cpu_started)
    return times[WARMUP:], cpu_times[WARMUP:]


def on_device(scene: Gaussians, device: torch.device) -> Gaussians:
    """Return the Gaussians on a device."""
    features = None if scene.features is None else scene.features.to(device)
    means, quats, scales = (part.to(device) for part in (scene.means, scene.quats, scene.scales))
    return Gaussians(means, quats, scales, scene.opacities.to(device), scene.sh.to(device), features)


def reference_seconds(scene: Gaussians, camera: Camera, case: RenderCase) -> float:
    """Return the reference's seconds for the image, from some pixels of it: each looks at every Gaussian."""
    x, y = (torch.linspace(0, side - 1, REFERENCE_PIXELS).round() for side in (camera.width, camera.height))
    with torch.no_grad():
        started = time.perf_counter()
        splats = project(scene, camera)
        values = blended_values(splats, scene.features if case.channels else None)
        once = time.perf_counter() - started
        size = max(1, CHUNK // max(1, len(splats.index)))
        for a, b in zip(x.split(size), y.split(size), strict=True):
            blend_pixels(splats, values, a, b)
    per_pixel = (time.perf_counter() - started - once) / REFERENCE_PIXELS
    return once + per_pixel * camera.width * camera.height


def blended_per_pixel(scene: Gaussians, camera: Camera, seed: int) -> float:
    """Return the mean number of Gaussians that reach a pixel, over pixels drawn by lot."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, camera.width, (SAMPLED_PIXELS,), generator=generator).float()
    y = torch.randint(0, camera.height, (SAMPLED_PIXELS,), generator=generator).float()
    with torch.no_grad():
        splats = project(replace(scene, features=None), camera)
        chunks = zip(x.split(8), y.split(8), strict=True)
        found = [(blend_weights(splats, a, b)[0] > 0).sum(1) for a, b in chunks]
    return float(torch.cat(found).float().mean())

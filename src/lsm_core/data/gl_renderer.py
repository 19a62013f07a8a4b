"""Off-screen OpenGL renderer of training frames: linear colour, metric depth and labels.

Runs on EGL with or without a GPU (Mesa's llvmpipe is enough). Needs the optional package moderngl.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np

from lsm_core.data import shaders
from lsm_core.data.reflections import (
    KEEP_ALL,
    MAX_REFLECTIONS,
    MIN_REFLECTION,
    PLANE_MARGIN_M,
    add_reflection,
    facing_plane,
    mirrored,
    reflected_share,
)
from lsm_core.data.scene import NO_DEPTH, Light, Scene
from lsm_core.errors import DependencyError, DeviceError

NEAR_M, FAR_M = 0.05, 60.0
SHADOW_SIZE = 1024


@dataclass(frozen=True)
class RenderedFrame:
    """What one camera sees."""

    colour: np.ndarray  # [H, W, 3] float32, linear light, unbounded above
    depth: np.ndarray  # [H, W] float32 metres along the optical axis, 0 = none
    label: np.ndarray  # [H, W] uint8, index into CLASSES


def projection_matrix(intrinsics: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the 4x4 GL projection of an optical-frame point for pixel-centre intrinsics.

    Image row 0 lands at the bottom of the frame buffer, so a read-back needs no flip.
    """
    fx, fy = intrinsics[0, 0], intrinsics[1, 1]
    cx, cy = intrinsics[0, 2] + 0.5, intrinsics[1, 2] + 0.5
    out = np.zeros((4, 4), np.float64)
    out[0, 0], out[0, 2] = 2 * fx / width, 2 * cx / width - 1
    out[1, 1], out[1, 2] = 2 * fy / height, 2 * cy / height - 1
    out[2, 2] = (FAR_M + NEAR_M) / (FAR_M - NEAR_M)
    out[2, 3] = -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    out[3, 2] = 1.0
    return out


def _light_matrix(light: Light) -> np.ndarray:
    """Return projection times view of a wide shadow camera at a light."""
    forward = np.array(light.direction) / np.linalg.norm(light.direction)
    side = np.cross(forward, [0.0, 1.0, 0.0] if abs(forward[2]) > 0.9 else [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(forward, side), forward])
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = rotation, -rotation @ np.array(light.position)
    scale = 1.0 / np.tan(np.deg2rad(142.0) / 2)
    projection = np.zeros((4, 4))
    near, far = 0.25, 25.0
    projection[0, 0] = projection[1, 1] = scale
    projection[2, 2], projection[2, 3] = (far + near) / (far - near), -2 * far * near / (far - near)
    projection[3, 2] = 1.0
    return projection @ view


def _columns(matrix: np.ndarray) -> bytes:
    """Pack a matrix column by column for a uniform."""
    return np.ascontiguousarray(matrix.T, dtype=np.float32).tobytes()


def create_context() -> Any:
    """Create a stand-alone EGL context.

    Raises:
        DependencyError: moderngl is not installed.
        DeviceError: no EGL driver is there.
    """
    try:
        import moderngl
    except ImportError as error:
        raise DependencyError("The renderer needs the package moderngl.", "pip install moderngl") from error
    try:
        options: dict[str, Any] = {"backend": "egl"}
        return moderngl.create_context(standalone=True, require=330, **options)
    except Exception as error:  # moderngl raises bare Exception when EGL is absent
        raise DeviceError(
            f"No off-screen OpenGL context: {error}.",
            "install an EGL driver (Debian: libegl1 libegl-mesa0 libgl1-mesa-dri).",
        ) from error


class Renderer:
    """Renders one scene at a time at a fixed output size; use as a context manager."""

    def __init__(self, width: int = 256, height: int = 192) -> None:
        self.width, self.height = width, height
        self.context = create_context()
        ctx = self.context
        self._surface_program = ctx.program(shaders.SURFACE_VERTEX, shaders.SURFACE_FRAGMENT)
        self._shadow_program = ctx.program(shaders.SHADOW_VERTEX, shaders.SHADOW_FRAGMENT)
        self._lighting_program = ctx.program(shaders.LIGHTING_VERTEX, shaders.LIGHTING_FRAGMENT)
        big = (2 * width, 2 * height)
        self._surface = [
            ctx.texture(big, 4, dtype="f2"),
            ctx.texture(big, 4, dtype="f4"),
            ctx.texture(big, 2, dtype="f2"),
        ]  # albedo + label, normal + depth, emission + gloss
        for target in self._surface:
            target.filter = (ctx.NEAREST, ctx.NEAREST)
        self._surface_buffer = ctx.framebuffer(self._surface, ctx.depth_renderbuffer(big))
        self._out_colour = ctx.texture((width, height), 4, dtype="f4")
        self._out_depth = ctx.texture((width, height), 1, dtype="f4")
        self._out_buffer = ctx.framebuffer([self._out_colour, self._out_depth])
        corners = ctx.buffer(np.array([-1, -1, 3, -1, -1, 3], np.float32).tobytes())
        self._screen = ctx.vertex_array(self._lighting_program, [(corners, "2f", "in_corner")])
        self._shadows = [ctx.depth_texture((SHADOW_SIZE, SHADOW_SIZE)) for _ in range(shaders.MAX_LIGHTS)]
        self._shadow_buffers = []
        for texture in self._shadows:
            texture.compare_func = "<="
            texture.filter = (ctx.LINEAR, ctx.LINEAR)
            self._shadow_buffers.append(ctx.framebuffer(depth_attachment=texture))
        self._scene: Scene | None = None
        self._owned: list[Any] = []

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the context."""
        self._drop_scene()
        self.context.release()

    def _drop_scene(self) -> None:
        for thing in self._owned:
            thing.release()
        self._owned = []

    def load(self, scene: Scene) -> None:
        """Upload a scene and render its shadow maps."""
        self._drop_scene()
        ctx = self.context
        buffer = ctx.buffer(np.ascontiguousarray(scene.vertices).tobytes())
        count = len(scene.textures)
        textures = ctx.texture_array((256, 256, count), 4, np.ascontiguousarray(scene.textures).tobytes())
        textures.build_mipmaps()
        textures.filter = (ctx.LINEAR_MIPMAP_LINEAR, ctx.LINEAR)
        textures.repeat_x = textures.repeat_y = True
        self._mesh = ctx.vertex_array(
            self._surface_program,
            [(buffer, "3f 3f 2f 3f 4f", "in_position", "in_normal", "in_uv", "in_colour", "in_meta")],
        )
        caster = ctx.vertex_array(self._shadow_program, [(buffer, "3f 48x", "in_position")])
        self._owned = [caster, self._mesh, textures, buffer]
        self._textures, self._scene = textures, scene
        self._set_lights(scene, caster)

    def _set_lights(self, scene: Scene, caster: Any) -> None:
        ctx, program = self.context, self._lighting_program
        lights = scene.lights[: shaders.MAX_LIGHTS]
        blank = Light((0, 0, 0), (0, 0, -1), (0, 0, 0), 1.0, 0.0, False)
        padded = [*lights, *[blank] * (shaders.MAX_LIGHTS - len(lights))]
        matrices = [_light_matrix(light) for light in padded]
        ctx.enable(ctx.DEPTH_TEST)
        for k, light in enumerate(padded):
            self._shadow_buffers[k].use()
            self._shadow_buffers[k].clear(depth=1.0)
            if light.shadow:
                self._shadow_program["u_matrix"].write(_columns(matrices[k]))
                caster.render()
        program["u_light_count"].value = len(lights)
        program["u_light_position"].value = [light.position for light in padded]
        unit = [tuple(np.array(li.direction) / np.linalg.norm(li.direction)) for li in padded]
        program["u_light_direction"].value = unit
        program["u_light_colour"].value = [light.colour for light in padded]
        program["u_light_shape"].value = [(light.size_m, light.spread) for light in padded]
        program["u_light_matrix"].write(b"".join(_columns(m) for m in matrices))
        program["u_shadow"].value = [3 + k for k in range(shaders.MAX_LIGHTS)]
        program["u_room"].value = scene.size
        program["u_ambient"].value = scene.ambient
        program["u_bounce"].value = scene.bounce

    def render(self, intrinsics: np.ndarray, T_world_cam: np.ndarray) -> RenderedFrame:
        """Render the loaded scene, with what its mirrors, panes and polished floors reflect.

        Args:
            intrinsics: [3, 3], pixels of the output grid, pixel (0, 0) is the centre of the first.
            T_world_cam: [4, 4], optical frame to world, metres.
        """
        if self._scene is None:
            raise RuntimeError("load a scene before rendering")
        frame = self._render_directly(intrinsics, T_world_cam, KEEP_ALL)
        shares = [
            (reflected_share(r, intrinsics, T_world_cam, frame.depth, frame.label), r)
            for r in self._scene.reflectors
        ]
        worth = [item for item in shares if (item[0] > 0).mean() >= MIN_REFLECTION]
        for share, reflector in sorted(worth, key=lambda item: -float(item[0].sum()))[:MAX_REFLECTIONS]:
            plane = facing_plane(reflector, T_world_cam)
            clip = plane - np.array([0, 0, 0, PLANE_MARGIN_M])
            seen = self._render_directly(intrinsics, mirrored(plane, T_world_cam), clip)
            frame = replace(frame, colour=add_reflection(frame.colour, seen.colour, share, reflector.blur_px))
        return frame

    def _render_directly(self, intrinsics: np.ndarray, T_world_cam: np.ndarray, clip: np.ndarray) -> RenderedFrame:
        """Render what lies on the positive side of the plane ``clip`` [4]; the pose may be a mirrored one."""
        ctx, program = self.context, self._surface_program
        view = np.linalg.inv(T_world_cam)
        program["u_projection"].write(_columns(projection_matrix(intrinsics, self.width, self.height)))
        program["u_view"].write(_columns(view))
        program["u_eye"].value = tuple(float(v) for v in T_world_cam[:3, 3])
        program["u_clip"].value = tuple(float(v) for v in clip)
        program["u_textures"].value = 0
        self._surface_buffer.use()
        ctx.enable(ctx.DEPTH_TEST)
        self._surface_buffer.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        self._textures.use(0)
        self._mesh.render()
        return self._light(intrinsics, T_world_cam)

    def _light(self, intrinsics: np.ndarray, T_world_cam: np.ndarray) -> RenderedFrame:
        """Light the surfaces rendered last and read the frame back."""
        ctx, program = self.context, self._lighting_program
        self._out_buffer.use()
        ctx.disable(ctx.DEPTH_TEST)
        for unit, texture in enumerate([*self._surface, *self._shadows]):
            texture.use(unit)
        for unit, name in enumerate(("u_albedo", "u_geometry", "u_material")):
            program[name].value = unit
        program["u_intrinsics"].value = tuple(float(intrinsics[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
        program["u_rotation"].write(_columns(T_world_cam[:3, :3]))
        program["u_eye"].value = tuple(float(v) for v in T_world_cam[:3, 3])
        self._screen.render()
        shape = (self.height, self.width)
        packed = np.frombuffer(self._out_colour.read(), np.float32).reshape(*shape, 4)
        depth = np.frombuffer(self._out_depth.read(), np.float32).reshape(shape).copy()
        label = np.rint(packed[..., 3]).astype(np.uint8)
        depth[(label >= NO_DEPTH) | (depth < NEAR_M) | (depth > FAR_M)] = 0.0
        colour = np.nan_to_num(packed[..., :3], nan=0.0, posinf=4.0)
        return RenderedFrame(colour, depth, (label % NO_DEPTH).astype(np.uint8))

"""The panel beside the 3D view: status, words, layers, keyframes, a drawn view, saving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import viser
from viser import transforms

from lsm_perception.viewer import scene
from lsm_perception.viewer.asking import KINDS, Asking
from lsm_perception.viewer.errors import ViewerError
from lsm_perception.viewer.lens import lens_of_view
from lsm_perception.viewer.pictures import EMPTY, answer_picture
from lsm_perception.viewer.records import KeyframeRecord, Path
from lsm_perception.viewer.scene import Scene
from lsm_perception.viewer.stage import Stage
from lsm_perception.viewer.text import answer_text, keyframe_text, plain, status_text

DRAWN_HEIGHT = 360
LAYERS = {
    scene.MAP: "map",
    scene.CLOUD: "newest cloud",
    scene.KEYFRAMES: "keyframes",
    scene.BOXES: "detections",
    scene.ANSWER: "answer",
}


class Panel:
    """The 2D half of the viewer. Its callbacks run in threads of viser's pool."""

    def __init__(
        self,
        server: viser.ViserServer,
        found: Scene,
        stage: Stage,
        asking: Asking,
        node: Callable[[], tuple[str, bool]],
    ) -> None:
        """Build it.

        Args:
            server: of viser.
            found: what is known.
            stage: the 3D half.
            asking: of the node.
            node: gives the perception node's name, and whether it is there.
        """
        self._gui = server.gui
        self._scene = found
        self._stage = stage
        self._asking = asking
        self._node = node
        self._shown: dict[str, Any] = {}
        self._keyframe: KeyframeRecord | None = None
        self.splats_wanted = False
        server.gui.configure_theme(
            control_layout="fixed", control_width="large", show_logo=False, show_share_button=False
        )
        with self._gui.add_folder("lsm_perception"):
            self._status = self._gui.add_markdown("")
        tabs = self._gui.add_tab_group()
        with tabs.add_tab("Ask"):
            self._build_ask()
        with tabs.add_tab("Keyframes"):
            self._build_keyframes()
        with tabs.add_tab("Show"):
            self._build_layers()
        with tabs.add_tab("View"):
            self._build_view()
        with tabs.add_tab("Map"):
            self._build_save()

    def update(self) -> None:
        """Show what is new."""
        name, connected = self._node()
        path: Path | None = self._scene.get(scene.PATH)
        metric = None if path is None or not path.T_map_cam else path.metric
        text = status_text(name, connected, self._scene.scale, self._scene.status(), metric)
        if self._shown.get("status") != text:
            self._shown["status"] = self._status.content = text
        overlay = self._scene.get(scene.OVERLAY)
        if overlay is not None and overlay is not self._shown.get("overlay"):
            self._shown["overlay"] = self._overlay.image = overlay
        if self._scene.version(scene.KEYFRAMES) != self._shown.get("keyframes"):
            self._shown["keyframes"] = self._scene.version(scene.KEYFRAMES)
            self._update_timeline()

    def _build_ask(self) -> None:
        form = self._gui.add_form(None)
        with form:
            self._words = self._gui.add_text("words", "", hint="things, separated by commas")
        self._about_selected = self._gui.add_checkbox(
            "chosen keyframe", False, hint="instead of the newest one: that of the timeline"
        )
        self._look = self._gui.add_checkbox("look there", True, hint="move the view behind the camera that saw it")
        ask = self._gui.add_button("Ask")
        self._answer = self._gui.add_markdown("Type what to look for, such as: chair, a wooden table")
        self._answer_picture = self._gui.add_image(EMPTY, label="answer", visible=False)
        clear = self._gui.add_button("Clear the answer")
        keep = self._gui.add_button("Look for these in every keyframe")
        self._kept = self._gui.add_markdown("")
        self._overlay = self._gui.add_image(EMPTY, label="every keyframe (~/segmentation/overlay)")
        form.on_submit(lambda event: self._ask(event.client))
        ask.on_click(lambda event: self._ask(event.client))
        clear.on_click(lambda _: self._clear_answer())
        keep.on_click(lambda _: self._keep_looking())

    def _ask(self, client: viser.ClientHandle | None) -> None:
        chosen = self._keyframe.id if self._about_selected.value and self._keyframe else None
        self._answer.content = "Asking …"
        try:
            answer = self._asking.ask(self._words.value, chosen)
        except ViewerError as error:
            self._answer.content = f"**No:** {plain(str(error), 500)}"
            return
        self._answer.content = answer_text(answer)
        self._answer_picture.image = answer_picture(answer, self._scene.thumbnail(answer.stamp_ns))
        self._answer_picture.visible = True
        T_map_cam = self._scene.pose(answer.stamp_ns)
        if client is not None and T_map_cam is not None and self._look.value:
            self._stage.look_at_what(client, T_map_cam)

    def _clear_answer(self) -> None:
        self._scene.put(scene.ANSWER, None)
        self._answer.content = ""
        self._answer_picture.visible = False

    def _keep_looking(self) -> None:
        try:
            texts = self._asking.keep_looking(self._words.value)
        except ViewerError as error:
            self._kept.content = f"**No:** {plain(str(error), 500)}"
            return
        self._kept.content = f"Looking for: {', '.join(plain(t, 40) for t in texts) or 'nothing'}"

    def _build_keyframes(self) -> None:
        self._timeline = self._gui.add_slider("timeline", 0, 1, 1, 0, disabled=True)
        self._follow = self._gui.add_checkbox("follow the newest", True)
        self._keyframe_text = self._gui.add_markdown("No keyframe yet.")
        self._keyframe_picture = self._gui.add_image(EMPTY)
        look = self._gui.add_button("Look from there")
        self._timeline.on_update(lambda event: self._choose(event))
        look.on_click(lambda event: self._look_from_keyframe(event.client))

    def _choose(self, event: Any) -> None:
        if event.client is not None:  # moved by a person
            self._follow.value = False
            self._show_keyframe()

    def _update_timeline(self) -> None:
        count = len(self._scene.keyframes())
        self._timeline.disabled = count < 2
        last = max(1, count - 1)
        if self._timeline.value > last:
            self._timeline.value = last
        self._timeline.max = last
        if self._follow.value and count:
            self._timeline.value = count - 1
        self._show_keyframe()

    def _show_keyframe(self) -> None:
        keyframes = self._scene.keyframes()
        if not keyframes:
            self._keyframe, self._keyframe_text.content = None, "No keyframe yet."
            return
        keyframe = keyframes[min(int(self._timeline.value), len(keyframes) - 1)]
        picture = self._scene.thumbnail(keyframe.stamp_ns)
        shown = (keyframe, picture is not None)
        placed = self._scene.pose(keyframe.stamp_ns) is not None
        self._keyframe_text.content = keyframe_text(keyframe, keyframes[0].stamp_ns, placed)
        if shown != self._shown.get("keyframe"):
            self._shown["keyframe"], self._keyframe = shown, keyframe
            self._keyframe_picture.image = EMPTY if picture is None else picture

    def _look_from_keyframe(self, client: viser.ClientHandle | None) -> None:
        T = None if self._keyframe is None else self._scene.pose(self._keyframe.stamp_ns)
        if client is not None and T is not None:
            self._stage.look_from(client, T)

    def _build_layers(self) -> None:
        for layer, name in LAYERS.items():
            box = self._gui.add_checkbox(name, True)
            box.on_update(lambda event, layer=layer: self._stage.show(layer, event.target.value))
        splats = self._gui.add_checkbox("Gaussians of the newest pair", False, hint="the node makes them on demand")
        splats.on_update(self._want_splats)
        size = self._gui.add_slider("point size", 0.25, 4.0, 0.25, 1.0)
        size.on_update(lambda event: self._stage.set_point_size(event.target.value))

    def _want_splats(self, event: Any) -> None:
        self.splats_wanted = event.target.value

    def _build_view(self) -> None:
        self._kind = self._gui.add_dropdown("draw", KINDS)
        draw = self._gui.add_button("Draw what is seen from here", hint="by the node's ~/render_view")
        self._view_text = self._gui.add_markdown("The node draws its map from where you look.")
        self._view_picture = self._gui.add_image(EMPTY, visible=False)
        draw.on_click(lambda event: self._draw(event.client))

    def _draw(self, client: viser.ClientHandle | None) -> None:
        if client is None:
            return
        camera = client.camera
        T_map_cam = np.eye(4)
        T_map_cam[:3, :3] = transforms.SO3(camera.wxyz).as_matrix()
        T_map_cam[:3, 3] = camera.position
        self._view_text.content = "Drawing …"
        try:
            lens = lens_of_view(camera.fov, camera.aspect, DRAWN_HEIGHT)
            picture, note = self._asking.draw(self._kind.value, T_map_cam, lens, self._words.value)
        except ViewerError as error:
            self._view_text.content = f"**No:** {plain(str(error), 500)}"
            self._view_picture.visible = False
            return
        self._view_text.content = plain(note, 500)
        self._view_picture.image = picture
        self._view_picture.visible = True

    def _build_save(self) -> None:
        self._name = self._gui.add_text("name", "map", hint="in the node's folder (parameter map_directory)")
        form = self._gui.add_dropdown("format", ("map", "ply"))
        overwrite = self._gui.add_checkbox("replace what is there", False)
        save = self._gui.add_button("Save the map")
        load = self._gui.add_button("Load the map of this name", hint="replaces the node's map")
        self._told = self._gui.add_markdown("")
        save.on_click(
            lambda _: self._tell(lambda: self._asking.save(self._name.value, form.value, overwrite.value))
        )
        load.on_click(lambda _: self._tell(lambda: self._asking.load(self._name.value)))

    def _tell(self, work: Callable[[], str]) -> None:
        """Do something and show what it says, or why it was refused."""
        self._told.content = "Working …"
        try:
            self._told.content = plain(work(), 500)
        except ViewerError as error:
            self._told.content = f"**No:** {plain(str(error), 500)}"

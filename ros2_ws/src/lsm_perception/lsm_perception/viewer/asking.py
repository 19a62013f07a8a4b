"""Questions to the node on behalf of the panel: one at a time, each ends with a result or one clear line."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from lsm_perception.conversions.semantics import overlay
from lsm_perception.viewer import requests, scene
from lsm_perception.viewer.decode import answer_of, depth_of, image_of, mask_labels
from lsm_perception.viewer.errors import ViewerError
from lsm_perception.viewer.lens import Lens
from lsm_perception.viewer.options import ViewerOptions
from lsm_perception.viewer.pictures import depth_picture
from lsm_perception.viewer.records import Answer, Matrix, Rgb
from lsm_perception.viewer.scene import Scene

COLOUR, DEPTH, WORDS, FEATURES = KINDS = ("colour", "depth", "words of the tab Ask", "language features")


class Caller(Protocol):
    """What asks a service."""

    def call(self, name: str, request: Any) -> Any:
        """Return the reply, or raise ViewerError."""


class Asking:
    """The viewer's questions and wishes."""

    def __init__(self, link: Caller, found: Scene, options: ViewerOptions) -> None:
        self._link = link
        self._scene = found
        self._options = options
        self._turn = threading.Lock()

    def ask(self, line: str, keyframe_id: int | None) -> Answer:
        """Ask where the words of a line are, and put the answer into the scene.

        Raises:
            ViewerError: there are no words, the node refuses, or another question is open.
        """
        texts = words_of(line)
        with self._one_at_a_time():
            reply = self._link.call("query_text", requests.question(texts, keyframe_id, self._options.camera))
            answer = answer_of(reply, texts, self._options.max_points)
            self._scene.put(scene.ANSWER, answer)
            return answer

    def keep_looking(self, line: str) -> Sequence[str]:
        """Look for the words of a line in every keyframe from now on; return what is looked for.

        Raises:
            ViewerError: as for `ask`; no words are fine, and end it.
        """
        with self._one_at_a_time():
            texts = requests.words_in(line)
            return list(self._link.call("set_queries", requests.standing_queries(texts)).texts)

    def draw(self, kind: str, T_map_cam: Matrix, lens: Lens, line: str) -> tuple[Rgb, str]:
        """Return the node's picture of its map from a pose, and a line about it.

        Args:
            kind: one of KINDS.
            T_map_cam: [4, 4] in the frame and unit of the map shown.
            lens: of the picture.
            line: words to mark, for WORDS.

        Raises:
            ViewerError: there is no map, or the node cannot draw it.
        """
        source = self._scene.map_source()
        if source is None:
            raise ViewerError("There is no map to draw yet.")
        texts = words_of(line) if kind == WORDS else ()
        wish = requests.view_of_map(T_map_cam, lens, source, texts, kind == FEATURES)
        with self._one_at_a_time():
            reply = self._link.call("render_view", wish)
        note = f"Drawn by the node, from its map in {'metres' if source.metric else 'its own unit'}."
        if kind == DEPTH:
            return depth_picture(depth_of(reply.depth)), note
        if kind == FEATURES:
            return image_of(reply.features_image), note
        picture = image_of(reply.image)
        if kind == WORDS:
            picture = overlay(picture, mask_labels(reply.masks, picture.shape), len(texts), opacity=0.6)
            found = ", ".join(f"{t} {p:.2f}" for t, p in zip(texts, reply.presence, strict=True))
            note += f" In view: {found}."
        return picture, note

    def save(self, name: str, form: str, overwrite: bool) -> str:
        """Save the map in the node's folder; return what was written.

        Raises:
            ViewerError: no name, or the node refuses.
        """
        if not name.strip():
            raise ViewerError("Give the map a name.")
        with self._one_at_a_time():
            reply = self._link.call("save_map", requests.save(name.strip(), form, overwrite))
        size = f"{reply.bytes / 1e6:.1f} MB, {reply.keyframes} keyframes, {reply.points} points"
        return f"{reply.path}: {size}"

    def load(self, name: str) -> str:
        """Replace the node's map by a saved one; return what was read.

        Raises:
            ViewerError: no name, or the node refuses.
        """
        if not name.strip():
            raise ViewerError("Give the map a name.")
        with self._one_at_a_time():
            reply = self._link.call("load_map", requests.load(name.strip()))
        return f"Loaded: {reply.keyframes} keyframes, {reply.points} points."

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if not self._turn.acquire(blocking=False):
            raise ViewerError("The node is still busy with the last wish.")
        try:
            yield
        finally:
            self._turn.release()


def words_of(line: str) -> tuple[str, ...]:
    """Return the words of a line; raise ViewerError when there are none."""
    texts = requests.words_in(line)
    if not texts:
        raise ViewerError("Type what to look for, such as: chair, a wooden table")
    return texts

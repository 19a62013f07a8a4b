"""Pictures and films of a scene from any camera."""

from lsm_core.views.film import Film, FilmPlan, Form, make_film
from lsm_core.views.framing import Framing, frame_scene
from lsm_core.views.painter import Kind, Painter, Question, parse_kinds
from lsm_core.views.paths import along, fly_through, turntable
from lsm_core.views.saved import open_scene
from lsm_core.views.scene import Scene, scene_of

__all__ = [
    "Film",
    "FilmPlan",
    "Form",
    "Framing",
    "Kind",
    "Painter",
    "Question",
    "Scene",
    "along",
    "fly_through",
    "frame_scene",
    "make_film",
    "open_scene",
    "parse_kinds",
    "scene_of",
    "turntable",
]

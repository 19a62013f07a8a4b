"""The parts of /diagnostics and their keys, read off messages of a made-up node, with what each key means."""

from __future__ import annotations

from dataclasses import replace

from builtin_interfaces.msg import Time

from lsm_core.mapping import ScaleEstimate, ScaleSource, ScaleState
from lsm_perception.accounting import Counts
from lsm_perception.diagnostics import DiagnosticsMaker
from lsm_perception.health import CameraHealth, Health
from lsm_perception.pipeline import PairCounts
from lsm_perception.qos import input_names

PARTS: dict[str, str] = {
    "input": "what became of images",
    "model": "the model, its device, and the pairs",
    "qos": "ends of topics that cannot connect, and messages lost",
    "camera": "one camera (`camera <name>` where there are several)",
    "scale": "its scale (`scale <name>`); a rig has one",
}

KEYS: dict[str, dict[str, str]] = {
    "input": {
        "delivered": "images whose fate is decided: used + sum of dropped",
        "used": "images that became a keyframe",
        "pending": "images that wait or are in work",
        "transport_lost": "images sent that reached no callback",
        "rate_in_hz": "delivered since the last message, Hz",
        "rate_used_hz": "used since the last message, Hz",
        "last_problem": "the newest complaint",
        "last_problem_age_s": "its age, s",
        "clock": "`system`, `unset`, `simulated` or `standing`",
        "dropped.<reason>": "images not used, by reason ([node.md](node.md#what-becomes-of-an-image))",
        "silent.<topic>": "why nothing comes on a topic",
    },
    "model": {
        "state": "lifecycle state",
        "backend": "name of the model",
        "device": "its torch device",
        "memory_mib": "resident memory of the process, MiB",
        "device_memory_mib": "memory held on the device, MiB; 0 on a CPU",
        "waiting": "images that wait for the model",
        "out_of_memory": "how often memory ran out",
        "output_age_s": "since products were last published, s",
        "keyframes": "made so far",
        "pairs": "inferred so far",
        "pairs_accepted": "whose pose was accepted",
        "rejected.<reason>": "whose pose was not, by reason",
    },
    "qos": {
        "incompatible.<topic>.<policy>": "peers that could not connect, by policy",
        "lost.<topic>": "messages that the middleware reports as lost",
    },
    "camera": {
        "topic": "of its images",
        "publishers": "of that topic",
        "images": "received since activation",
        "rate_hz": "received since the last message, Hz",
        "image_age_s": "since the newest came, s",
        "stamp_offset_s": "stamp of the newest less the node's clock on arrival, s",
        "transport_lost": "images sent that reached no callback",
        "calibration": "`calibrated`, `image-only: why` or `refused: why`",
        **{f"{name}_age_s": f"since the newest `{name}` came, s" for name in ("camera_info", "depth", "mask")},
        **{f"{name}_topic": f"where `{name}` is listened to" for name in ("camera_info", "depth", "mask")},
    },
    "scale": {
        "state": "`unknown`, `metric` or `degraded`",
        "source": "as `Scale.source`",
        "metres_per_unit": "as `Scale.metres_per_unit`; nan while unknown",
        "spread": "as `Scale.spread`",
        "epoch": "as `Scale.epoch`",
        "samples": "as `Scale.samples`",
        "reason": "why there are no metres, as far as the sources know",
    },
}


def example_keys() -> dict[str, list[str]]:
    """Return the keys of each part, in their order, as the maker of the messages writes them."""
    maker = DiagnosticsMaker("/node")
    message = maker.message(_example(), Time())
    return {status.name.rpartition(": ")[2]: [pair.key for pair in status.values] for status in message.status}


def _example() -> Health:
    """Return the health of a node to which everything that adds a key has happened."""
    scale = ScaleEstimate(ScaleState.METRIC, ScaleSource.ODOMETRY, 1.0, 0.0, 1, 3, 0)
    of_camera = [name for name in input_names() if name not in ("image", "odom")]
    ages, topics = dict.fromkeys(of_camera, 0.0), {name: f"/{name}" for name in of_camera}
    camera = CameraHealth("", "/image", 1, 0.0, 0.0, 1, 0, "calibrated", scale, "", ages, topics)
    counts = replace(Counts(), delivered=1, dropped={"<reason>": 1})
    return Health(
        state="active",
        backend="lsm-tiny",
        device="cpu",
        memory_mib=0.0,
        device_memory_mib=0.0,
        counts=counts,
        pairs=PairCounts(1, 1, 0, {"<reason>": 1}),
        waiting=0,
        worker_alive=True,
        output_age_s=0.0,
        cameras=(camera,),
        silent={"<topic>": ""},
        events={"incompatible.<topic>.<policy>": 1, "lost.<topic>": 1},
    )

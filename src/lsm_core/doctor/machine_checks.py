"""All checks that need no ROS, in the order of the report."""

from __future__ import annotations

from collections.abc import Iterator

from lsm_core.doctor import device, machine, packages, python_environment, weights
from lsm_core.doctor.finding import Fault, Finding
from lsm_core.doctor.settings import Settings

FAULTS: tuple[Fault, ...] = (
    *python_environment.FAULTS,
    *packages.FAULTS,
    *device.FAULTS,
    *weights.FAULTS,
    *machine.FAULTS,
)
OWN_WORDS = ("auto", "model", "none")  # values of `semantics` that name no files


def machine_findings(settings: Settings) -> Iterator[Finding]:
    """Check the machine, one finding after the other."""
    yield python_environment.check_version()
    yield python_environment.check_launcher()
    yield packages.check_package("numpy", "numpy", "NumPy")
    yield packages.check_opencv()
    yield from device.check_torch(settings.get("device", "auto"))
    yield device.check_threads(device.default_threads(), device.usable_cores())
    yield packages.check_package("numba", "numba", "Numba")
    yield packages.check_package("poselib", "poselib", "PoseLib", needed=False)
    yield packages.check_package("rosbags", "rosbags", "rosbags")
    yield weights.check_shipped()
    yield weights.check_text_encoder()
    yield from model_findings(
        settings.get("backend"),
        settings.get("weights"),
        settings.get("semantics"),
        settings.get("semantics_weights"),
        settings.get("device", "auto"),
    )
    yield machine.check_disk()
    yield machine.check_egl()


def model_findings(
    backend: str, backend_weights: str, semantics: str, semantics_weights: str, where: str
) -> Iterator[Finding]:
    """Check the weights of the models named, and whether the device holds them; "" names none."""
    wanted = [(backend, backend_weights)] if backend and (backend, backend_weights) != ("lsm-tiny", "") else []
    source = "lseg" if semantics in ("", "auto") and semantics_weights else semantics
    if source and source not in OWN_WORDS and (source, semantics_weights) != ("lsm-tiny", ""):
        wanted.append((source, semantics_weights))
    size = 0
    for model, place in wanted:
        finding, checked = weights.check_named(model, place)
        yield finding
        size += 0 if checked is None else checked.size_bytes
    if size:
        complaint = device.memory_finding(device.torch_state(), where, size, " with ".join(m for m, _ in wanted))
        if complaint is not None:
            yield complaint

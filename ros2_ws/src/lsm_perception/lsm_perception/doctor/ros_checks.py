"""All checks of ROS, in the order of the report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from lsm_core.doctor import Fault, Finding, Settings, model_findings
from lsm_core.doctor.device import check_threads, check_torch, usable_cores
from lsm_core.doctor.ros_half import REFUSED
from lsm_perception.beside import Beside
from lsm_perception.dds_profile import VARIABLE, use_profile
from lsm_perception.doctor import (
    camera_calibration,
    clock,
    environment,
    installation,
    loopback,
    middleware,
    nodes,
    outputs,
    qos_pairs,
    stamps,
    topics,
    transforms,
)
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.loopback import Loopback
from lsm_perception.doctor.probe import Probe
from lsm_perception.doctor.session import Session

Told = Callable[[str], None]

FAULTS: tuple[Fault, ...] = (
    *environment.FAULTS,
    *installation.FAULTS,
    *middleware.FAULTS,
    *loopback.FAULTS,
    *nodes.FAULTS,
    *topics.FAULTS,
    *camera_calibration.FAULTS,
    *stamps.FAULTS,
    *qos_pairs.FAULTS,
    *transforms.FAULTS,
    *clock.FAULTS,
    *outputs.FAULTS,
)


def ros_findings(settings: Settings, seconds: float, told: Told) -> Iterator[Finding]:
    """Check the ROS installation, the middleware and the running robot.

    Args:
        settings: of the user.
        seconds: to look and listen.
        told: takes a line on what goes on.
    """
    told("Looking at the ROS installation")
    user = dict(os.environ)  # before our own settings are named in it
    round_trip = Beside("cv_bridge", installation.run_round_trip)
    yield from environment.environment_findings(user)
    yield from installation.installation_findings()
    yield from middleware.middleware_findings(user)
    try:
        probe = join(settings)
    except Exception as error:  # rclpy raises what the middleware gives
        yield installation.judge_round_trip(*round_trip.result())
        yield REFUSED.seen("Graph", " ".join(str(error).split())[:400])
        return
    with probe:
        echo = Loopback(probe.node, user)
        try:
            evidence = Session(probe, settings).gather(seconds, told)
            yield installation.judge_round_trip(*round_trip.result())
            yield echo.finding()
        finally:
            echo.close()
    yield from judge(evidence)


def join(settings: Settings) -> Probe:
    """Join the graph with our settings of Fast DDS, and leave the environment as it was."""
    ours = use_profile()
    try:
        return Probe(settings.get("namespace"))
    finally:
        if ours is not None:
            os.environ.pop(VARIABLE, None)


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Judge what was seen and heard."""
    said: list[Finding] = []
    for check in (
        nodes.node_findings,
        topics.topic_findings,
        camera_calibration.calibration_findings,
        stamps.stamp_findings,
        qos_pairs.qos_findings,
        transforms.transform_findings,
        clock.clock_findings,
        outputs.output_findings,
        model_of_nodes,
    ):
        for finding in check(evidence):
            said.append(finding)
            yield finding
    yield from nodes.complaint_findings(evidence, said)


def model_of_nodes(evidence: Evidence) -> Iterator[Finding]:
    """Check weights, device and threads that the running nodes ask for; files are looked for on this machine."""
    for target in evidence.targets:
        if not target.answered:
            continue
        device = str(target["device"])
        yield from (finding for finding in check_torch(device) if finding.level != "ok")
        yield from model_findings(
            str(target["backend"]),
            str(target["weights"]),
            str(target["semantics.source"]),
            str(target["semantics.weights"]),
            device,
        )
        threads = int(target["num_threads"])
        if threads and device != "cuda":
            yield check_threads(threads, usable_cores())

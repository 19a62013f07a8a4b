"""A killed run goes on exactly; two processes give the gradients of one; what a run leaves can be used."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gradients_of_processes import write_gradients
from system_runs import ALONE, smoke, trainer

from lsm_core.backends.registry import load_backend
from lsm_core.backends.seeded import sized_options
from lsm_core.training.checkpoint import load_state
from lsm_core.training.processes import Processes

OWN = "preset: smoke\nrun: {steps: 16, checkpoint_steps: 4, batch: 1}\nfitting: {height: 32, width: 32}\n"
LIMIT_S = 600


def command(out: Path, config: Path) -> list[str]:
    words = ["train", "noposplat", "--data", "boxes:1", "--config", str(config), "--out", str(out)]
    return [sys.executable, "-m", "lsm_core.cli.main", *words, "--threads", "1", "--device", "cpu", "--json"]


def logged_steps(out: Path) -> int:
    path = out / "log.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def test_a_run_that_is_killed_ends_in_the_same_weights_bit_by_bit(tmp_path: Path) -> None:
    config, straight, killed = tmp_path / "own.yaml", tmp_path / "straight", tmp_path / "killed"
    config.write_text(OWN)
    subprocess.run(command(straight, config), check=True, capture_output=True, timeout=LIMIT_S)
    process = subprocess.Popen(command(killed, config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LIMIT_S
    while logged_steps(killed) < 6 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    state = load_state(killed)
    assert state is not None and 4 <= state.step < 16
    done = subprocess.run(command(killed, config), check=True, capture_output=True, timeout=LIMIT_S)
    assert json.loads(done.stdout)["steps"] == 16
    a, b = load_state(straight), load_state(killed)
    assert a is not None and b is not None and a.step == b.step == 16
    for part in ("model", "average"):
        for key, value in getattr(a, part).items():
            assert torch.equal(value, getattr(b, part)[key]), key
    for key, moments in a.optimiser["state"].items():
        assert all(torch.equal(moments[name], b.optimiser["state"][key][name]) for name in moments)
    losses = [
        [(row["step"], row["loss"]) for row in map(json.loads, (out / "log.jsonl").read_text().splitlines())]
        for out in (straight, killed)
    ]
    assert losses[0] == losses[1] and [step for step, _ in losses[0]] == list(range(1, 17))


def test_two_processes_give_the_gradients_of_one_with_the_joined_batch(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    script = Path(__file__).with_name("gradients_of_processes.py")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = [*torchrun, str(script), str(tmp_path / "two")]
    subprocess.run(words, check=True, capture_output=True, timeout=LIMIT_S, env=environment)
    (tmp_path / "one").mkdir()
    write_gradients(tmp_path / "one", ALONE)
    one, two = (torch.load(tmp_path / name / "gradients.pt", weights_only=True) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-6, msg=name)
    assert sum(float(value.abs().sum()) for value in one.values()) > 0.01


def test_processes_share_a_batch_without_repeating_a_sample(tmp_path: Path) -> None:
    """The samples of a step are numbered over processes and forward passes."""
    config = smoke("noposplat", batch=1, accumulate=2)
    parts = [
        trainer("noposplat", tmp_path / str(rank), config, Split(rank, 2, torch.device("cpu"))) for rank in (0, 1)
    ]
    alone = trainer("noposplat", tmp_path / "one", smoke("noposplat", batch=2, accumulate=2))
    for micro, batch in enumerate(alone.batches(5)):
        shared = torch.cat([part.batches(5)[micro].context.image for part in parts])
        assert torch.equal(shared, batch.context.image)


class Split(Processes):
    """Several processes as far as data are concerned; nothing is exchanged."""

    def parallel(self, module: torch.nn.Module) -> torch.nn.Module:
        return module

    def check_equal(self, value: int, what: str) -> None:
        pass


def test_accumulated_batches_give_the_gradients_of_a_joined_one(tmp_path: Path) -> None:
    gradients = []
    for batch, accumulate in ((2, 1), (1, 2)):
        run = trainer("pixelsplat", tmp_path / str(batch), smoke("pixelsplat", batch=batch, accumulate=accumulate))
        run.system.eval()  # statistics of batches would differ
        network = run.system.network
        config = replace(run.system.config.network, gaussians_per_pixel=1)  # type: ignore[union-attr]
        network.decode = likeliest(network.decode)  # type: ignore[method-assign,operator,assignment]
        run.system.config = replace(run.system.config, network=config)  # type: ignore[arg-type,union-attr]
        for micro, part in enumerate(run.batches(0)):
            run.backward(part, micro, True)
        gradients.append({name: p.grad for name, p in network.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, value in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], value, rtol=1e-3, atol=1e-6, msg=name)


def likeliest(decode):  # type: ignore[no-untyped-def]
    """Take the most probable depth, so that nothing is drawn from a generator."""
    return lambda pixels, cameras, size, uniform: decode(pixels, cameras, size, None)


@pytest.mark.parametrize("name", ["splatt3r", "noposplat", "pixelsplat"])
def test_exported_weights_are_the_average_and_load_as_a_backend(name: str, tmp_path: Path) -> None:
    config = smoke(name, steps=2, batch=1)
    run = trainer(name, tmp_path, replace(config, fitting=replace(config.fitting, height=32, width=32)))
    path = run.run()
    own = run.system.network.state_dict()
    exported = torch.load(path, weights_only=True)["state_dict"]
    assert run.average is not None
    for key, value in run.average.state.items():
        assert torch.equal(exported[f"encoder.{key}"], value), key
    assert any(not torch.equal(exported[f"encoder.{key}"], value) for key, value in own.items())
    backend = load_backend(name, "cpu", path, options=sized_options(name, 64))
    assert backend.name == name


def test_a_step_with_a_gradient_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    run = trainer("noposplat", tmp_path)
    batch = run.batches(0)[0]
    batch.targets.image[0] = float("nan")
    before = {key: value.clone() for key, value in run.system.network.state_dict().items()}
    run.train_step([batch])
    assert run.step == 1
    assert all(torch.equal(value, before[key]) for key, value in run.system.network.state_dict().items())

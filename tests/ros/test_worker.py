"""The inference thread and the accounting of images: newest wins, nothing stops it, every image ends once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest
from waiting import wait_until

pytest.importorskip("torch")

from lsm_perception.accounting import Account, Drop
from lsm_perception.bandwidth import RateCap
from lsm_perception.worker import Job, Worker

Current = Callable[[], bool]


class Gatekeeper:
    """A processing function that waits for permission and remembers what it did."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.started = threading.Event()
        self.done: list[tuple[int, bool]] = []

    def __call__(self, job: Job[int], is_current: Current) -> None:
        self.started.set()
        assert self.go.wait(10)
        self.done.append((job.payload, is_current()))
        job.ticket.use()


@pytest.fixture
def work() -> Gatekeeper:
    return Gatekeeper()


def start(process: Callable[[Job[int], Current], None]) -> Worker[int]:
    worker: Worker[int] = Worker(process)
    worker.start()
    return worker


def test_newest_image_replaces_the_waiting_one(work: Gatekeeper) -> None:
    account, worker = Account(), start(work)
    worker.submit("", 0, account.open())
    assert work.started.wait(5)
    for payload in (1, 2, 3):
        worker.submit("", payload, account.open())
    assert worker.waiting == 1
    work.go.set()
    assert worker.wait_idle(5)
    assert [payload for payload, _ in work.done] == [0, 3]
    assert account.counts().dropped == {Drop.SUPERSEDED: 2} and account.counts().used == 2
    worker.stop(5)


def test_image_that_yields_leaves_the_waiting_one(work: Gatekeeper) -> None:
    account, worker = Account(), start(work)
    worker.submit("", 0, account.open())
    assert work.started.wait(5)
    worker.submit("", 1, account.open())
    worker.submit("", 2, account.open(), yields=True)
    work.go.set()
    assert worker.wait_idle(5)
    assert [payload for payload, _ in work.done] == [0, 1]
    worker.stop(5)


def test_every_image_that_is_dropped_here_is_told_with_its_reason() -> None:
    told: list[tuple[str, int, Drop]] = []
    go, started = threading.Event(), threading.Event()

    def process(job: Job[int], is_current: Current) -> None:
        started.set()
        assert go.wait(10)
        if job.payload == 6:
            raise ValueError("broken")
        job.ticket.use()

    account = Account()
    worker: Worker[int] = Worker(process, on_drop=lambda *drop: told.append(drop))
    worker.submit("", 9, account.open())
    worker.start()
    worker.submit("", 0, account.open())
    assert started.wait(5)
    for payload in (1, 2, 3):
        worker.submit("", payload, account.open(), yields=payload == 2)
    worker.reset("")
    worker.submit("", 6, account.open())
    go.set()
    assert worker.wait_idle(5)
    go.clear()
    started.clear()
    worker.submit("", 7, account.open())
    assert started.wait(5)
    worker.submit("", 8, account.open())
    threading.Timer(0.2, go.set).start()
    assert worker.stop(5)
    assert [(payload, reason) for _, payload, reason in told] == [
        (9, Drop.INACTIVE),
        (2, Drop.SUPERSEDED),
        (1, Drop.SUPERSEDED),
        (3, Drop.RESET),
        (6, Drop.INTERNAL),
        (8, Drop.INACTIVE),
    ]
    counts = account.counts()
    assert counts.used == 2 and sum(counts.dropped.values()) == len(told)


def test_a_listener_that_fails_does_not_stop_the_worker(work: Gatekeeper) -> None:
    def fail(*_drop: object) -> None:
        raise ValueError("deaf")

    account = Account()
    worker: Worker[int] = Worker(work, on_drop=fail)
    worker.start()
    worker.submit("", 0, account.open())
    assert work.started.wait(5)
    worker.submit("", 1, account.open())
    worker.submit("", 2, account.open())
    work.go.set()
    assert worker.wait_idle(5) and worker.alive
    assert [payload for payload, _ in work.done] == [0, 2]
    worker.stop(5)


def test_cameras_take_turns(work: Gatekeeper) -> None:
    account, worker = Account(), start(work)
    worker.submit("left", 0, account.open())
    assert work.started.wait(5)
    worker.submit("left", 1, account.open())
    worker.submit("right", 2, account.open())
    worker.submit("left", 3, account.open())
    work.go.set()
    assert worker.wait_idle(5)
    assert [payload for payload, _ in work.done] == [0, 3, 2]
    worker.stop(5)


def test_reset_drops_what_waits_and_outdates_what_is_in_work(work: Gatekeeper) -> None:
    account, worker = Account(), start(work)
    worker.submit("left", 0, account.open())
    assert work.started.wait(5)
    worker.submit("left", 1, account.open())
    worker.submit("right", 2, account.open())
    worker.reset("left")
    work.go.set()
    assert worker.wait_idle(5)
    assert work.done == [(0, False), (2, True)]
    assert account.counts().dropped == {Drop.RESET: 1}
    worker.stop(5)


def test_errors_are_counted_and_the_thread_goes_on() -> None:
    def process(job: Job[int], _is_current: Current) -> None:
        if job.payload % 2:
            raise RuntimeError("boom")
        job.ticket.use()

    account, worker = Account(), start(process)
    for payload in range(6):
        worker.submit("", payload, account.open())
        assert worker.wait_idle(5)
    assert account.counts().used == 3 and account.counts().dropped == {Drop.INTERNAL: 3}
    assert worker.alive and "boom" in worker.last_error
    worker.stop(5)


def test_a_forgotten_account_is_settled() -> None:
    account, worker = Account(), start(lambda _job, _is_current: None)
    worker.submit("", 0, account.open())
    assert worker.wait_idle(5)
    assert account.counts().pending == 0 and account.counts().dropped == {Drop.INTERNAL: 1}
    worker.stop(5)


def test_stop_drops_what_waits_and_refuses_more(work: Gatekeeper) -> None:
    account, worker = Account(), start(work)
    worker.submit("", 0, account.open())
    assert work.started.wait(5)
    worker.submit("", 1, account.open())
    threading.Timer(0.1, work.go.set).start()
    assert worker.stop(5) and not worker.alive
    worker.submit("", 2, account.open())
    assert account.counts().dropped == {Drop.INACTIVE: 2} and work.done == [(0, False)]
    worker.start()
    worker.submit("", 3, account.open())
    assert worker.wait_idle(5) and work.done[-1] == (3, True)
    worker.stop(5)


def test_stop_reports_an_inference_that_does_not_end(work: Gatekeeper) -> None:
    worker = start(work)
    worker.submit("", 0, Account().open())
    assert work.started.wait(5)
    assert not worker.stop(0.05)
    work.go.set()
    assert wait_until(lambda: not worker.alive)


def test_a_start_during_the_last_job_makes_no_second_thread_and_publishes_nothing_of_before(
    work: Gatekeeper,
) -> None:
    account, worker = Account(), start(work)
    worker.submit("", 0, account.open())
    assert work.started.wait(5)
    first = {t for t in threading.enumerate() if t.name == "worker"}
    assert not worker.stop(0.05)
    worker.start()
    worker.submit("", 1, account.open())
    assert {t for t in threading.enumerate() if t.name == "worker"} == first
    work.go.set()
    assert worker.wait_idle(5) and worker.alive
    assert work.done == [(0, False), (1, True)]
    worker.stop(5)


def test_starting_and_stopping_at_once_never_leaves_a_worker_without_its_thread() -> None:
    worker = start(lambda job, _is_current: job.ticket.use() and None)
    for _ in range(300):
        worker.stop(0.0)
        worker.start()
    account = Account()
    worker.submit("", 0, account.open())
    assert worker.wait_idle(5) and account.counts().used == 1
    assert sum(t.name == "worker" for t in threading.enumerate()) == 1
    assert worker.stop(5) and not worker.alive


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_a_model_that_wants_to_end_the_process_does_not_end_the_thread(error: BaseException) -> None:
    def process(job: Job[int], _is_current: Current) -> None:
        if job.payload == 0:
            raise error
        job.ticket.use()

    account, worker = Account(), start(process)
    for payload in range(2):
        worker.submit("", payload, account.open())
        assert worker.wait_idle(5)
    assert worker.alive and account.counts().used == 1 and account.counts().dropped == {Drop.INTERNAL: 1}
    worker.stop(5)


def test_counts_add_up_at_every_moment_under_load() -> None:
    account = Account()
    worker = start(lambda job, _current: time.sleep(0.0005) or (job.ticket.use() and None))
    sums: list[bool] = []

    def feed(seed: int) -> None:
        chance = random.Random(seed)
        for payload in range(300):
            worker.submit(f"camera{chance.randrange(3)}", payload, account.open())
            if chance.random() < 0.02:
                worker.reset(f"camera{chance.randrange(3)}")
            counts = account.counts()
            sums.append(counts.delivered == counts.used + sum(counts.dropped.values()))

    threads = [threading.Thread(target=feed, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.wait_idle(10)
    counts = account.counts()
    assert all(sums) and counts.delivered == 1200 and counts.pending == 0
    worker.stop(5)


def test_an_account_is_settled_once() -> None:
    account = Account()
    ticket = account.open()
    assert account.counts().pending == 1 and account.counts().delivered == 0
    assert ticket.use() and not ticket.drop(Drop.STALE) and not ticket.use()
    assert (account.counts().used, account.counts().dropped, account.counts().pending) == (1, {}, 0)


def test_clearing_counts_keeps_images_in_work() -> None:
    account = Account()
    waiting, settled = account.open(), account.open()
    settled.drop(Drop.BLANK)
    account.clear()
    assert account.counts().delivered == 0 and account.counts().pending == 1
    waiting.use()
    assert account.counts().used == 1 == account.counts().delivered


def test_rate_cap_holds_on_average_and_lets_a_large_message_pass_when_full() -> None:
    now = [0.0]
    cap = RateCap(1000.0, lambda: now[0])
    sent = 0
    for _ in range(1000):
        now[0] += 0.01
        if cap.allow(100):
            sent += 100
    assert 9_000 <= sent <= 11_100
    now[0] += 10
    assert cap.allow(50_000)
    now[0] += 1
    assert not cap.allow(1)  # the large one is still being paid for
    now[0] += 60
    assert cap.allow(1)
    cap.set_rate(0)
    assert all(cap.allow(10**9) for _ in range(5))

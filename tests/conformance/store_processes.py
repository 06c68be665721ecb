"""Many processes on one store: each task exactly once, whoever is killed, and nothing shared across a fork."""

from __future__ import annotations

import multiprocessing
import random
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest
from conformance.store_base import StoreBase, candidates, reserved

from omniforge.store import EventRecord, Store, open_store

_fork = multiprocessing.get_context("fork")
_DEADLINE_S = 60.0


def run_in_processes(count: int, target: Callable[..., None], *args: object) -> None:
    processes = [_fork.Process(target=target, args=(index, *args)) for index in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_DEADLINE_S)
    assert [process.exitcode for process in processes] == [0] * count


def work_until_done(index: int, url: str, job: str, lease_s: float) -> None:
    """Reserve and report until every task of the job has ended."""
    with open_store(url) as store:
        while True:
            task = store.broker.reserve(job, f"w{index}", lease_s=lease_s)
            if task is None:
                counts = store.broker.counts(job)
                if counts["pending"] + counts["reserved"] + counts["running"] == 0:
                    return
                store.broker.wait_for_work(job, 0.5)
                continue
            assert store.broker.report(store.broker.start(task), "succeeded", {"worker": index})


def number_of(worker_id: str | None) -> int:
    assert worker_id is not None
    return int(worker_id.removeprefix("w"))


class ProcessesSuite(StoreBase):
    @pytest.fixture
    def real_store(self, store_url: str) -> Store:
        """A store on the database's own clock, as production has it."""
        store = open_store(store_url)
        store.jobs.create("job-1", name="one", kind="nocode", spec={})
        store.jobs.start("job-1")
        return store

    def test_each_task_is_done_exactly_once_by_many_processes(self, real_store: Store) -> None:
        real_store.broker.put("job-1", candidates(120))
        run_in_processes(6, work_until_done, real_store.url, "job-1", 60)
        tasks = real_store.broker.tasks("job-1")
        assert {task.state for task in tasks} == {"succeeded"}
        assert {task.attempt for task in tasks} == {1}
        assert all(task.rewards["worker"] == number_of(task.worker_id) for task in tasks)
        assert len({task.worker_id for task in tasks}) > 1

    def test_who_reads_only_changes_misses_none(self, real_store: Store) -> None:
        real_store.broker.put("job-1", candidates(80))
        processes = [
            _fork.Process(target=work_until_done, args=(index, real_store.url, "job-1", 60)) for index in range(4)
        ]
        for process in processes:
            process.start()
        done: set[int] = set()
        position = 0
        deadline = time.monotonic() + _DEADLINE_S
        while len(done) < 80 and time.monotonic() < deadline:
            after, position = position, real_store.broker.position("job-1")
            done |= {task.id for task in real_store.broker.tasks("job-1", changed_after=after) if task.finished}
        for process in processes:
            process.join()
        assert len(done) == 80

    def test_puts_of_many_processes_number_the_tasks_without_gaps(self, real_store: Store) -> None:
        def put(index: int, url: str) -> None:
            with open_store(url) as store:
                for _ in range(5):
                    store.broker.put("job-1", candidates(2))

        run_in_processes(4, put, real_store.url)
        assert sorted(task.number for task in real_store.broker.tasks("job-1")) == list(range(1, 41))

    def test_only_one_of_many_reports_of_an_attempt_is_accepted(self, real_store: Store) -> None:
        real_store.broker.put("job-1", candidates(10))
        tasks = [reserved(real_store, "job-1", "w") for _ in range(10)]
        receiver, sender = _fork.Pipe(duplex=False)

        def report(index: int, url: str) -> None:
            with open_store(url) as store:
                sender.send([store.broker.report(task, "succeeded", {"from": index}) for task in tasks])

        run_in_processes(4, report, real_store.url)
        accepted = [receiver.recv() for _ in range(4)]
        assert [sum(column) for column in zip(*accepted, strict=True)] == [1] * 10

    def test_events_become_visible_in_the_order_of_their_numbers(self, real_store: Store) -> None:
        def append(index: int, url: str) -> None:
            with open_store(url) as store:
                for n in range(25):
                    store.events.append("job-1", "note", {"from": index, "n": n})

        start = last = real_store.events.since("job-1")[-1].seq
        processes = [_fork.Process(target=append, args=(index, real_store.url)) for index in range(4)]
        for process in processes:
            process.start()
        seen: list[EventRecord] = []
        while len(seen) < 100:
            found = real_store.events.watch("job-1", last, _DEADLINE_S)
            assert found, "no event came"
            last = found[-1].seq
            seen += found
        for process in processes:
            process.join()
        assert sorted((event.payload["from"], event.payload["n"]) for event in seen) == [
            (index, n) for index in range(4) for n in range(25)
        ]
        assert [event.seq for event in seen] == [event.seq for event in real_store.events.since("job-1", start)]

    @pytest.mark.fault
    def test_a_killed_holder_loses_its_task_and_nothing_is_counted_twice(self, real_store: Store) -> None:
        real_store.broker.put("job-1", candidates(1))
        receiver, sender = _fork.Pipe(duplex=False)

        def hold(url: str, sender: Connection) -> None:
            store = open_store(url)
            task = store.broker.start(reserved(store, "job-1", "doomed", lease_s=0.5))
            sender.send(task)
            signal.pause()

        process = _fork.Process(target=hold, args=(real_store.url, sender))
        process.start()
        lost = receiver.recv()
        process.kill()
        process.join()
        assert real_store.broker.wait("job-1", lambda counts: counts["pending"] == 1, _DEADLINE_S)
        again = reserved(real_store, "job-1", "heir")
        assert (again.id, again.attempt, again.cause) == (lost.id, 2, "lost_worker")
        assert real_store.broker.report(again, "succeeded", {"score": 1.0})
        assert real_store.broker.counts("job-1")["succeeded"] == 1

    @pytest.mark.fault
    def test_workers_killed_at_any_moment_leave_every_task_done_once(self, real_store: Store) -> None:
        """Kill -9 in the middle of transactions, again and again, while others go on."""
        chance = random.Random(3)
        real_store.broker.put("job-1", candidates(150), max_attempts=100)
        arguments = (real_store.url, "job-1", 0.5)
        processes = [_fork.Process(target=work_until_done, args=(index, *arguments)) for index in range(4)]
        for process in processes:
            process.start()
        for index in range(10, 16):
            # A deadline, not a moment: it is the kill that should fall anywhere.
            processes[0].join(chance.uniform(0.02, 0.2))
            victim = processes.pop(0)
            victim.kill()
            victim.join()
            processes.append(_fork.Process(target=work_until_done, args=(index, *arguments)))
            processes[-1].start()
        for process in processes:
            process.join(_DEADLINE_S)
        assert [process.exitcode for process in processes] == [0] * 4
        tasks = real_store.broker.tasks("job-1")
        assert {task.state for task in tasks} == {"succeeded"}
        assert all(task.rewards["worker"] == number_of(task.worker_id) for task in tasks)
        released = [event for event in real_store.events.since("job-1") if event.kind == "task_released"]
        assert sum(task.attempt - 1 for task in tasks) == len(released)

    def test_a_store_works_on_both_sides_of_a_fork(self, real_store: Store) -> None:
        real_store.broker.put("job-1", candidates(40))
        real_store.broker.wait_for_work("job-1", 0)  # so that there is a watch to inherit, too

        def child(index: int) -> None:
            for _ in range(10):
                task = reserved(real_store, "job-1", f"w{index}")
                assert real_store.broker.report(task, "succeeded", {"score": 1.0})
            assert real_store.broker.wait("job-1", lambda counts: counts["succeeded"] >= 10, _DEADLINE_S)

        stop = threading.Event()

        def read_on() -> None:
            while not stop.is_set():
                real_store.broker.counts("job-1")

        # A thread is in the middle of something at each fork.
        thread = threading.Thread(target=read_on)
        thread.start()
        run_in_processes(4, child)
        stop.set()
        thread.join()
        assert real_store.broker.counts("job-1")["succeeded"] == 40

    def test_many_processes_create_the_tables_at_once(self, empty_url: str) -> None:
        def create(index: int) -> None:
            with open_store(empty_url) as store:
                store.jobs.create(f"job-{index}", name="n", kind="hpo", spec={})

        run_in_processes(5, create)
        with open_store(empty_url) as store:
            assert len(store.jobs.list()) == 5

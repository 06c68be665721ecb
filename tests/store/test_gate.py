"""The queue of writers: one at a time, across processes, and a killed holder leaves it open."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from omniforge.store.gate import WriterGate

fork = multiprocessing.get_context("fork")


def hold(path: Path, sender: Connection) -> None:
    with WriterGate(path).turn():
        sender.send("held")
        signal.pause()


def add_one(path: Path, counter: Path, count: int) -> None:
    gate = WriterGate(path)
    for _ in range(count):
        with gate.turn():
            # Not atomic on purpose: only the queue keeps two writers from losing each other's number.
            counter.write_text(str(int(counter.read_text()) + 1))


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [fork.Process(target=add_one, args=(tmp_path / "gate", counter, 100)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert counter.read_text() == "400"


@pytest.mark.fault
def test_a_killed_holder_gives_its_turn_back(tmp_path: Path) -> None:
    receiver, sender = fork.Pipe(duplex=False)
    holder = fork.Process(target=hold, args=(tmp_path / "gate", sender))
    holder.start()
    assert receiver.recv() == "held"
    entered = fork.Event()

    def enter() -> None:
        with WriterGate(tmp_path / "gate").turn():
            entered.set()

    waiting = fork.Process(target=enter)
    waiting.start()
    assert not entered.wait(0.2)
    holder.kill()
    assert entered.wait(30)
    holder.join()
    waiting.join()


def test_an_error_in_a_turn_ends_it(tmp_path: Path) -> None:
    gate = WriterGate(tmp_path / "gate")
    with pytest.raises(ZeroDivisionError), gate.turn():
        raise ZeroDivisionError
    with WriterGate(tmp_path / "gate").turn():
        pass


def test_a_closed_gate_opens_again(tmp_path: Path) -> None:
    gate = WriterGate(tmp_path / "gate")
    with gate.turn():
        pass
    gate.close()
    gate.close()
    with gate.turn():
        pass


def test_where_no_lock_file_can_be_made_the_turn_is_free(tmp_path: Path) -> None:
    with WriterGate(tmp_path / "no such folder" / "gate").turn():
        pass

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.launcher_suite import gone

from omniforge.launch.handle import ServedHandle, refusal
from omniforge.launch.wire import Inbox, encode

ENDING: dict[str, Any] = {
    "code": 0,
    "signal": None,
    "cause": None,
    "duration_s": 1.0,
    "peak_memory_bytes": 5,
    "message": None,
}


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def handle_on(connection: socket.socket, tmp_path: Path, *, pid: int = 2**22 + 1) -> ServedHandle:
    return ServedHandle(connection, Inbox(), pid=pid, log_path=tmp_path / "log", log_offset_bytes=3)


def test_the_exit_is_read_once_and_kept(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    ours, theirs = ends
    handle = handle_on(ours, tmp_path)
    assert handle.poll() is None
    theirs.sendall(encode({"exit": ENDING}))
    ending = handle.wait(5.0)
    assert ending is not None
    assert ending.ok
    assert ending.peak_memory_bytes == 5
    theirs.close()
    assert handle.poll() is ending
    handle.cancel()  # there is nobody to tell


def test_many_threads_may_wait(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    ours, theirs = ends
    handle = handle_on(ours, tmp_path)
    endings: list[object] = []
    threads = [threading.Thread(target=lambda: endings.append(handle.wait(20.0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    theirs.sendall(encode({"exit": ENDING}))
    for thread in threads:
        thread.join(20.0)
    assert len(endings) == 4
    assert len(set(map(id, endings))) == 1


def test_waiting_ends_in_time(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    handle = handle_on(ends[0], tmp_path)
    began_s = time.monotonic()
    assert handle.wait(0.2) is None
    assert 0.15 < time.monotonic() - began_s < 5


def test_cancelling_closes_the_sending_side(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    ours, theirs = ends
    handle = handle_on(ours, tmp_path)
    handle.cancel()
    handle.cancel()
    assert theirs.recv(10) == b""
    theirs.sendall(encode({"exit": {**ENDING, "cause": "cancelled", "code": None, "signal": 15}}))
    ending = handle.wait(5.0)
    assert ending is not None
    assert ending.cause == "cancelled"


@pytest.mark.parametrize("last_words", [b"", b"nonsense\n"])
def test_a_server_that_is_gone(ends: tuple[socket.socket, socket.socket], tmp_path: Path, last_words: bytes) -> None:
    ours, theirs = ends
    handle = handle_on(ours, tmp_path)
    assert gone(handle.pid)
    theirs.sendall(last_words)
    theirs.close()
    ending = handle.wait(5.0)
    assert ending is not None
    assert (ending.code, ending.signal, ending.cause) == (None, 9, "killed")


def test_the_log_begins_where_the_launch_did(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    handle = handle_on(ends[0], tmp_path)
    assert handle.logs() == ""
    (tmp_path / "log").write_bytes(b"oldnew \xff")
    assert handle.logs() == "new �"


def test_a_refusal_says_why() -> None:
    assert refusal({"error": "no room"}) == "no room"
    assert "in time" in refusal(None)
    assert "{}" in refusal({})

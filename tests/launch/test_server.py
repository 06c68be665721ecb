from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.launcher_suite import ENTRIES, gone, until

from omniforge.launch.wire import Inbox, WireError, encode, receive

TESTS = str(Path(__file__).parents[1])


class Raw:
    """A server that is spoken to without a launcher."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "private" / "s")
        (folder / "private").mkdir()
        self.log = folder / "server.log"
        self.owner, theirs = socket.socketpair()
        with theirs, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "omniforge.launch.server"], stdin=theirs.fileno(), stdout=log, stderr=log
            )

    def start(self, **rest: Any) -> dict[str, Any]:
        request = {
            "kind": "server",
            "folder": str(Path(self.path).parent),
            "socket_path": self.path,
            "preload": [],
            "sys_path": [TESTS, *sys.path],
            "env": dict(os.environ),
            "owner_pid": os.getpid(),
            "fresh": False,
            "grace_s": 0.3,
        }
        self.owner.sendall(encode({**request, **rest}))
        message = receive(self.owner, Inbox(), 30.0)
        assert message is not None
        return message

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.path)
        return connection


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s")
    return folder if len(str(folder)) < 80 else pytest.skip("the temporary folder's path is too long for a socket")


@pytest.fixture
def server(folder: Path) -> Iterator[Raw]:
    raw = Raw(folder)
    yield raw
    raw.owner.close()
    raw.process.wait(20)


@pytest.fixture
def workload(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def workload(entry: str, **rest: Any) -> dict[str, Any]:
        request = {
            "kind": "workload",
            "name": "w",
            "entry": f"{ENTRIES}:{entry}",
            "payload": {},
            "env": dict(os.environ),
            "sys_path": [TESTS, *sys.path],
            "cwd": str(tmp_path),
            "log_path": str(tmp_path / "log"),
            "memory_bytes": None,
            "time_s": None,
        }
        return {**request, **rest}

    return workload


def test_one_connection_per_workload(server: Raw, workload: Callable[..., Any]) -> None:
    assert server.start()["ready"] == {"pid": server.process.pid, "warnings": []}
    with server.connect() as connection:
        inbox = Inbox()
        connection.sendall(encode(workload("succeed")))
        first, second = receive(connection, inbox, 20.0), receive(connection, inbox, 20.0)
        assert first is not None
        assert list(first) == ["pid"]
        assert second is not None
        assert second["exit"]["code"] == 0
        with pytest.raises(WireError, match="closed"):
            receive(connection, inbox, 20.0)


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"[]\n", b'{"kind": "workload"}\n', b'{"kind": "other"}\n', b'{"kind": "server"}\n']
)
def test_a_bad_request_is_refused_and_harms_nobody(server: Raw, workload: Callable[..., Any], line: bytes) -> None:
    server.start()
    with server.connect() as connection:
        connection.sendall(line)
        answer = receive(connection, Inbox(), 20.0)
        assert answer is not None
        assert list(answer) == ["error"]
    with server.connect() as connection:
        connection.sendall(encode(workload("succeed")))
        assert "pid" in (receive(connection, Inbox(), 20.0) or {})
    assert "Refused a request" in server.log.read_text()


@pytest.mark.parametrize("sent", [b"", b'{"kind": "work'])
def test_a_client_that_leaves_before_it_has_asked_is_forgotten(server: Raw, sent: bytes) -> None:
    server.start()
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    with server.connect() as connection:
        connection.sendall(sent)
        until(lambda: len(list(descriptors.iterdir())) == before + 1)
    until(lambda: len(list(descriptors.iterdir())) == before)


def test_a_client_that_dies_takes_its_workload_along(server: Raw, workload: Callable[..., Any], tmp_path: Path) -> None:
    server.start()
    connection = server.connect()
    connection.sendall(encode(workload("hang", payload={"pids": str(tmp_path / "pids")})))
    until((tmp_path / "pids").exists)
    connection.close()
    until(lambda: all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split()))
    assert server.process.poll() is None


@pytest.mark.parametrize("how", ["end of the connection", "SIGTERM"])
def test_the_end_of_the_server_is_the_end_of_all(
    server: Raw, workload: Callable[..., Any], tmp_path: Path, how: str
) -> None:
    server.start()
    with server.connect() as connection:
        inbox = Inbox()
        connection.sendall(encode(workload("hang", payload={"pids": str(tmp_path / "pids")})))
        until((tmp_path / "pids").exists)
        if how == "SIGTERM":
            server.process.send_signal(signal.SIGTERM)
        else:
            server.owner.shutdown(socket.SHUT_WR)
        receive(connection, inbox, 20.0)
        last = receive(connection, inbox, 20.0)
        assert last is not None
        assert last["exit"]["cause"] == "cancelled"
    assert server.process.wait(20) == 0
    assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())
    assert not Path(server.path).parent.exists()


@pytest.mark.fault
def test_it_notices_the_death_of_its_owner_even_when_the_connection_stays_open(server: Raw) -> None:
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    server.start(owner_pid=owner.pid)
    owner.kill()  # a zombie until it is waited for, and dead nevertheless
    assert server.process.wait(20) == 0
    owner.wait()


def test_ctrl_c_is_left_to_the_owner(server: Raw, workload: Callable[..., Any]) -> None:
    server.start()
    server.process.send_signal(signal.SIGINT)
    with server.connect() as connection:
        connection.sendall(encode(workload("succeed")))
        assert "pid" in (receive(connection, Inbox(), 20.0) or {})


def test_an_owner_that_never_asks(folder: Path) -> None:
    raw = Raw(folder)
    raw.owner.close()
    assert raw.process.wait(20) != 0
    assert "closed the connection" in raw.log.read_text()

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from omniforge.deploy import Device
from omniforge.errors import MeasurementError
from omniforge.sidecar.device import DeviceAgent, DeviceError, DeviceLostError
from omniforge.sidecar.device.connection import Connection
from omniforge.sidecar.device.sending import Sender

TOKEN = "a-token-for-tests-only"
CONTENT = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Store:
    """A device that takes one upload its own way."""

    def __init__(self) -> None:
        self.received = 0
        self.complete = False
        self.patches = 0
        self.refuses: int | None = None
        self.checks_s = 0.0
        self.others_bring = 0
        self.swallows = False
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                store.received = min(store.received + store.others_bring, len(CONTENT))
                store.complete |= store.others_bring > 0 and store.received == len(CONTENT)
                self.say(200)

            def do_PATCH(self) -> None:
                store.patches += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                if store.refuses is not None:
                    self.say(store.refuses)
                    return
                store.received = 0 if store.swallows else len(CONTENT)
                time.sleep(store.checks_s)
                store.complete = not store.swallows
                self.say(200)

            def say(self, status: int) -> None:
                state = {"sha256": DIGEST, "received_bytes": store.received, "complete": store.complete}
                content = json.dumps(state if status == 200 else {"detail": "words"}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.device = Device("pi", url=f"http://127.0.0.1:{self.server.server_port}", token=TOKEN)


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.server.shutdown()
    store.server.server_close()


def send(device: Device, *, patience_s: float = 1.0, stop: threading.Event | None = None, queue_s: float = 60) -> None:
    with Connection(device, patience_s=patience_s, queue_s=queue_s) as line:
        stopped = (stop or threading.Event()).is_set
        Sender(line).send(DIGEST, lambda: io.BytesIO(CONTENT), len(CONTENT), stopped=stopped)


def test_a_content_arrives_whole_and_once(agent: DeviceAgent) -> None:
    content = CONTENT[:150_000]
    digest = hashlib.sha256(content).hexdigest()
    with Connection(Device("pi", url=agent.url, token=TOKEN), patience_s=5) as line:
        for _ in range(2):
            Sender(line).send(digest, lambda: io.BytesIO(content), len(content))
    assert (agent._folder / "uploads" / digest).read_bytes() == content


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(409, DeviceError, "does not take an upload: words"), (503, DeviceLostError, "words"), (507, DeviceError, "room")],
)
def test_refusals_without_end_end_with_patience(store: Store, status: int, kind: type[DeviceError], words: str) -> None:
    store.refuses = status
    before_s = time.monotonic()
    with pytest.raises(kind, match=words) as caught:
        send(store.device, patience_s=0.6)
    assert time.monotonic() - before_s < 2
    assert type(caught.value) is kind
    assert caught.value.retryable
    assert store.patches >= 2


def test_a_device_that_takes_all_and_keeps_nothing_is_given_up(store: Store) -> None:
    store.swallows = True
    with pytest.raises(DeviceLostError, match="it has not all that was sent"):
        send(store.device, patience_s=0.4)
    assert 2 <= store.patches < 20


def test_a_full_queue_is_waited_for_longer(store: Store) -> None:
    store.refuses = 429
    before_s = time.monotonic()
    with pytest.raises(DeviceError, match=re.escape("full queue for 0.7 s")):
        send(store.device, patience_s=0.1, queue_s=0.7)
    assert 0.3 < time.monotonic() - before_s < 2


@pytest.mark.parametrize("status", [409, 429, 503])
def test_it_can_be_cancelled_while_it_is_refused(store: Store, status: int) -> None:
    store.refuses = status
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    before_s = time.monotonic()
    with pytest.raises(MeasurementError, match="cancelled"):
        send(store.device, patience_s=60, stop=stop)
    assert time.monotonic() - before_s < 1


def test_a_device_that_checks_for_long_is_not_lost(store: Store) -> None:
    store.checks_s = 0.8
    send(store.device, patience_s=0.2)
    assert store.complete
    assert store.patches == 1


def test_it_can_be_cancelled_while_the_device_checks(store: Store) -> None:
    store.checks_s = 3
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    before_s = time.monotonic()
    with pytest.raises(MeasurementError, match="cancelled"):
        send(store.device, patience_s=60, stop=stop)
    assert time.monotonic() - before_s < 1


def test_another_who_sends_the_same_and_moves_on_is_let(store: Store) -> None:
    store.refuses, store.others_bring = 409, len(CONTENT) // 3
    send(store.device, patience_s=5)
    assert store.patches == 1


def test_a_device_that_hangs_is_noticed(hung: Device) -> None:
    before_s = time.monotonic()
    with pytest.raises(DeviceLostError):
        send(hung, patience_s=0.4)
    assert time.monotonic() - before_s < 1

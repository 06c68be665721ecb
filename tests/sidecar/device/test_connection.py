from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from omniforge.deploy import DEVICES, Device
from omniforge.errors import MeasurementError, SpecError
from omniforge.sidecar.device import DeviceAgent, DeviceError, DeviceLostError
from omniforge.sidecar.device.certificates import self_signed
from omniforge.sidecar.device.connection import Connection

TOKEN = "a-token-for-tests-only"


class Scripted:
    """A server that answers with one status after the other, the last one for ever."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.asked: list[str] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                scripted.asked.append(self.path)
                status = scripted.statuses.pop(0) if len(scripted.statuses) > 1 else scripted.statuses[0]
                self.send_response(status)
                self.send_header("Content-Length", "18")
                self.end_headers()
                self.wfile.write(b'{"detail":"words"}')

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.device = Device("pi", url=f"http://127.0.0.1:{self.server.server_port}/", token=TOKEN)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.server.shutdown()
    scripted.server.server_close()


@pytest.mark.parametrize("status", [408, 502, 503, 504, 507])
def test_a_device_that_is_away_is_asked_again(scripted: Scripted, status: int) -> None:
    scripted.statuses = [status, status, 200]
    with Connection(scripted.device, patience_s=5) as line:
        assert line.request("GET", "limits").status_code == 200
    assert scripted.asked == ["/v1/limits"] * 3


def test_a_busy_one_is_waited_for_beyond_patience(scripted: Scripted) -> None:
    scripted.statuses = [429] * 5 + [200]
    with Connection(scripted.device, patience_s=0.3) as line:
        assert line.request("GET", "limits").status_code == 200


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 500])
def test_other_refusals_are_answers(scripted: Scripted, status: int) -> None:
    scripted.statuses = [status]
    with Connection(scripted.device, patience_s=5) as line:
        assert line.request("GET", "limits").status_code == status
    assert len(scripted.asked) == 1


def test_patience_ends(scripted: Scripted) -> None:
    scripted.statuses = [503]
    before_s = time.monotonic()
    with Connection(scripted.device, patience_s=0.4) as line, pytest.raises(DeviceLostError, match="words") as caught:
        line.request("GET", "limits")
    assert 0.1 < time.monotonic() - before_s < 2
    assert caught.value.retryable


def test_a_full_disk_is_no_lost_device(scripted: Scripted) -> None:
    scripted.statuses = [507]
    with Connection(scripted.device, patience_s=0.2) as line, pytest.raises(DeviceError, match="no room") as caught:
        line.request("GET", "limits")
    assert not isinstance(caught.value, DeviceLostError)
    assert caught.value.retryable


def test_where_nothing_listens(scripted: Scripted) -> None:
    scripted.server.shutdown()
    scripted.server.server_close()
    with Connection(scripted.device, patience_s=0.2) as line, pytest.raises(DeviceLostError, match="does not answer"):
        line.request("GET", "limits")


def test_a_queue_that_stays_full_is_not_waited_for_without_end(scripted: Scripted) -> None:
    scripted.statuses = [429]
    line = Connection(scripted.device, patience_s=0.05, queue_s=0.3)
    before_s = time.monotonic()
    with line, pytest.raises(DeviceError, match=r"full queue for 0\.3 s: words") as caught:
        line.request("GET", "limits")
    assert 0.1 < time.monotonic() - before_s < 1
    assert (caught.value.retryable, caught.value.status) == (True, 429)


@pytest.mark.parametrize("wait_s", [0.0, 0.3])
def test_one_that_hangs_is_lost_when_patience_ends(hung: Device, wait_s: float) -> None:
    before_s = time.monotonic()
    with Connection(hung, patience_s=0.4) as line, pytest.raises(DeviceLostError, match="does not answer"):
        line.request("GET", "limits", wait_s=wait_s)
    assert 0.4 + wait_s <= time.monotonic() - before_s < 1 + wait_s


def test_an_answer_that_comes_in_drops_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            end, _ = listener.accept()
            with end:
                for _ in range(20):
                    end.sendall(b"H")
                    time.sleep(0.05)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        before_s = time.monotonic()
        device = Device("pi", url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        with Connection(device, patience_s=0.4) as line, pytest.raises(DeviceLostError):
            line.request("GET", "limits")
        assert time.monotonic() - before_s < 1.2
        thread.join(5)


@pytest.mark.parametrize("status", [None, 429, 503])
def test_an_answer_that_is_not_wanted_any_more_is_not_waited_for(
    scripted: Scripted, hung: Device, status: int | None
) -> None:
    scripted.statuses = [status or 200]
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    before_s = time.monotonic()
    device = hung if status is None else scripted.device
    with Connection(device, patience_s=60) as line, pytest.raises(MeasurementError, match="cancelled"):
        line.request("GET", "limits", stopped=stop.is_set)
    assert time.monotonic() - before_s < 1


def test_blanks_around_a_token_are_no_part_of_it(agent: DeviceAgent) -> None:
    with Connection(Device("pi", url=agent.url, token=f" {TOKEN}\r\n"), patience_s=1) as line:
        assert line.request("GET", "limits").status_code == 200


@pytest.mark.parametrize("token", ["sesame\nopen", "sésame", "sesame open", "sesame\x00"])
def test_no_error_repeats_a_token(token: str) -> None:
    with pytest.raises(SpecError, match="The token of the device 'pi'") as caught:
        Connection(Device("pi", url="http://127.0.0.1:1", token=token), patience_s=1)
    assert "same" not in str(caught.value)


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(SpecError, match=r"'pi'.*cannot be used"):
        Connection(Device("pi", url="http://127.0.0.1:x"), patience_s=1)


def test_proxies_of_the_environment_are_ignored(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with Connection(scripted.device, patience_s=0.2) as line:
        assert line.request("GET", "limits").status_code == 200


@pytest.mark.parametrize("device", [DEVICES["local"], Device("board", url="tvm-rpc://127.0.0.1:9190")])
def test_what_has_no_agent_cannot_be_asked(device: Device) -> None:
    with pytest.raises(SpecError, match="it has no agent"):
        Connection(device, patience_s=1)


class TestTls:
    @pytest.fixture
    def agent(self, tmp_path: Path) -> Iterator[DeviceAgent]:
        certificate = self_signed(tmp_path / "tls", host="127.0.0.1")
        with DeviceAgent("pi", tmp_path / "agent", token=TOKEN, certificate=certificate) as agent:
            yield agent

    def test_its_own_certificate_is_trusted_where_it_is_known(self, agent: DeviceAgent, tmp_path: Path) -> None:
        assert agent.url.startswith("https://")
        known = Device("pi", url=agent.url, token=TOKEN, ca=str(tmp_path / "tls" / "certificate.pem"))
        with Connection(known, patience_s=1) as line:
            assert line.request("GET", "limits").status_code == 200

    def test_a_certificate_that_is_not_known_is_refused_at_once(self, agent: DeviceAgent, tmp_path: Path) -> None:
        other = self_signed(tmp_path / "other", host="127.0.0.1")[0]
        before_s = time.monotonic()
        for ca in (None, str(other)):
            with (
                Connection(Device("pi", url=agent.url, token=TOKEN, ca=ca), patience_s=20) as line,
                pytest.raises(DeviceError, match="is not trusted") as caught,
            ):
                line.request("GET", "limits")
            assert not caught.value.retryable
            assert "--fingerprint" in str(caught.value.hint)
        assert time.monotonic() - before_s < 5

    def test_a_certificate_file_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("nonsense")
        with pytest.raises(SpecError, match=r"ca\.pem"):
            Connection(Device("pi", url="https://127.0.0.1:1", ca=str(tmp_path / "ca.pem")), patience_s=1)


def test_one_that_does_not_speak_tls_is_said(agent: DeviceAgent) -> None:
    device = Device("pi", url=agent.url.replace("http:", "https:"), token=TOKEN)
    with Connection(device, patience_s=20) as line, pytest.raises(DeviceError, match="does not speak TLS"):
        line.request("GET", "limits")

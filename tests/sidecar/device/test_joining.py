from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from omniforge.deploy import DEVICES, Device
from omniforge.errors import SpecError
from omniforge.sidecar.device import AgentOptions, DeviceAgent, DeviceError, DeviceLostError
from omniforge.sidecar.device.certificates import fingerprint, self_signed
from omniforge.sidecar.device.joining import join, pin_certificate, reach

TOKEN = "a-token-for-tests-only"


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[DeviceAgent]:
    certificate = self_signed(tmp_path / "tls", host="127.0.0.1")
    options = AgentOptions()
    with DeviceAgent("pi", tmp_path / "agent", token=TOKEN, options=options, certificate=certificate) as agent:
        yield agent


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_device_comes_with_what_its_agent_says(agent: DeviceAgent) -> None:
    assert join(agent.url + "/", token=TOKEN) == Device("pi", "cpu", "onnxruntime", url=agent.url, token=TOKEN)
    named = join(agent.url, name="kitchen-pi", aliases=("kp",), token=TOKEN)
    assert (named.name, named.aliases) == ("kitchen-pi", ("kp",))


@pytest.mark.parametrize(("token", "words"), [(None, "asks for a token"), ("x" * 20, "does not take this token")])
def test_without_the_token_it_says_where_it_is(agent: DeviceAgent, token: str | None, words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        join(agent.url, token=token)
    assert "--token-file" in str(caught.value.hint)


def test_a_device_that_is_not_there_is_not_taken() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(DeviceLostError, match=f"The device at {url} does not answer"):
        join(url, token=TOKEN)


def test_a_bare_server_is_taken_as_it_is() -> None:
    device = join("tvm-rpc://127.0.0.1:9190", name="board")
    assert device == Device("board", runtime="tvm", url="tvm-rpc://127.0.0.1:9190")
    with pytest.raises(SpecError, match="no name of its own"):
        join("tvm-rpc://127.0.0.1:9190")


def test_a_wrong_address_is_refused() -> None:
    with pytest.raises(SpecError, match="SCHEME://HOST:PORT"):
        join("kitchen-pi")


def test_a_certificate_is_pinned_by_its_fingerprint(secured: DeviceAgent, tmp_path: Path) -> None:
    own = fingerprint((tmp_path / "tls" / "certificate.pem").read_text())
    colons = ":".join(own[i : i + 2].upper() for i in range(0, 64, 2))
    pinned = pin_certificate(secured.url, expected=colons, path=tmp_path / "pinned.pem")
    assert join(secured.url, token=TOKEN, ca=pinned).ca == str(pinned)


def test_another_certificate_is_not_pinned(secured: DeviceAgent, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="has the fingerprint"):
        pin_certificate(secured.url, expected="ab" * 32, path=tmp_path / "pinned.pem")
    assert not (tmp_path / "pinned.pem").exists()


def test_where_there_is_no_certificate_none_is_pinned(agent: DeviceAgent, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="does not begin with https"):
        pin_certificate(agent.url, expected="ab" * 32, path=tmp_path / "pinned.pem")
    for url in (agent.url.replace("http:", "https:"), f"https://127.0.0.1:{closed_port()}"):
        with pytest.raises(DeviceError, match="does not answer with a certificate"):
            pin_certificate(url, expected="ab" * 32, path=tmp_path / "pinned.pem")


def test_devices_that_hang_hold_up_nobody(agent: DeviceAgent, hung: Device) -> None:
    before_s = time.monotonic()
    found = reach([replace(hung, name=f"hung{i}") for i in range(20)] + [Device("good", url=agent.url, token=TOKEN)])
    assert time.monotonic() - before_s < 4
    assert [one.state for one in found] == ["unreachable"] * 20 + ["reachable"]


def test_devices_are_asked_whether_they_are_there(agent: DeviceAgent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bare:
        devices = [
            DEVICES["local"],
            Device("good", url=agent.url, token=TOKEN),
            Device("wrong", url=agent.url, token="x" * 20),
            Device("gone", url=f"http://127.0.0.1:{closed_port()}", token=TOKEN),
            Device("board", url=f"tvm-rpc://127.0.0.1:{bare.getsockname()[1]}"),
            Device("off", url=f"tvm-rpc://127.0.0.1:{closed_port()}"),
        ]
        found = reach(devices)
    assert [one.device for one in found] == devices
    states = ["this machine", "reachable", "refuses", "unreachable", "reachable", "unreachable"]
    assert [one.state for one in found] == states
    assert "token" in found[2].detail

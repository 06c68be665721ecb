from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omniforge.deploy.hardware import memory_bytes
from omniforge.errors import LaunchError, SpecError, UnknownNameError
from omniforge.sidecar.device import AgentOptions, DeviceAgent
from omniforge.sidecar.device.agent import describe_here

TOKEN = "a-token-for-tests-only"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_other_machines_are_let_in_with_tls_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(SpecError, match="without TLS the token could be read") as caught:
        DeviceAgent("pi", tmp_path, token=TOKEN, host=host)
    assert "--tls-self-signed" in str(caught.value.hint)
    assert "--insecure" in str(caught.value.hint)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_let_in(tmp_path: Path, host: str) -> None:
    with DeviceAgent("pi", tmp_path, token=TOKEN, host=host) as agent:
        assert agent.url.startswith(f"http://{host}:")


def test_without_tls_it_is_said_to_be_insecure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with DeviceAgent("pi", tmp_path, token=TOKEN, host="0.0.0.0", insecure=True):
        assert "without encryption" in caplog.text


def test_a_folder_has_one_agent(tmp_path: Path) -> None:
    with DeviceAgent("pi", tmp_path, token=TOKEN), pytest.raises(LaunchError, match="Another device agent uses"):
        DeviceAgent("twin", tmp_path, token=TOKEN).start()
    with DeviceAgent("next", tmp_path, token=TOKEN):
        pass


def test_a_port_that_is_taken_leaves_the_folder_free(tmp_path: Path) -> None:
    with DeviceAgent("pi", tmp_path / "a", token=TOKEN) as agent:
        port = int(agent.url.rpartition(":")[2])
        with pytest.raises(LaunchError, match=f"The device agent cannot listen on '127.0.0.1', port {port}"):
            DeviceAgent("twin", tmp_path / "b", token=TOKEN, port=port).start()
    with DeviceAgent("twin", tmp_path / "b", token=TOKEN):
        pass


def test_what_a_kill_left_of_a_measurement_is_removed(tmp_path: Path) -> None:
    (tmp_path / "work" / "old").mkdir(parents=True)
    with DeviceAgent("pi", tmp_path, token=TOKEN):
        assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", ["max_upload_bytes", "max_queued", "time_limit_s", "memory_limit_bytes", "keep_s"])
def test_limits_are_above_zero(name: str) -> None:
    wrong: Any = {name: 0}
    with pytest.raises(SpecError, match=f"{name} = 0"):
        AgentOptions(**wrong)


@pytest.mark.parametrize("name", ["küche pi", "", "1st"])
def test_a_name_that_no_book_takes_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="is no device's name"):
        DeviceAgent(name, tmp_path, token=TOKEN)


def test_an_unknown_runtime_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="abacus"):
        DeviceAgent("pi", tmp_path, token=TOKEN, runtime="abacus")


def test_a_model_may_take_most_of_the_memory_but_not_all(tmp_path: Path) -> None:
    limits = DeviceAgent("pi", tmp_path, token=TOKEN).describe().limits
    assert limits.memory_limit_bytes == int(0.75 * memory_bytes())


def test_this_machine_is_described_without_an_agent() -> None:
    said = describe_here("local")
    assert said["hardware"]["cores"] >= 1
    assert said["runtimes"]["onnxruntime"]["installed"]
    assert set(said["meters"]) == {"cpu"}

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.served import QUICK, ROWS, TOKEN, model_file, serving
from faults.small_install import small_install

from omniforge.sidecar.device import DeviceAgent, DeviceClient
from omniforge.sidecar.device.certificates import fingerprint, self_signed

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceAgent]:
    with DeviceAgent("kitchen-pi", tmp_path_factory.mktemp("agent"), token=TOKEN) as agent:
        yield agent


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "kitchen-pi.token"
    path.write_text(TOKEN + "\n")
    return path


def test_a_device_is_added_listed_shown_and_removed(cli: Cli, home: Path, agent: DeviceAgent, token_file: Path) -> None:
    added = cli("device", "add", agent.url, "--token-file", token_file, "--alias", "pi")
    assert (added.code, added.err) == (0, "")
    assert "latency_ms@kitchen-pi" in added.out
    listed = json.loads(cli("device", "list", "--json").out)
    assert [(one["name"], one["state"]) for one in listed] == [("local", "this machine"), ("kitchen-pi", "reachable")]
    assert TOKEN not in cli("device", "list", "--json").out + cli("device", "list").out
    assert "kitchen-pi, pi" in cli("device", "list").out
    shown = json.loads(cli("device", "show", "pi", "--json").out)
    assert shown["name"] == "kitchen-pi"
    assert shown["hardware"]["cores"] >= 1
    assert shown["limits"]["max_upload_bytes"] == 256 * 2**20
    printed = cli("device", "show", "kitchen-pi").out
    for words in ("onnxruntime", "max upload", "256 MiB", "energy (cpu)"):
        assert words in printed
    removed = cli("device", "remove", "pi")
    assert (removed.code, removed.out) == (0, "Device kitchen-pi is removed.\n")
    assert cli("device", "show", "pi").code == 2


def test_a_model_is_measured_there_under_both_spellings(
    cli: Cli, home: Path, agent: DeviceAgent, token_file: Path, tmp_path: Path
) -> None:
    cli("device", "add", agent.url, "--token-file", token_file)
    model = model_file(tmp_path / "model.onnx")
    for command in (["bench"], ["device", "bench"]):
        arguments = [model, "--device", "kitchen-pi", "--runtime", "onnxruntime", "--seconds", "0.05", "--json"]
        called = cli(*command, *arguments)
        assert called.code == 0, called.err
        document = json.loads(called.out)
        assert document["device"] == "kitchen-pi"
        assert document["runtimes"][0]["metrics"]["latency_ms"] > 0


def test_a_device_is_added_once(cli: Cli, home: Path, agent: DeviceAgent, token_file: Path) -> None:
    assert json.loads(cli("device", "add", agent.url, "--token-file", token_file, "--json").out)["token"] is True
    for more in ([], ["--name", "twin"]):
        again = cli("device", "add", agent.url, "--token-file", token_file, *more)
        assert again.code == 2
        assert "omniforge device remove kitchen-pi" in again.err


def test_a_bare_server_is_added_without_a_token(cli: Cli, home: Path) -> None:
    assert cli("device", "add", "tvm-rpc://127.0.0.1:1", "--name", "board").code == 0
    [_, board] = json.loads(cli("device", "list", "--json").out)
    assert (board["runtime"], board["token"], board["state"]) == ("tvm", False, "unreachable")
    assert json.loads(cli("device", "show", "board", "--json").out)["url"] == "tvm-rpc://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "kitchen-pi"], "SCHEME://HOST:PORT"),
        (["add", "AGENT"], "asks for a token"),
        (["add", "AGENT", "--token-file", "none"], "token file none cannot be read"),
        (["add", "AGENT", "--ca", "a", "--fingerprint", "b"], "Give one of them"),
        (["add", "AGENT", "--fingerprint", "b"], "does not begin with https"),
        (["add", "http://127.0.0.1:1"], "The device at http://127.0.0.1:1 does not answer"),
        (["show", "locla"], "Did you mean 'local'?"),
        (["show", "kitchen-pi"], "omniforge device add URL"),
        (["remove", "local"], "is this machine"),
        (["serve", "--name", "küche pi"], "is no device's name"),
        (["serve", "--host", "0.0.0.0"], "--insecure"),
        (["serve", "--tls-cert", "a"], "needs its key"),
        (["serve", "--tls-cert", "a", "--tls-key", "b", "--tls-self-signed"], "makes its own"),
        (["serve", "--kind", "tpu"], "expected one of cpu, gpu"),
        (["serve", "--runtime", "abacus"], "no runtime named 'abacus'"),
        (["serve", "--port", "70000"], "Usage"),
    ],
)
def test_bad_input_is_told_with_its_fix(
    cli: Cli, home: Path, agent: DeviceAgent, arguments: list[str], words: str
) -> None:
    called = cli("device", *(agent.url if argument == "AGENT" else argument for argument in arguments))
    assert called.code == (1 if "does not answer" in words else 2)
    assert words in called.err


def test_a_book_that_is_not_there_is_said(
    cli: Cli, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIFORGE_DEVICES", str(tmp_path / "none.json"))
    for command in (["list"], ["show", "pi"]):
        called = cli("device", *command)
        assert called.code == 2
        assert f"{tmp_path / 'none.json'} does not exist; OMNIFORGE_DEVICES names it" in called.err


def test_the_certificate_that_was_pinned_goes_with_the_device(
    cli: Cli, home: Path, tmp_path: Path, token_file: Path
) -> None:
    certificate = self_signed(tmp_path / "tls", host="127.0.0.1")
    trusted = ["--fingerprint", fingerprint(certificate[0].read_text())]
    with DeviceAgent("pi", tmp_path / "agent", token=TOKEN, certificate=certificate) as agent:
        assert "asks for a token" in cli("device", "add", agent.url, *trusted).err
        assert not list(home.glob("*.pem"))  # of one that was not added nothing is kept
        assert cli("device", "add", agent.url, *trusted, "--token-file", token_file).code == 0
        assert cli("device", "add", agent.url, *trusted, "--token-file", token_file).code == 2
        assert len(list(home.glob("device-*.pem"))) == 1
        assert cli("device", "remove", "pi").code == 0
    assert not list(home.glob("*.pem"))


def test_this_machine_is_shown(cli: Cli, home: Path) -> None:
    assert json.loads(cli("device", "show", "local", "--json").out)["runtimes"]["onnxruntime"]["installed"]
    assert not home.exists()


@pytest.mark.service
def test_an_edge_machine_needs_the_small_install_only(cli: Cli, home: Path, tmp_path: Path, token_file: Path) -> None:
    python = str(small_install(tmp_path / "small"))
    code = "from omniforge.cli import main; main()"
    for missing in ("torch", "kfp", "onnx", "sklearn", "scipy", "pandas", "plotly", "sqlalchemy", "mlflow"):
        assert subprocess.run([python, "-c", f"import {missing}"], capture_output=True).returncode == 1, missing
    assert subprocess.run([python, "-c", code, "--help"], capture_output=True).returncode == 0
    with serving(tmp_path / "pi", "--tls-self-signed", "--port", "0", python=python) as served:
        fingerprint = next(line for line in served.said if "fingerprint" in line).split()[-1]
        model = model_file(tmp_path / "model.onnx")
        added = cli("device", "add", served.url, "--token-file", token_file, "--fingerprint", fingerprint)
        assert added.code == 0, added.err
        shown = json.loads(cli("device", "show", "kitchen-pi", "--json").out)
        assert shown["runtimes"]["torch"]["command"] == "pip install 'omniforge[automl]'"
        from omniforge.deploy.devices import read_devices

        with DeviceClient(read_devices(home)["kitchen-pi"], client_name="job", patience_s=10) as client:
            report = client.measure(model, ROWS, options=QUICK)
        assert report.metrics["latency_ms"] > 0
        assert served.stop() == 0
        assert "Stopping." in "".join(served.said)
    environment = {**os.environ, "OMNIFORGE_HOME": str(home)}
    listed = subprocess.run([python, "-c", code, "device", "list", "--json"], capture_output=True, env=environment)
    assert [one["state"] for one in json.loads(listed.stdout)] == ["this machine", "unreachable"]

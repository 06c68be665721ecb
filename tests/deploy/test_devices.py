from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from omniforge.deploy import DEVICES, Device, find_device
from omniforge.deploy.devices import BOOK_VARIABLE, add_device, book_path, check_device, read_devices, remove_device
from omniforge.errors import SpecError, UnknownNameError

PI = Device("kitchen-pi", url="https://10.0.0.7:9870", token="a-secret-of-sixteen", aliases=("pi",), ca="/etc/pi.pem")


@pytest.fixture(autouse=True)
def no_other_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BOOK_VARIABLE, raising=False)


def test_local_and_cpu_are_the_same_device() -> None:
    assert find_device("local") is find_device("cpu") is DEVICES["local"]
    assert find_device("cpu").name == "local"


def test_an_unknown_device_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'locla'") as caught:
        find_device("locla")
    assert caught.value.kind == "device"
    assert "'local'" in str(caught.value)


def test_other_devices_can_be_looked_among() -> None:
    pi = Device("kitchen-pi", aliases=("pi",))
    assert find_device("pi", {"kitchen-pi": pi}) is pi


def test_without_a_book_there_is_this_machine(tmp_path: Path) -> None:
    assert dict(read_devices(tmp_path)) == dict(DEVICES)
    assert list(tmp_path.iterdir()) == []


def test_what_is_added_is_read_and_can_be_removed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bare = Device("board", runtime="tvm", url="tvm-rpc://127.0.0.1:9190")
    add_device(home, PI)
    add_device(home, bare)
    assert dict(read_devices(home)) == {"local": DEVICES["local"], "kitchen-pi": PI, "board": bare}
    assert find_device("pi", read_devices(home)) == PI
    assert (PI.is_bare, bare.is_bare, DEVICES["local"].is_bare) == (False, True, False)
    assert remove_device(home, "pi") == PI
    assert set(read_devices(home)) == {"local", "board"}


def test_the_book_is_its_owners_only_and_tokens_are_not_shown(tmp_path: Path) -> None:
    add_device(tmp_path, PI)
    assert book_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert "secret" not in repr(read_devices(tmp_path))


def test_the_environment_names_another_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BOOK_VARIABLE, str(tmp_path / "mounted" / "devices.json"))
    add_device(tmp_path / "home", PI)
    assert json.loads((tmp_path / "mounted" / "devices.json").read_text())["devices"][0]["name"] == "kitchen-pi"
    assert set(read_devices(tmp_path / "other")) == {"local", "kitchen-pi"}


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (PI, "There is a device 'kitchen-pi' already: kitchen-pi at https"),
        (Device("pi", url="http://a:1"), "There is a device 'pi' already: kitchen-pi"),
        (Device("local", url="http://a:1"), "There is a device 'local' already"),
        (Device("other", aliases=("cpu",), url="http://a:1"), "There is a device 'cpu' already"),
        (Device("other", url=PI.url), "is in the book already, as 'kitchen-pi'"),
    ],
)
def test_a_name_or_an_address_is_taken_once(tmp_path: Path, device: Device, words: str) -> None:
    add_device(tmp_path, PI)
    with pytest.raises(SpecError, match=words) as caught:
        add_device(tmp_path, device)
    assert "omniforge device remove" in str(caught.value.hint)
    assert set(read_devices(tmp_path)) == {"local", "kitchen-pi"}


@pytest.mark.parametrize("name", ["", "1st", "a b", "a<b", "a@b", "-a", "ä", "a" * 64])
def test_a_name_is_one_that_an_objective_can_say(name: str) -> None:
    with pytest.raises(SpecError, match="is no device's name"):
        check_device(Device(name, url="http://a:1"))


@pytest.mark.parametrize(
    "url", [None, "", "pi", "pi:9870", "ftp://pi:1", "http://pi", "http://:1", "http://pi:x", "tvm-rpc://pi"]
)
def test_an_address_says_how_and_where(url: str | None) -> None:
    with pytest.raises(SpecError, match="SCHEME://HOST:PORT"):
        check_device(Device("pi", url=url))


@pytest.mark.parametrize("url", ["https://pi", "https://pi:9870", "http://[::1]:9870", "tvm-rpc://127.0.0.1:9190"])
def test_addresses_that_are_fine(url: str) -> None:
    check_device(Device("pi", url=url))


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"version": 2, "devices": []}',
        '{"version": 1}',
        '{"version": 1, "devices": [3]}',
        '{"version": 1, "devices": [{}]}',
    ],
)
def test_a_broken_book_is_named_and_not_overwritten(tmp_path: Path, content: str) -> None:
    book_path(tmp_path).write_text(content)
    with pytest.raises(SpecError, match=r"devices\.json"):
        read_devices(tmp_path)
    with pytest.raises(SpecError, match=r"devices\.json"):
        add_device(tmp_path, PI)
    assert book_path(tmp_path).read_text() == content


def test_what_a_newer_version_wrote_of_a_device_is_passed_over(tmp_path: Path) -> None:
    entry = {"name": "pi", "url": "http://a:1", "color": "green"}
    book_path(tmp_path).write_text(json.dumps({"version": 1, "devices": [entry]}))
    assert read_devices(tmp_path)["pi"] == Device("pi", url="http://a:1")


def test_a_book_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(SpecError, match="cannot be changed"):
        add_device(tmp_path / "home", PI)


@pytest.mark.parametrize(("name", "error"), [("kitchen", UnknownNameError), ("local", SpecError), ("cpu", SpecError)])
def test_what_cannot_be_removed(tmp_path: Path, name: str, error: type[Exception]) -> None:
    add_device(tmp_path, PI)
    with pytest.raises(error):
        remove_device(tmp_path, name)
    assert "kitchen-pi" in read_devices(tmp_path)


def test_devices_that_are_added_at_once_are_all_there(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=add_device, args=(tmp_path, Device(f"pi{i}", url=f"http://a:{i + 1}")))
        for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_devices(tmp_path)) == 13

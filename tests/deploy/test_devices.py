from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from omniforge.deploy import DEVICES, Device, find_device
from omniforge.deploy.devices import (
    BOOK_VARIABLE,
    add_device,
    book_path,
    check_device,
    clean_token,
    forget_pinned,
    read_devices,
    remove_device,
)
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
    assert "omniforge device add URL --name locla" in str(caught.value.hint)


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


def test_a_book_that_the_environment_names_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BOOK_VARIABLE, str(tmp_path / "none.json"))
    with pytest.raises(SpecError, match=r"none\.json does not exist; OMNIFORGE_DEVICES names it"):
        read_devices(tmp_path)


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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": 5}, "device 'pi': url = 5: expected text"),
        ({"url": None}, "device 'pi': url is missing"),
        ({"url": "pi"}, "device 'pi': The address 'pi'"),
        ({"name": 5}, "device number 1: name = 5: expected text"),
        ({"name": "a b"}, "device 'a b': 'a b' is no device's name"),
        ({"name": "local"}, "device 'local': name or alias = 'local' is taken: it is this machine"),
        ({"name": "cpu"}, "device 'cpu': name or alias = 'cpu' is taken: it is this machine"),
        ({"aliases": ["cpu"]}, "device 'pi': name or alias = 'cpu' is taken: it is this machine"),
        ({"aliases": "kp"}, "device 'pi': aliases = 'kp': expected a list of texts"),
        ({"aliases": [5]}, "device 'pi': aliases ="),
        ({"kind": "tpu"}, "device 'pi': kind = 'tpu': expected cpu or gpu"),
        ({"runtime": 5}, "device 'pi': runtime = 5"),
        ({"ca": []}, "device 'pi': ca = "),
        ({"token": 5}, "device 'pi': token = ...: expected text"),
        ({"token": "sésame-open-the-door"}, r"device 'pi': The token \(field token\) is none"),
        ({"token": " \n"}, r"device 'pi': The token \(field token\) is none"),
    ],
)
def test_a_wrong_entry_is_named_with_its_field(tmp_path: Path, change: dict[str, object], words: str) -> None:
    entry = {"name": "pi", "url": "http://a:1", "token": "sesame", **change}
    book_path(tmp_path).write_text(json.dumps({"version": 1, "devices": [entry]}))
    with pytest.raises(SpecError, match=words) as caught:
        read_devices(tmp_path)
    assert "devices.json" in caught.value.message
    assert "same" not in str(caught.value)
    assert caught.value.hint


def test_two_entries_of_one_name_are_named(tmp_path: Path) -> None:
    entries = [{"name": "pi", "url": "http://a:1"}, {"name": "other", "aliases": ["pi"], "url": "http://a:2"}]
    book_path(tmp_path).write_text(json.dumps({"version": 1, "devices": entries}))
    with pytest.raises(SpecError, match="device 'other': name or alias = 'pi' is taken: it is 'pi'"):
        read_devices(tmp_path)


def test_the_line_break_of_a_mounted_secret_is_no_part_of_a_token(tmp_path: Path) -> None:
    entry = {"name": "pi", "url": "http://a:1", "token": "sesame\n"}
    book_path(tmp_path).write_text(json.dumps({"version": 1, "devices": [entry]}))
    assert read_devices(tmp_path)["pi"].token == "sesame" == clean_token("\t sesame \r\n", of="")


def test_a_certificate_beside_the_book_moves_with_it(tmp_path: Path) -> None:
    home, mounted = tmp_path / "home", tmp_path / "mounted"
    add_device(home, Device("one", url="https://a:1", ca=str(home / "one.pem")))
    assert json.loads(book_path(home).read_text())["devices"][0]["ca"] == "one.pem"
    assert read_devices(home)["one"].ca == str(home / "one.pem")
    home.rename(mounted)
    assert read_devices(mounted)["one"].ca == str(mounted / "one.pem")


def test_a_token_that_no_request_can_carry_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="The token of device 'one'"):
        add_device(tmp_path, Device("one", url="https://a:1", token="two words"))
    assert not book_path(tmp_path).exists()


def test_a_pinned_certificate_goes_with_its_device(tmp_path: Path) -> None:
    pinned, own = tmp_path / "home" / f"device-{'a1' * 8}.pem", tmp_path / "home" / "company.pem"
    add_device(tmp_path / "home", Device("one", url="https://a:1", ca=str(pinned)))
    add_device(tmp_path / "home", Device("two", url="https://a:2", ca=str(pinned)))
    add_device(tmp_path / "home", Device("three", url="https://a:3", ca=str(own)))
    for path in (pinned, own):
        path.touch()
    remove_device(tmp_path / "home", "one")
    assert pinned.exists()  # the other device has the same
    remove_device(tmp_path / "home", "two")
    remove_device(tmp_path / "home", "three")
    assert (pinned.exists(), own.exists()) == (False, True)
    elsewhere = tmp_path / pinned.name
    elsewhere.touch()
    forget_pinned(tmp_path / "home", elsewhere)
    forget_pinned(tmp_path / "home", None)
    assert elsewhere.exists()


def test_what_a_newer_version_wrote_of_a_device_is_passed_over(tmp_path: Path) -> None:
    entry = {"name": "pi", "url": "http://a:1", "color": "green"}
    book_path(tmp_path).write_text(json.dumps({"version": 1, "devices": [entry]}))
    assert read_devices(tmp_path)["pi"] == Device("pi", url="http://a:1")


def test_a_book_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(SpecError, match="cannot be changed") as caught:
        add_device(tmp_path / "home", PI)
    assert BOOK_VARIABLE in str(caught.value.hint)


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

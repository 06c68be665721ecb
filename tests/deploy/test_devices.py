from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.deploy import DEVICES, Device, find_device
from omniforge.deploy.devices import _processor_name, describe_host
from omniforge.errors import UnknownNameError


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


def test_the_host_is_described() -> None:
    host = describe_host()
    assert isinstance(host["cores"], int)
    assert host["cores"] >= 1
    assert host["processor"]


@pytest.mark.parametrize(
    ("text", "name"),
    [("processor\t: 0\nmodel name\t: Fast: 3 GHz\n", "Fast: 3 GHz"), ("Model : Raspberry Pi 4\n", "Raspberry Pi 4")],
)
def test_the_processor_is_named_by_the_kernel(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert _processor_name(tmp_path / "cpuinfo") == name


def test_a_system_without_procfs_has_a_processor_all_the_same(tmp_path: Path) -> None:
    assert _processor_name(tmp_path / "none")

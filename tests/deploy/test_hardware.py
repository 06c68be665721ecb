from __future__ import annotations

import os
from pathlib import Path

import pytest

from omniforge.deploy.hardware import describe_hardware, describe_host, memory_bytes, nvidia_gpus, processor_name


def test_the_host_is_described() -> None:
    host = describe_host()
    assert isinstance(host["cores"], int)
    assert host["cores"] >= 1
    assert host["processor"]
    assert {"machine", "system"} <= set(host)


def test_the_hardware_has_more() -> None:
    facts = describe_hardware()
    assert facts["memory_bytes"] == memory_bytes() > 2**27
    assert str(facts["python"]).startswith("3.")
    assert all(value not in ("", 0) for value in facts.values())  # what cannot be read is absent


@pytest.mark.parametrize(
    ("text", "name"),
    [("processor\t: 0\nmodel name\t: Fast: 3 GHz\n", "Fast: 3 GHz"), ("Model : Raspberry Pi 4\n", "Raspberry Pi 4")],
)
def test_the_processor_is_named_by_the_kernel(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert processor_name(tmp_path / "cpuinfo") == name


def test_a_system_without_procfs_has_a_processor_all_the_same(tmp_path: Path) -> None:
    assert processor_name(tmp_path / "none")


def test_gpus_are_what_the_drivers_tool_says(tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf 'NVIDIA A\\nNVIDIA B\\n'\n")
    tool.chmod(0o755)
    assert nvidia_gpus(str(tool)) == ["NVIDIA A", "NVIDIA B"]
    tool.write_text("#!/bin/sh\necho no driver; exit 9\n")
    assert nvidia_gpus(str(tool)) == []
    assert nvidia_gpus(os.fspath(tmp_path / "none")) == []

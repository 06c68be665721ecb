from __future__ import annotations

import pytest

from omniforge.deploy import RUNTIMES, RuntimeOptions
from omniforge.errors import SpecError, UnknownNameError


def test_one_thread_is_the_default() -> None:
    assert RuntimeOptions().threads == 1


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"cpus": ()}])
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=next(iter(wrong))):
        RuntimeOptions(**wrong)  # type: ignore[arg-type]


def test_an_unknown_runtime_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="onnxruntime"):
        RUNTIMES.get("onnx-runtime")

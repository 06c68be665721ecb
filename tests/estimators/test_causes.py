from __future__ import annotations

import errno

import numpy as np
import pytest

from omniforge.errors import DataError, SpaceError
from omniforge.estimators import EstimatorError, StopTraining, cause_of


class OutOfMemoryError(RuntimeError):
    """Looks like torch's."""


@pytest.mark.parametrize(
    ("exception", "cause"),
    [
        (MemoryError(), "out_of_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory"),
            "out_of_memory",
        ),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory"),
        (RuntimeError("std::bad_alloc"), "out_of_memory"),
        (SpaceError("rate = 3"), "invalid_configuration"),
        (StopTraining(4), "stopped"),
        (EstimatorError("x", cause="out_of_memory", stage="train"), "out_of_memory"),
        (DataError("no such column"), "exception"),
        (OSError(errno.ENOSPC, "No space left on device"), "exception"),
        (KeyError("out of memory"), "exception"),
        (ZeroDivisionError(), "exception"),
    ],
)
def test_the_cause_of_an_exception(exception: Exception, cause: str) -> None:
    assert cause_of(exception) == cause


def test_numpy_running_out_of_memory_is_recognized() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty((1 << 50,), dtype=np.float64)
    assert cause_of(caught.value) == "out_of_memory"


def test_torch_running_out_of_memory_is_recognized() -> None:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert cause_of(caught.value) == "out_of_memory"


def test_the_chain_is_followed() -> None:
    def fail() -> None:
        try:
            raise MemoryError
        except MemoryError as e:
            raise ValueError("cannot build the tree") from e

    with pytest.raises(ValueError, match="tree") as caught:
        fail()
    assert cause_of(caught.value) == "out_of_memory"

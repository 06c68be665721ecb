from __future__ import annotations

import dataclasses

import pytest
import torch

from omniforge.search.bo.parts import Observed
from omniforge.search.bo.warp import Goals


def test_what_was_observed_is_a_value() -> None:
    observed = Observed(torch.zeros(2, 3), torch.zeros(2, 1), Goals((0,), {}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        observed.X = torch.ones(2, 3)

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from omniforge.sidecar.device.messages import MeasurementMessage, MeasurementRequest

WHOLE: dict[str, Any] = {"key": "0" * 16, "client": "job", "model": "a" * 64, "rows": "b" * 64}


def test_a_request_is_the_same_after_a_way_through_json() -> None:
    request = MeasurementRequest(**WHOLE, runtime="openvino", options={"budget_s": 0.5, "runtime": {"cpus": [0]}})
    assert MeasurementRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize(
    "change", [{"key": "0" * 15}, {"key": "G" * 16}, {"client": "x" * 201}, {"rows": "b" * 65}, {"color": "green"}]
)
def test_a_wrong_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MeasurementRequest(**WHOLE | change)


def test_a_state_is_one_of_four() -> None:
    with pytest.raises(ValidationError):
        MeasurementMessage(id="a", state="lost")

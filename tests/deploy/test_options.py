from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from omniforge.deploy import MeasureOptions, RuntimeOptions
from omniforge.deploy.options import read_runtime_options
from omniforge.errors import SpecError


@pytest.mark.parametrize("name", ["budget_s", "warmup_s", "min_repeats", "precision", "batch", "lock_timeout_s"])
def test_options_have_to_be_positive(name: str) -> None:
    with pytest.raises(SpecError, match=name):
        MeasureOptions(**{name: 0})


def test_they_survive_json() -> None:
    options = MeasureOptions(budget_s=2.0, runtime=RuntimeOptions(2, cpus=(0, 1), extra={"a": 1}), reference=False)
    assert MeasureOptions.from_dict(json.loads(json.dumps(asdict(options)))) == options
    assert MeasureOptions.from_dict({}) == MeasureOptions()


@pytest.mark.parametrize("content", [{"budget_s": -1}, {"colour": "blue"}, {"runtime": {"threads": 0}}])
def test_what_is_no_option_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        MeasureOptions.from_dict(content)
    with pytest.raises(SpecError, match="runtime"):
        read_runtime_options({"colour": "blue"})

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omniforge.adapters.foreign_names import names_for
from omniforge.search import Objective, SearchSpace


def test_names_stay_recognizable_and_different() -> None:
    assert names_for(["lr", "--lr", "layer.0/units", "1", "forbid", "größe", "_x"]) == {
        "lr": "lr", "--lr": "lr_2", "layer.0/units": "layer_0_units", "1": "p1", "forbid": "forbid_2", "größe": "gr__e",
        "_x": "_x",
    }  # fmt: skip


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=8))
def test_any_text_becomes_a_name_of_a_space(foreign: list[str]) -> None:
    names = names_for(foreign)
    assert list(names) == foreign
    space = SearchSpace.from_dict({name: {"type": "bool"} for name in names.values()})
    assert len(space.parameters) == len(foreign)
    assert [Objective(name, "min").metric for name in names.values()] == list(names.values())

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.components.advisor.run import advise_job
from omniforge.data import PreparedData
from omniforge.search import SearchSpace
from omniforge.settings import Settings
from omniforge.store import Store


@pytest.fixture
def searched(make_plan: Callable[..., Any], make_job: Any, add_task: Any) -> None:
    """A job whose best tasks are at the upper edge of a range, and one that failed."""
    make_job(make_plan(trials=20))
    for i in range(20):
        add_task(strength=99.0 if i < 10 else 0.01 * (i + 1), rewards={"accuracy": 0.9 - i / 100})
    add_task("refuse", reserve=True)


@pytest.mark.usefixtures("searched")
def test_the_page_the_suggestions_and_the_spaces_are_in_the_job_s_folder(settings: Settings, store: Store) -> None:
    advice = advise_job("job")
    folder = settings.job_path("job")
    assert advice.path == folder / "report.html"
    assert advice.metrics == {"accuracy": 0.9}
    assert "Leaderboard" in advice.path.read_text()
    suggested = json.loads((folder / "suggestions.json").read_text())
    (edit,) = [(number, one) for number, one in enumerate(suggested, start=1) if one["space"]]
    assert "strength" in edit[1]["seen"]
    space = SearchSpace.from_yaml(folder / "suggestions" / f"space-{edit[0]}.yaml")
    assert space == SearchSpace.from_dict(edit[1]["space"])
    assert space.parameters["strength"].domain.high == 300
    assert [path.name for path in (folder / "suggestions").iterdir()] == [f"space-{edit[0]}.yaml"]


@pytest.mark.usefixtures("searched")
def test_the_store_knows_of_the_page_and_the_next_job_of_the_winner_once(store: Store, iris: PreparedData) -> None:
    store.jobs.set_result("job", {"final_metrics": {"accuracy": 0.9}})
    first = advise_job("job")
    again = advise_job("job")  # a component that is retried
    assert again == first
    assert store.jobs.get("job").result == {"final_metrics": {"accuracy": 0.9}, "report": str(first.path)}
    (known,) = store.knowledge.similar("classification", iris.profile.meta_features(), k=9)
    assert known.job_id == "job"
    assert known.outcome["config"] == {"act": "fit", "strength": 99.0}
    assert (known.outcome["estimator"], known.outcome["rewards"]) == ("probe", {"accuracy": 0.9})
    assert [event.kind for event in store.events.since("job")].count("advised") == 2


def test_a_job_that_found_nothing_still_gets_its_page(
    make_plan: Callable[..., Any], make_job: Any, store: Store, iris: PreparedData
) -> None:
    make_job(make_plan())
    advice = advise_job("job")
    assert advice.metrics == {}
    assert "0 of 0" in advice.path.read_text()
    assert store.knowledge.similar("classification", iris.profile.meta_features(), k=9) == []


@pytest.mark.usefixtures("searched")
def test_the_page_is_copied_to_the_pipeline_s_artifact(tmp_path: Path) -> None:
    advice = advise_job("job")
    advice.copy_to(str(tmp_path / "artifact"))
    assert (tmp_path / "artifact").read_bytes() == advice.path.read_bytes()

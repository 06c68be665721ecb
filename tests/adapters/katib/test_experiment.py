from __future__ import annotations

import time
from typing import Any

import pytest

from omniforge.adapters.katib.experiment import ExperimentSearch


def observations(search: ExperimentSearch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = search._follower._strategy.dump()["history"]["observations"]
    return found


def ask(search: ExperimentSearch, trials: Any = (), *, count: int = 1, total: int = 0, timeout_s: float = 30) -> Any:
    return [dict(one) for one in search.suggest(count, trials=list(trials), total=total, timeout_s=timeout_s)]


def test_trials_become_rewards_by_their_condition(make: Any) -> None:
    search = ExperimentSearch(make.experiment(algorithm="omniforge-evolution", more=("size",), objectives="size:min"))
    times = ("2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z")
    ask(
        search,
        [
            make.trial("a", {"lr": 0.1}, accuracy=0.5, size=3, times=times),
            make.trial("b", {"lr": 0.2}, accuracy=0.7, size=4),
            make.trial("c", {"lr": 0.3}, condition="FAILED"),
            make.trial("d", {"lr": 0.4}, condition="METRICSUNAVAILABLE"),
            make.trial("e", {"lr": 0.5}, condition="KILLED"),
            make.trial("f", {"lr": 0.6}, condition="RUNNING", accuracy=0.9),
            make.trial("g", {"lr": 0.7}, condition="EARLYSTOPPED", accuracy=0.95, size=5),
            make.trial("h", {"lr": 0.8}, condition="EARLYSTOPPED", accuracy=0.1, size=5),
            make.trial("i", {"lr": 7.0}, accuracy=0.6),
            make.trial("j", {"lr": 0.9}, accuracy="unavailable"),
        ],
    )
    seen = observations(search)
    assert [(o["config"]["lr"], o["state"]) for o in seen] == [
        (0.1, "succeeded"), (0.2, "succeeded"), (0.3, "failed"), (0.4, "failed"), (0.7, "succeeded"), (0.8, "succeeded"),
        (0.9, "failed"),
    ]  # fmt: skip
    assert seen[0]["metrics"] == {"accuracy": 0.5, "size": 3.0}
    assert seen[0]["duration_s"] == 90.0
    assert seen[4]["metrics"] == {"accuracy": 0.6, "size": 5.0}
    assert seen[5]["metrics"]["accuracy"] == 0.1


def test_each_trial_is_learned_once(make: Any) -> None:
    search = ExperimentSearch(make.experiment())
    trials = [make.trial("a", {"lr": 0.1}, accuracy=0.5), make.trial("b", {"lr": 0.2}, condition="RUNNING")]
    ask(search, trials)
    trials[1] = make.trial("b", {"lr": 0.2}, accuracy=0.6)
    ask(search, trials)
    ask(search, trials)
    assert [o["config"]["lr"] for o in observations(search)] == [0.1, 0.2]


def test_what_was_handed_out_and_is_no_trial_yet_is_pending(make: Any) -> None:
    wanted = make.experiment(make.parameter("k", "CATEGORICAL", values=("a", "b", "c", "d")))
    search = ExperimentSearch(wanted)
    found = [*ask(search, count=2), *ask(search, count=2)]
    assert {one["k"] for one in found} == set("abcd")


def test_a_finite_space_repeats_once_it_is_exhausted(make: Any) -> None:
    search = ExperimentSearch(make.experiment(make.parameter("k", "CATEGORICAL", values=("a", "b"))))
    found = ask(search, [make.trial("t", {"k": "a"}, accuracy=1)], count=5)
    assert found[0] == {"k": "b"}
    assert len(found) == 5


def test_a_repeated_request_is_answered_as_before(make: Any) -> None:
    search = ExperimentSearch(make.experiment())
    first = ask(search, count=2, total=2)
    assert ask(search, count=2, total=2) == first
    trials = [make.trial("a", first[0], condition="RUNNING")]
    assert ask(search, trials, count=2, total=3) != first
    assert ask(search, trials, count=2, total=3) != ask(search, trials, count=2, total=4)


def test_a_restarted_service_goes_on_from_the_trials(make: Any) -> None:
    first = ExperimentSearch(make.experiment(algorithm="omniforge-sobol"))
    trials = [make.trial(str(i), one, accuracy=0.5) for i, one in enumerate(ask(first, count=6))]
    again = ExperimentSearch(make.experiment(algorithm="omniforge-sobol"))
    found = ask(again, trials, count=6)
    assert len(observations(again)) == 6
    assert not {one["lr"] for one in found} & {
        trial.spec.parameter_assignments.assignments[0].value for trial in trials
    }


def test_random_suggestions_come_in_time_and_late_ones_the_next_time(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    search = ExperimentSearch(make.experiment(algorithm="omniforge-sobol"))
    search._thread.submit(time.sleep, 0.3)
    in_time = ask(search, count=2, timeout_s=0.01)
    assert len(in_time) == 2
    assert "random ones" in caplog.text
    (late,) = search._late
    (expected, other) = [search._parameters.assignments(config) for config in late.result(timeout=30)]
    assert ask(search, count=1) == [dict(expected)]
    assert dict(other) not in in_time
    assert search._late == []
    search.close()


def test_a_strategy_that_fails_says_so(make: Any) -> None:
    search = ExperimentSearch(make.experiment())
    with pytest.raises(Exception, match="count is -1"):
        ask(search, count=-1)

from __future__ import annotations

import dataclasses

import pytest

from omniforge.search import Candidate, Reward


def test_candidates_and_rewards_are_values() -> None:
    candidate = Candidate({"x": 1}, {"epochs": 3}, id=7)
    assert candidate == Candidate({"x": 1}, {"epochs": 3}, 7)
    assert Reward(candidate).metrics == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        candidate.id = 8  # type: ignore[misc]


def test_a_reward_has_a_known_state() -> None:
    assert Reward(Candidate({}), {}, state="timeout", cause="too slow", duration_s=1.0).cause == "too slow"
    with pytest.raises(ValueError, match=r"'done'.*succeeded"):
        Reward(Candidate({}), {}, state="done")

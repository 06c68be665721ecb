from __future__ import annotations

import pytest

from omniforge.sidecar import Session, TaskMessage
from omniforge.sidecar.sessions import Sessions


@pytest.fixture
def sessions(task: TaskMessage) -> tuple[Sessions, list[Session]]:
    sessions = Sessions()
    opened = [
        Session(task, url="", on_progress=lambda step, metrics: False, on_close=sessions.remove) for _ in range(3)
    ]
    for session in opened:
        sessions.add(session)
    return sessions, opened


def test_a_token_finds_its_session(sessions: tuple[Sessions, list[Session]]) -> None:
    found, opened = sessions
    assert [found.find(session.token) for session in opened] == opened


@pytest.mark.parametrize("token", ["", "x", "ü", "\udcff", "a" * 10_000])
def test_no_other_token_finds_anything(sessions: tuple[Sessions, list[Session]], token: str) -> None:
    assert sessions[0].find(token) is None


def test_a_part_of_a_token_is_none(sessions: tuple[Sessions, list[Session]]) -> None:
    found, opened = sessions
    assert found.find(opened[0].token[:-1]) is None
    assert found.find(opened[0].token + "A") is None


def test_closed_sessions_are_forgotten(sessions: tuple[Sessions, list[Session]]) -> None:
    found, opened = sessions
    opened[0].close()
    assert found.find(opened[0].token) is None
    assert len(found) == 2
    found.remove(opened[0])
    found.close_all()
    assert len(found) == 0

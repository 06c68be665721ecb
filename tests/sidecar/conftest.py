from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from omniforge.sidecar import Session, Sidecar, SidecarClient, TaskMessage

TASK = TaskMessage(job="job-1", task=7, attempt=2, estimator="tabular", config={"algorithm": "knn", "k": 3}, seed=5)


@dataclass
class Worker:
    """What a worker does with progress: it records it, and says stop from a step on."""

    stop_at: int = 10**9
    seen: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    fail_with: Exception | None = None

    def on_progress(self, step: int, metrics: dict[str, float]) -> bool:
        if self.fail_with is not None:
            raise self.fail_with
        self.seen.append((step, metrics))
        return step >= self.stop_at


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def task() -> TaskMessage:
    return TASK


@pytest.fixture(scope="module")
def sidecar() -> Iterator[Sidecar]:
    with Sidecar(max_message_bytes=20_000, max_model_bytes=3_000_000) as sidecar:
        yield sidecar


@pytest.fixture
def session(sidecar: Sidecar, worker: Worker, task: TaskMessage) -> Iterator[Session]:
    session = sidecar.open(task, on_progress=worker.on_progress)
    yield session
    session.close()


@pytest.fixture
def client(session: Session) -> Iterator[SidecarClient]:
    with SidecarClient(session.url, session.token, patience_s=0.5) as client:
        yield client


@pytest.fixture
def request_json(session: Session) -> Iterator[Callable[..., object]]:
    """Send a raw request; return the status and the body."""
    import httpx

    with httpx.Client(base_url=session.url, trust_env=False, timeout=20) as http:

        def request_json(method: str, path: str, *, token: str | None = None, **rest: Any) -> tuple[int, Any]:
            given = session.token if token is None else token
            headers = ({"Authorization": f"Bearer {given}"} if given else {}) | rest.pop("headers", {})
            response = http.request(method, path, headers=headers, **rest)
            return response.status_code, response.json()

        yield request_json

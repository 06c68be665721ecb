from __future__ import annotations

from collections.abc import Callable

import pytest

from omniforge.components.end.end import finish
from omniforge.errors import RecordNotFoundError
from omniforge.settings import Settings
from omniforge.store import JobRecord, Store


def test_the_job_has_succeeded_and_its_scratch_is_gone(
    store: Store, settings: Settings, make_job: Callable[..., JobRecord]
) -> None:
    make_job()
    store.jobs.set_result("job", {"model": "probe/3", "report": "report.html"})
    folder = settings.job_path("job")
    (folder / "scratch" / "1-1-search").mkdir(parents=True)
    (folder / "tasks").mkdir()
    assert finish("job") == "probe/3"
    job = store.jobs.get("job")
    assert job.state == "succeeded"
    assert job.finished_at is not None
    assert job.result == {"model": "probe/3", "report": "report.html"}
    assert [path.name for path in folder.iterdir()] == ["tasks"]
    assert finish("job") == "probe/3"  # a retry changes nothing


def test_a_job_without_a_model_has_succeeded_too(store: Store, make_job: Callable[..., JobRecord]) -> None:
    make_job()
    assert finish("job") == ""
    assert store.jobs.get("job").state == "succeeded"


def test_a_cancelled_job_stays_cancelled(store: Store, make_job: Callable[..., JobRecord]) -> None:
    make_job()
    store.jobs.request_cancel("job")
    finish("job")
    assert store.jobs.get("job").state == "cancelled"


def test_an_unknown_job_is_an_error(settings: Settings) -> None:
    with pytest.raises(RecordNotFoundError):
        finish("nothing")

"""The door to the store. What is behind it is tested beside each module, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from conformance.store_base import StoreBase, candidates, reserved

from omniforge.errors import RecordNotFoundError, SpecError
from omniforge.store import Store, open_store


class TestDoor(StoreBase):
    def test_what_is_saved_is_there_when_the_store_is_opened_again(
        self, store_url: str, store: Store, job: str
    ) -> None:
        put = store.broker.put(job, candidates(2))
        store.close()
        with open_store(store_url) as again:
            assert again.broker.tasks(job) == put
            assert again.jobs.get(job) == store.jobs.get(job)

    def test_an_empty_place_becomes_a_store(self, empty_url: str) -> None:
        with open_store(empty_url) as store:
            assert store.jobs.list() == []
            assert store.url == empty_url

    def test_a_job_is_exported_as_json(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(2))
        task = reserved(store, job, "w1", lease_s=5)
        store.broker.progress(task, 1, {"loss": 1.0})
        store.workers.register("w1", job_id=job, pid=1, host="h")
        store.strategies.save(job, "search", {"version": 1})
        exported = json.loads(json.dumps(store.export(job)))
        assert exported["job"]["id"] == job
        assert [entry["state"] for entry in exported["tasks"]] == ["reserved", "pending"]
        assert exported["curves"] == {"search": {str(task.id): [[1, {"loss": 1.0}]]}}
        assert exported["strategies"] == {"search": {"version": 1}}
        assert [event["kind"] for event in exported["events"]] == ["job_created", "job_started"]
        assert exported["tasks"][0]["created_at"].endswith("+00:00")
        with pytest.raises(RecordNotFoundError):
            store.export("nobody")


@pytest.mark.parametrize("url", ["mysql://root@localhost/x", "not a url", "", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_be_a_store_is_refused(url: str) -> None:
    with pytest.raises(SpecError, match="store URL"):
        open_store(url)


def test_the_package_is_light_until_a_store_is_opened() -> None:
    assert modules_after("import omniforge.store as store; store.TaskRecord") == set()


def test_opening_an_up_to_date_store_does_not_load_alembic(sqlite_url: str) -> None:
    assert modules_after(f"from omniforge.store import open_store; open_store({sqlite_url!r})") == {"sqlalchemy"}


def modules_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return which of the store's libraries it has loaded."""
    probe = f"{code}; import sys; print(*({{'sqlalchemy', 'alembic', 'psycopg'}} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=environment)
    return set(run.stdout.split())

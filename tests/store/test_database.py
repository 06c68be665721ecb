"""Units of work, retries and forks, with many real processes on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conformance.store_base import StoreBase, candidates
from conformance.store_processes import ProcessesSuite

from omniforge.errors import StoreError
from omniforge.store import Store
from omniforge.store.database import Session


class TestProcesses(ProcessesSuite):
    """Both databases, by the parameters of the fixture ``store_url``."""


class TestUnits(StoreBase):
    def test_a_unit_that_fails_leaves_nothing(self, store: Store, job: str) -> None:
        def work(session: Session) -> None:
            session.add_event(job, "note", {})
            raise ZeroDivisionError

        before = store.events.since(job)
        with pytest.raises(ZeroDivisionError):
            store._database.write(work)
        assert store.events.since(job) == before
        assert store.events.append(job, "note", {}) > before[-1].seq

    def test_an_interrupted_unit_leaves_nothing(self, store: Store, job: str) -> None:
        def work(session: Session) -> None:
            session.add_event(job, "note", {})
            raise KeyboardInterrupt

        before = store.events.since(job)
        with pytest.raises(KeyboardInterrupt):
            store._database.write(work)
        assert store.events.since(job) == before

    def test_a_refused_change_is_an_error_of_the_store(self, store: Store, job: str) -> None:
        def work(session: Session) -> None:
            session.connection.exec_driver_sql("INSERT INTO events (job_id) VALUES ('nobody')")

        with pytest.raises(StoreError, match="refused"):
            store._database.write(work)
        assert len(store.broker.put(job, candidates(1))) == 1

    def test_a_closed_store_connects_again_when_it_is_used(self, store: Store, job: str) -> None:
        store.close()
        store.close()
        assert store.jobs.get(job).id == job


_PARENT_AND_CHILD = """
import os, sys
from omniforge.store import open_store
store = open_store({url!r})
store.jobs.create("job-1", name="n", kind="hpo", spec={{}})
store.broker.wait_for_work("job-1", 0)
pid = os.fork()
if pid == 0:
    if {use}:
        store.jobs.list()
    sys.exit(0)  # the interpreter ends in full and clears everything away
assert os.waitpid(pid, 0)[1] == 0
backend = lambda: store._database.read(lambda s: s.connection.connection.driver_connection)
before = backend()
store.broker.wait_for_work("job-1", 0)
store.jobs.finish("job-1", "succeeded")
assert backend() is before, "the parent had to connect again"
print(store.jobs.get("job-1").state)
"""


@pytest.mark.parametrize("use", [True, False])
def test_the_end_of_a_forked_child_does_not_disturb_its_parent(store_url: str, use: bool) -> None:
    code = _PARENT_AND_CHILD.format(url=store_url, use=use)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert (run.stdout.split(), run.stderr) == (["succeeded"], "")

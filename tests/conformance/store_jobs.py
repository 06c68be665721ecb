"""Jobs, workers, events, strategies and knowledge: what every store must keep."""

from __future__ import annotations

import pytest
from conformance.store_base import FakeClock, StoreBase, candidates, reserved, seconds

from omniforge.errors import RecordNotFoundError, SpecError, StoreError
from omniforge.store import Store


class JobsSuite(StoreBase):
    def test_a_created_job_is_queued_and_comes_back_by_value(self, store: Store, clock: FakeClock) -> None:
        made = store.jobs.create("a", name="first", kind="hpo", spec={"data": "d.csv", "nested": {"x": [1, None]}})
        assert made.state == "queued"
        assert made.spec == {"data": "d.csv", "nested": {"x": [1, None]}}
        assert made.created_at.timestamp() == clock.now
        assert made.created_at.utcoffset() is not None
        assert (made.plan, made.result, made.error, made.started_at, made.finished_at) == (None,) * 5
        assert store.jobs.get("a") == made

    def test_a_taken_id_is_refused_and_the_first_job_kept(self, store: Store) -> None:
        first = store.jobs.create("a", name="first", kind="hpo", spec={})
        with pytest.raises(StoreError, match="already a job 'a'"):
            store.jobs.create("a", name="second", kind="hpo", spec={})
        assert store.jobs.get("a") == first

    def test_an_unknown_job_is_refused_with_near_ids(self, store: Store) -> None:
        store.jobs.create("churn-7", name="n", kind="hpo", spec={})
        with pytest.raises(RecordNotFoundError, match="churn-8") as caught:
            store.jobs.get("churn-8")
        assert "churn-7" in str(caught.value.hint)
        assert caught.value.exit_code == 2

    def test_bad_input_names_the_value(self, store: Store) -> None:
        with pytest.raises(SpecError, match="'grid'"):
            store.jobs.create("a", name="n", kind="grid", spec={})
        with pytest.raises(SpecError, match="spec of job 'a'"):
            store.jobs.create("a", name="n", kind="hpo", spec={"x": float("nan")})
        with pytest.raises(SpecError, match="'done'"):
            store.jobs.list(states=["done"])
        with pytest.raises(SpecError, match="'running'"):
            store.jobs.finish("a", "running")
        assert store.jobs.list() == []

    def test_list_is_newest_first_by_state_and_limited(self, store: Store, clock: FakeClock) -> None:
        for name in "abc":
            store.jobs.create(name, name=name, kind="hpo", spec={})
            clock.advance(1)
        store.jobs.start("b")
        assert [job.id for job in store.jobs.list()] == ["c", "b", "a"]
        assert [job.id for job in store.jobs.list(limit=2)] == ["c", "b"]
        assert [job.id for job in store.jobs.list(states=("queued",))] == ["c", "a"]

    def test_a_job_runs_and_ends(self, store: Store, clock: FakeClock) -> None:
        store.jobs.create("a", name="n", kind="hpo", spec={})
        clock.advance(5)
        started = store.jobs.start("a")
        assert (started.state, seconds(started.started_at)) == ("running", clock.now)
        assert store.jobs.set_plan("a", {"workers": 2}).plan == {"workers": 2}
        assert store.jobs.set_result("a", {"best": 1}).result == {"best": 1}
        clock.advance(5)
        ended = store.jobs.finish("a", "succeeded")
        assert (ended.state, seconds(ended.finished_at), ended.result) == ("succeeded", clock.now, {"best": 1})
        assert store.jobs.finish("a", "failed", error="too late") == ended
        with pytest.raises(StoreError, match="has succeeded"):
            store.jobs.start("a")

    @pytest.mark.parametrize("end", ["failed", "cancelled"])
    def test_a_job_that_failed_or_was_cancelled_can_be_resumed(self, store: Store, job: str, end: str) -> None:
        first_start = store.jobs.get(job).started_at
        store.jobs.finish(job, end, error="lost power")
        resumed = store.jobs.start(job)
        assert (resumed.state, resumed.error, resumed.finished_at) == ("running", None, None)
        assert resumed.started_at == first_start

    def test_a_job_that_was_cut_off_while_running_can_be_resumed(self, store: Store, job: str) -> None:
        assert store.jobs.start(job).state == "running"

    def test_cancelling_ends_what_waits_and_warns_what_runs(self, store: Store, job: str) -> None:
        store.broker.put(job, candidates(3))
        running = store.broker.start(reserved(store, job, "w1", lease_s=30))
        waiting = reserved(store, job, "w2", lease_s=30)
        assert store.jobs.request_cancel(job).state == "cancelled"
        assert store.broker.counts(job)["cancelled"] == 2
        assert store.broker.counts(job)["running"] == 1
        assert store.broker.heartbeat(waiting, lease_s=30) is False
        assert store.broker.heartbeat(running, lease_s=30) is False
        assert store.broker.reserve(job, "w3", lease_s=30) is None
        assert store.broker.report(running, "cancelled") is True
        assert store.broker.counts(job)["cancelled"] == 3
        assert store.jobs.request_cancel(job).state == "cancelled"
        assert [event.kind for event in store.events.since(job)] == ["job_created", "job_started", "job_cancelled"]

    def test_a_finished_job_is_not_cancelled(self, store: Store, job: str) -> None:
        store.jobs.finish(job, "succeeded")
        assert store.jobs.request_cancel(job).state == "succeeded"


class EventsSuite(StoreBase):
    def test_events_come_back_in_order_above_a_number(self, store: Store, job: str, clock: FakeClock) -> None:
        seqs = [store.events.append(job, "note", {"n": n}) for n in range(5)]
        assert seqs == sorted(seqs)
        found = store.events.since(job, seqs[1])
        assert [event.payload["n"] for event in found] == [2, 3, 4]
        assert [event.seq for event in found] == seqs[2:]
        assert [event.payload["n"] for event in store.events.since(job, seqs[0], limit=2)] == [1, 2]
        assert found[0].at.timestamp() == clock.now

    def test_jobs_do_not_see_each_others_events(self, store: Store, job: str) -> None:
        store.jobs.create("job-2", name="two", kind="hpo", spec={})
        store.events.append("job-2", "note", {})
        assert [event.kind for event in store.events.since(job)] == ["job_created", "job_started"]

    def test_an_event_needs_a_job_and_json(self, store: Store, job: str) -> None:
        with pytest.raises(RecordNotFoundError):
            store.events.append("nobody", "note", {})
        with pytest.raises(SpecError, match="payload of event 'note'"):
            store.events.append(job, "note", {"x": object()})


class SpaceChangesSuite(StoreBase):
    def test_the_newest_space_is_the_plans_and_the_earlier_ones_are_kept(self, store: Store, job: str) -> None:
        store.jobs.set_plan(job, {"space": {"v": 1}, "space_hash": "one", "workers": 2})
        store.jobs.change_space(job, {"v": 2}, space_hash="two", before="one", changes=["~ v"])
        plan = store.jobs.change_space(job, {"v": 3}, space_hash="three", before="two").plan or {}
        assert (plan["space"], plan["space_hash"], plan["workers"]) == ({"v": 3}, "three", 2)
        assert plan["space_versions"] == [{"space": {"v": 1}, "hash": "one"}, {"space": {"v": 2}, "hash": "two"}]
        assert store.jobs.get(job).plan == plan
        events = [event.payload for event in store.events.since(job) if event.kind == "space_changed"]
        assert events[0] == {"version": 2, "hash": "two", "changes": ["~ v"]}

    def test_an_edit_of_what_is_no_longer_there_is_refused(self, store: Store, job: str) -> None:
        with pytest.raises(StoreError, match="no plan"):
            store.jobs.change_space(job, {}, space_hash="two", before="one")
        store.jobs.set_plan(job, {"space": {"v": 1}, "space_hash": "one"})
        with pytest.raises(StoreError, match="meanwhile"):
            store.jobs.change_space(job, {"v": 3}, space_hash="three", before="two")
        with pytest.raises(SpecError, match="space of job"):
            store.jobs.change_space(job, {"v": float("nan")}, space_hash="three", before="one")
        store.jobs.finish(job, "succeeded")
        with pytest.raises(StoreError, match="has succeeded"):
            store.jobs.change_space(job, {"v": 3}, space_hash="three", before="one")
        assert (store.jobs.get(job).plan or {})["space_hash"] == "one"


class WorkersSuite(StoreBase):
    def test_a_worker_registers_and_is_heard(self, store: Store, job: str, clock: FakeClock) -> None:
        made = store.workers.register("w1", job_id=job, pid=17, host="here")
        assert (made.state, made.pid, made.host, made.task_id, made.heartbeat_age_s) == (
            "starting",
            17,
            "here",
            None,
            0,
        )
        clock.advance(3)
        assert store.workers.get("w1").heartbeat_age_s == pytest.approx(3)
        store.workers.heartbeat("w1", state="busy", task_id=5)
        [seen] = store.workers.list(job)
        assert (seen.state, seen.task_id, seen.heartbeat_age_s) == ("busy", 5, 0)
        assert seen.heartbeat_at.timestamp() == clock.now

    def test_a_restarted_worker_takes_its_row_back(self, store: Store, job: str) -> None:
        store.workers.register("w1", job_id=job, pid=17, host="here")
        store.workers.heartbeat("w1", state="busy", task_id=5)
        assert store.workers.register("w1", job_id=job, pid=18, host="here").task_id is None
        assert [worker.pid for worker in store.workers.list(job)] == [18]

    def test_silent_workers_are_marked_lost_once(self, store: Store, job: str, clock: FakeClock) -> None:
        store.workers.register("dead", job_id=job, pid=1, host="h")
        store.workers.register("done", job_id=job, pid=2, host="h", state="stopped")
        clock.advance(20)
        store.workers.register("live", job_id=job, pid=3, host="h", state="idle")
        assert [worker.id for worker in store.workers.mark_lost(job, silent_s=10)] == ["dead"]
        assert store.workers.mark_lost(job, silent_s=10) == []
        assert {worker.id: worker.state for worker in store.workers.list(job)} == {
            "dead": "lost",
            "done": "stopped",
            "live": "idle",
        }

    def test_unknown_workers_jobs_and_states_are_refused(self, store: Store, job: str) -> None:
        with pytest.raises(RecordNotFoundError, match="'w9'"):
            store.workers.heartbeat("w9", state="idle")
        with pytest.raises(RecordNotFoundError, match="'w9'"):
            store.workers.get("w9")
        with pytest.raises(RecordNotFoundError, match="'job-9'"):
            store.workers.register("w1", job_id="job-9", pid=1, host="h")
        with pytest.raises(SpecError, match="'asleep'"):
            store.workers.register("w1", job_id=job, pid=1, host="h", state="asleep")


class StrategiesSuite(StoreBase):
    def test_a_saved_state_replaces_the_one_before(self, store: Store, job: str) -> None:
        assert store.strategies.load(job, "search") is None
        store.strategies.save(job, "search", {"version": 1, "seen": [1, 2]})
        store.strategies.save(job, "search", {"version": 1, "seen": [1, 2, 3]})
        store.strategies.save(job, "smoke", {"version": 1})
        assert store.strategies.load(job, "search") == {"version": 1, "seen": [1, 2, 3]}

    def test_a_state_needs_a_job_and_json(self, store: Store, job: str) -> None:
        with pytest.raises(RecordNotFoundError):
            store.strategies.save("nobody", "search", {})
        with pytest.raises(SpecError, match="strategy state"):
            store.strategies.save(job, "search", {"x": float("inf")})
        assert store.strategies.load(job, "search") is None


class KnowledgeSuite(StoreBase):
    def test_the_most_alike_come_first_and_only_of_the_type(self, store: Store) -> None:
        for name, rows in (("small", 2.0), ("middle", 3.0), ("large", 6.0)):
            meta = {"log_rows": rows, "missing": 0.1}
            store.knowledge.add(name, task_type="classification", meta_features=meta, outcome={"won": name})
        store.knowledge.add("other", task_type="regression", meta_features={"log_rows": 2.9}, outcome={})
        found = store.knowledge.similar("classification", {"log_rows": 2.9, "missing": 0.1}, k=2)
        assert [row.job_id for row in found] == ["middle", "small"]
        assert 0 < found[0].distance < found[1].distance
        assert found[0].outcome == {"won": "middle"}
        assert store.knowledge.similar("clustering", {"log_rows": 1.0}, k=3) == []

    def test_a_meta_feature_must_be_finite(self, store: Store) -> None:
        with pytest.raises(SpecError, match="'log_rows' is nan"):
            store.knowledge.add("a", task_type="t", meta_features={"log_rows": float("nan")}, outcome={})
        assert store.knowledge.similar("t", {"log_rows": 1.0}, k=1) == []

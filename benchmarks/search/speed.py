"""How long methods think: seconds of one ask for ``q`` candidates when ``n`` observations of ``d`` parameters are known.

    python -m benchmarks.search.speed --methods auto,optuna-gp,ax --dimensions 6,20,60 --observations 50,100,300,1000

One thread. ``cpu_s`` is the processor's time, which a busy machine does not stretch. Each figure is the median over repeats,
after one ask that is not counted (libraries load, models fit) and after a twentieth more observations, so that a model that is
not fitted at every ask is fitted in this one. A quarter of the parameters are choices of four values, the rest numbers; the
values are those of a smooth function.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from omniforge.search import Candidate, Objective, Reward, SearchSpace, strategy

from .grid import record
from .table import RESULTS, Table, parser

COLUMNS = ("method", "d", "n", "q", "median_s", "max_s", "cpu_s")
Configs = Sequence[dict[str, Any]]
Ask = Callable[[int], None]
Tell = Callable[[Configs, Sequence[float]], None]
OBJECTIVE = Objective("value", "max")


def space(d: int) -> SearchSpace:
    """Return ``d`` parameters, every fourth a choice."""
    number, choice = {"type": "float", "range": [0.0, 1.0]}, {"type": "choice", "range": ["a", "b", "c", "d"]}
    return SearchSpace.from_dict({f"p{i}": choice if i % 4 == 3 else number for i in range(d)})


def value(config: dict[str, Any]) -> float:
    """Return a smooth function of the numbers plus a term for each choice."""
    total = 0.0
    for i, item in enumerate(config.values()):
        weight = 1.0 / (1 + i)
        total += weight * ("abcd".index(item) / 3.0 if isinstance(item, str) else -4.0 * (item - 0.3) ** 2)
    return total


def ours(name: str, where: SearchSpace) -> tuple[Ask, Tell]:
    """Return ask and tell of one of our strategies."""
    made = strategy(name)
    made.bind_space(where, [OBJECTIVE], seed=0)

    def tell(configs: Configs, values: Sequence[float]) -> None:
        made.handle_rewards([Reward(Candidate(c), {"value": v}) for c, v in zip(configs, values, strict=True)])

    return lambda count: _ignore(made.generate_tasks(count)), tell


def optuna(name: str, where: SearchSpace) -> tuple[Ask, Tell]:
    """Return ask and tell of an Optuna sampler; a batch is asked one by one, as workers do."""
    import optuna as library

    library.logging.set_verbosity(library.logging.ERROR)
    distributions: dict[str, Any] = {}
    for path, parameter in where.parameters.items():
        if parameter.kind == "float":
            distributions[path] = library.distributions.FloatDistribution(0.0, 1.0)
        else:
            distributions[path] = library.distributions.CategoricalDistribution(tuple("abcd"))
    samplers = library.samplers
    sampler: Any = samplers.GPSampler(seed=0, deterministic_objective=True)
    if name == "optuna-tpe":
        sampler = samplers.TPESampler(seed=0, multivariate=True)
    study = library.create_study(direction="maximize", sampler=sampler)

    def tell(configs: Configs, values: Sequence[float]) -> None:
        for config, found in zip(configs, values, strict=True):
            study.add_trial(library.trial.create_trial(params=config, distributions=distributions, value=found))

    def ask(count: int) -> None:
        for _ in range(count):
            study.ask(distributions)

    return ask, tell


def ax(name: str, where: SearchSpace) -> tuple[Ask, Tell]:  # noqa: ARG001
    """Return ask and tell of Ax's client."""
    import logging

    from ax.api.client import Client
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    for logger in ("ax", "ax.api.client"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    parameters: list[Any] = []
    for path, parameter in where.parameters.items():
        if parameter.kind == "float":
            parameters.append(RangeParameterConfig(name=path, bounds=(0.0, 1.0), parameter_type="float"))
        else:
            parameters.append(ChoiceParameterConfig(name=path, values=list("abcd"), parameter_type="str"))
    client = Client(random_seed=0)
    client.configure_experiment(parameters)
    client.configure_optimization(objective="value")

    def tell(configs: Configs, values: Sequence[float]) -> None:
        for config, found in zip(configs, values, strict=True):
            client.complete_trial(client.attach_trial(dict(config)), raw_data={"value": found})

    return lambda count: _ignore(client.get_next_trials(count)), tell


def _ignore(found: Any) -> None:
    if not found:
        raise RuntimeError("nothing was proposed")


MAKERS: dict[str, Callable[[str, SearchSpace], tuple[Ask, Tell]]] = {
    "optuna-gp": optuna,
    "optuna-tpe": optuna,
    "ax": ax,
}


def measure(name: str, *, d: int, n: int, q: int, repeats: int) -> list[tuple[float, float]]:
    """Return the seconds of ``repeats`` asks, each of a fresh method: on the clock, and of the processor."""
    where = space(d)
    seconds = []
    for repeat in range(repeats):
        configs = where.sample_many(n, np.random.default_rng([repeat, n, d]))
        values = [value(config) for config in configs]
        known = n - n // 20 - 1
        ask, tell = MAKERS.get(name, ours)(name, where)
        tell(configs[:known], values[:known])
        ask(1)
        tell(configs[known:], values[known:])
        began, used = time.perf_counter(), time.process_time()
        ask(q)
        seconds.append((time.perf_counter() - began, time.process_time() - used))
    return seconds


def rows(chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the figures; a method is not asked for more once an ask has taken ``--limit`` seconds at fewer observations."""
    for d in _numbers(chosen.dimensions):
        for q in _numbers(chosen.batches):
            for name in chosen.methods.split(","):
                slow = False
                for n in _numbers(chosen.observations):
                    if slow:
                        continue
                    seconds = measure(name, d=d, n=n, q=q, repeats=chosen.repeats)
                    clock, used = zip(*seconds, strict=True)
                    cpu_s = statistics.median(used)
                    slow = cpu_s > chosen.limit
                    found = {"median_s": statistics.median(clock), "max_s": max(clock), "cpu_s": cpu_s}
                    yield {"method": name, "d": d, "n": n, "q": q} | found


def _numbers(text: str) -> list[int]:
    return [int(item) for item in text.split(",")]


def main() -> None:
    """Measure, print and write the table."""
    known = parser(__doc__, RESULTS / "search" / "speed.csv")
    known.add_argument("--methods", default="auto,optuna-gp")
    known.add_argument("--dimensions", default="6,20,60")
    known.add_argument("--observations", default="50,100,300,1000")
    known.add_argument("--batches", default="1,4,8")
    known.add_argument("--repeats", type=int, default=3)
    known.add_argument("--limit", type=float, default=20.0)
    chosen = known.parse_args()
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(1)
    chosen.output.unlink(missing_ok=True)
    results = Table(chosen.output, COLUMNS)
    for row in rows(chosen):
        shown = {key: round(item, 4) if isinstance(item, float) else item for key, item in row.items()}
        results.append(shown)
        print("  ".join(f"{key} {item}" for key, item in shown.items()), flush=True)
    record(chosen.output.with_suffix(".environment.json"))


if __name__ == "__main__":
    main()

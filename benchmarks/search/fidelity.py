"""How much training the multi-fidelity strategies need, on recorded learning curves: `problems x methods x seeds`, resumable.

Problems (``--data`` is the folder that holds both):

- ``taskset/*``: eight text classifiers trained by Adam with eight hyperparameters (`taskset_rnn`: 1,000 recorded configurations,
  validation loss at 51 checkpoints). The space is the unit cube of their logarithms, and a configuration stands for the nearest
  recorded one, for every method alike. A run that diverged fails.
- ``lcbench/*``: multilayer perceptrons with seven hyperparameters on OpenML data sets (`lcbench_surrogate`: an ONNX model of the
  validation error after 1 to 52 epochs, continuous in the configuration), five data sets.

Cost is counted in epochs, one worker. A configuration that is continued resumes from its checkpoint: it costs the difference, for
every method (two configurations that stand for the same recorded one share it). Regret is the best value seen at any checkpoint
less the best there is (of the table; for ``lcbench``, of 2,000 random configurations), divided by what the median random
configuration is worse than that after full training. ``full`` counts values after full training only.

Peers, on the same spaces and seeds: random search, Optuna's TPE, and TPE with its HyperbandPruner, which reports every epoch.

    python -m benchmarks.search.fidelity --data DIR --problems taskset --seeds 5
    python -m benchmarks.search.fidelity --data DIR --summary

The summary of the first ``--seeds`` seeds says, for each problem, after how many epochs the mean regret of a method is that of the
best peer at the end, as a share of the epochs that this peer took to get there.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.search import Candidate, Objective, Reward, SearchSpace, strategy

RESULTS = Path(__file__).parent.parent / "results" / "search_fidelity.csv"
LOSS = Objective("loss", "min")
OURS = ("freeze-thaw", "bohb", "hyperband", "asha")
PEERS = ("random", "optuna-tpe", "optuna-tpe-hyperband")
FIELDS = ("problem", "method", "seed", "epochs", "regret", "full", "asks", "ask_s")
LCBENCH_TASKS = ("3945", "7593", "34539", "126025", "126026")
SMALLEST = 0.2  # epochs: what a look at a checkpoint that is there already counts, so that no search is endless


@dataclass(frozen=True)
class Problem:
    """Learning curves over a space.

    Args:
        name: Of the problem.
        space: Where its configurations lie.
        epochs: The full training.
        curve: Configuration to what it stands for and its losses after each epoch; NaN from where it diverged.
        best: The least loss there is.
        typical: The median loss after full training.
    """

    name: str
    space: SearchSpace
    epochs: int
    curve: Callable[[dict[str, Any]], tuple[Any, np.ndarray[Any, Any]]]
    best: float
    typical: float


@dataclass
class Trainer:
    """Counts what is spent and what it found.

    Args:
        problem: What is trained.
    """

    problem: Problem
    spent: float = 0.0
    done: dict[Any, int] = field(default_factory=dict)
    trace: list[tuple[float, float, float]] = field(default_factory=list)
    best: float = math.inf
    full: float = math.inf
    curves: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def train(self, config: dict[str, Any], epochs: int) -> float:
        """Return the loss after some epochs of a configuration, from its last checkpoint; NaN if it diverged."""
        key = repr(sorted(config.items()))
        if key not in self.curves:
            self.curves[key] = self.problem.curve(config)
        stands_for, losses = self.curves[key]
        known = self.done.get(stands_for, 0)
        seen = losses[:epochs]
        ran = epochs if np.isfinite(seen).all() else int(np.argmax(~np.isfinite(seen))) + 1
        self.done[stands_for] = max(known, ran)
        self.spent += max(SMALLEST, ran - known)
        self.best = min([self.best, *seen[np.isfinite(seen)].tolist()])
        if ran == self.problem.epochs and np.isfinite(seen[-1]):
            self.full = min(self.full, float(seen[-1]))
        scale = self.problem.typical - self.problem.best
        regrets = [min(1.0, (value - self.problem.best) / scale) for value in (self.best, self.full)]
        self.trace.append((self.spent, regrets[0], regrets[1]))
        return float(seen[-1]) if ran == epochs else math.nan


# --------------------------------------------------------------------------------------------------------- problems


def taskset(data: Path) -> Iterator[Problem]:
    """Yield the recorded text classifiers."""
    with np.load(data / "taskset_rnn" / "taskset_rnn.npz", allow_pickle=False) as table:
        names = [str(name) for name in table["hp_names"]]
        tasks = sorted(key[: -len("__loss")] for key in table if key.endswith("__loss"))
        space = SearchSpace.from_dict({name: {"type": "float", "range": [0.0, 1.0]} for name in names})
        for task in tasks:
            losses = np.where(np.isfinite(table[f"{task}__loss"][:, 1]), table[f"{task}__loss"][:, 1], np.nan)
            values = table[f"{task}__hp"]
            # what matters of the decay of a moment is how far it is from 1
            logs = np.stack(
                [
                    -np.log10(1 - np.minimum(values[:, j], 1 - 1e-9))
                    if name.startswith("beta")
                    else np.log10(values[:, j])
                    for j, name in enumerate(names)
                ],
                axis=1,
            )
            points = (logs - logs.min(axis=0)) / (logs.max(axis=0) - logs.min(axis=0))

            def curve(config: dict[str, Any], points: Any = points, losses: Any = losses) -> tuple[Any, Any]:
                row = int(((points - [config[name] for name in names]) ** 2).sum(axis=1).argmin())
                return row, losses[row]

            best, typical = float(np.nanmin(losses)), float(np.nanmedian(losses[:, -1]))
            yield Problem(f"taskset/{task}", space, losses.shape[1], curve, best, typical)


def lcbench(data: Path) -> Iterator[Problem]:
    """Yield the surrogates of perceptrons."""
    import onnxruntime

    folder = data / "lcbench_surrogate"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), sess_options=options, providers=["CPUExecutionProvider"]
    )
    codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    declared = {p["name"]: p for p in json.loads((folder / "config_space.json").read_text())["hyperparameters"]}
    names = [
        "batch_size",
        "learning_rate",
        "momentum",
        "weight_decay",
        "num_layers",
        "max_units",
        "max_dropout",
    ]
    epochs = int(declared["epoch"]["upper"])
    parameters = {}
    for name in names:
        p = declared[name]
        kind = "int" if p["type"] == "uniform_int" else "float"
        parameters[name] = {"type": kind, "range": [p["lower"], p["upper"]], **({"log": True} if p["log"] else {})}
    space = SearchSpace.from_dict(parameters)
    for task in LCBENCH_TASKS:

        def curve(config: dict[str, Any], code: int = codes[task]) -> tuple[Any, Any]:
            row = [float(config[name]) for name in names]
            x = np.array([[epoch, *row] for epoch in range(1, epochs + 1)], dtype=np.float32)
            (found,) = session.run(None, {"x_cat": np.full((epochs, 1), code, dtype=np.int32), "x_cont": x})
            return tuple(row), 100.0 - found[:, 1].astype(float)

        sampled = np.stack([curve(c)[1] for c in space.sample_many(2000, np.random.default_rng(0))])
        best, typical = float(sampled.min()), float(np.median(sampled[:, -1]))
        yield Problem(f"lcbench/{task}", space, epochs, curve, best, typical)


PROBLEMS = {"taskset": taskset, "lcbench": lcbench}

# ---------------------------------------------------------------------------------------------------------- methods


def ours(name: str, trainer: Trainer, *, seed: int, budget: float) -> tuple[int, float]:
    """Run one of our strategies; return how often and how long it was asked, in seconds."""
    problem = trainer.problem
    options = {} if name == "random" else {"fidelity": "epochs", "low": 1, "high": problem.epochs}
    made = strategy({name: options})
    made.bind_space(problem.space, [LOSS], seed=seed)
    asks, ask_s = 0, 0.0
    while trainer.spent < budget:
        begun = time.perf_counter()
        candidates: list[Candidate] = made.generate_tasks(1)
        asks, ask_s = asks + 1, ask_s + time.perf_counter() - begun
        for candidate in candidates:
            epochs = problem.epochs if candidate.fidelity is None else round(candidate.fidelity["epochs"])
            loss = trainer.train(candidate.config, epochs)
            known = {"loss": loss} if math.isfinite(loss) else {}
            made.handle_rewards([Reward(candidate, known, state="succeeded" if known else "failed")])
        if not candidates:
            break
    return asks, ask_s


def optuna(name: str, trainer: Trainer, *, seed: int, budget: float) -> tuple[int, float]:
    """Run Optuna's TPE, with or without its pruner; return how often and how long it was asked, in seconds."""
    import optuna as library

    library.logging.set_verbosity(library.logging.ERROR)
    problem = trainer.problem
    pruner: Any = library.pruners.NopPruner()
    if name.endswith("hyperband"):
        pruner = library.pruners.HyperbandPruner(min_resource=1, max_resource=problem.epochs, reduction_factor=3)
    sampler = library.samplers.TPESampler(seed=seed, multivariate=True)
    study = library.create_study(direction="minimize", sampler=sampler, pruner=pruner, study_name=f"study-{seed}")
    asks, ask_s = 0, 0.0
    while trainer.spent < budget:
        begun = time.perf_counter()
        trial = study.ask()
        config: dict[str, Any] = {}
        for path, parameter in problem.space.parameters.items():
            domain: Any = parameter.domain
            suggest = trial.suggest_int if parameter.kind == "int" else trial.suggest_float
            config[path] = suggest(path, domain.low, domain.high, log=domain.log)
        asks, ask_s = asks + 1, ask_s + time.perf_counter() - begun
        if not name.endswith("hyperband"):
            loss = trainer.train(config, problem.epochs)
            study.tell(trial, *((loss,) if math.isfinite(loss) else (None, library.trial.TrialState.FAIL)))
            continue
        for epoch in range(1, problem.epochs + 1):
            loss = trainer.train(config, epoch)
            if not math.isfinite(loss):
                study.tell(trial, state=library.trial.TrialState.FAIL)
                break
            trial.report(loss, epoch)
            if trial.should_prune():
                study.tell(trial, state=library.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, loss)
    return asks, ask_s


def run(problem: Problem, method: str, *, seed: int, budget: float) -> list[dict[str, Any]]:
    """Return the regrets of one search at forty marks."""
    trainer = Trainer(problem)
    make = optuna if method.startswith("optuna") else ours
    asks, ask_s = make(method, trainer, seed=seed, budget=budget)
    rows = []
    for mark in np.linspace(budget / 40, budget, 40):
        reached = [row for row in trainer.trace if row[0] <= mark]
        _, regret, full = reached[-1] if reached else (0.0, 1.0, 1.0)
        rows.append(
            {
                "problem": problem.name,
                "method": method,
                "seed": seed,
                "epochs": round(float(mark), 1),
                "regret": round(regret, 5),
                "full": round(full, 5),
                "asks": asks,
                "ask_s": round(ask_s / max(1, asks), 4),
            }
        )
    return rows


# ---------------------------------------------------------------------------------------------------------- results

Means = dict[tuple[str, str], tuple[list[float], list[float], int]]


def means(path: Path, measure: str, *, seeds: int) -> Means:
    """Return the marks and the mean regrets over the first seeds by problem and method, with the number of seeds."""
    found: dict[tuple[str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    with path.open() as file:
        for row in csv.DictReader(file):
            if int(row["seed"]) < seeds:
                found[row["problem"], row["method"]][float(row["epochs"])].append(float(row[measure]))
    return {
        key: ([*marks], [float(np.mean(values)) for values in marks.values()], len(next(iter(marks.values()))))
        for key, marks in found.items()
    }


def reached(marks: list[float], regrets: list[float], level: float) -> float:
    """Return the first mark with at most that regret; infinite without one."""
    return next((mark for mark, regret in zip(marks, regrets, strict=True) if regret <= level + 1e-12), math.inf)


def summary(path: Path, *, seeds: int) -> None:
    """Print, by measure and method, the final regret and the share of the best peer's epochs to its own final regret."""
    for measure in ("regret", "full"):
        known = means(path, measure, seeds=seeds)
        shares: dict[str, list[float]] = defaultdict(list)
        finals: dict[str, list[float]] = defaultdict(list)
        for problem in sorted({problem for problem, _ in known}):
            peers = {method: known[problem, method] for method in PEERS if (problem, method) in known}
            if not peers:
                continue
            best = min(peers.values(), key=lambda curve: curve[1][-1])
            took = reached(best[0], best[1], best[1][-1])
            for (name, method), (marks, regrets, _) in known.items():
                if name == problem:
                    shares[method].append(reached(marks, regrets, best[1][-1]) / took)
                    finals[method].append(regrets[-1])
        print(
            f"\n{measure}: method, problems, mean final regret, median share of the best peer's epochs, share by problem"
        )
        for method in sorted(shares, key=lambda name: np.mean(finals[name])):
            listed = " ".join(f"{share:.2f}" for share in shares[method])
            print(
                f"{method:22s} {len(finals[method]):2d}  {np.mean(finals[method]):.4f}  "
                f"{np.median(shares[method]):.2f}   {listed}"
            )


def plot(path: Path, image: Path, *, seeds: int) -> None:
    """Draw the mean regret over the problems of each family by epochs."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    families = sorted({problem.split("/")[0] for problem, _ in means(path, "regret", seeds=seeds)})
    figure, axes = plt.subplots(len(families), 2, figsize=(10, 4 * len(families)), sharey="row", squeeze=False)
    for column, measure in enumerate(("regret", "full")):
        known = means(path, measure, seeds=seeds)
        for axis, family in zip(axes[:, column], families, strict=True):
            by_method: dict[str, list[tuple[list[float], list[float], int]]] = defaultdict(list)
            for (problem, method), curve in known.items():
                if problem.startswith(f"{family}/"):
                    by_method[method].append(curve)
            for method, curves in sorted(by_method.items()):
                line = "-" if method in OURS else "--"
                axis.plot(curves[0][0], np.mean([curve[1] for curve in curves], axis=0), line, label=method)
            said = {"regret": "any checkpoint", "full": "after full training"}[measure]
            axis.set(xlabel="epochs", title=f"{family}, {said}", ylabel="mean normalized regret")
            axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(image, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of taskset_rnn and lcbench_surrogate")
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=["taskset"])
    parser.add_argument("--only", nargs="+", default=[], help="parts of problems' names")
    parser.add_argument("--methods", nargs="+", default=[*PEERS, *OURS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trainings", type=float, default=12, help="the budget, in full trainings")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--summary", action="store_true", help="only show what is there, and draw it")
    chosen = parser.parse_args()
    done = set()
    if chosen.output.exists():
        with chosen.output.open() as file:
            done = {(row["problem"], row["method"], int(row["seed"])) for row in csv.DictReader(file)}
    names = () if chosen.summary else chosen.problems
    problems = [problem for name in names for problem in PROBLEMS[name](chosen.data)]
    for seed in range(chosen.seeds):
        for problem in problems:
            for method in chosen.methods:
                wanted = not chosen.only or any(part in problem.name for part in chosen.only)
                if wanted and (problem.name, method, seed) not in done:
                    rows = run(problem, method, seed=seed, budget=chosen.trainings * problem.epochs)
                    write(chosen.output, rows)
                    print(rows[-1], flush=True)
    if chosen.output.exists():
        summary(chosen.output, seeds=chosen.seeds)
        plot(chosen.output, chosen.output.with_suffix(".png"), seeds=chosen.seeds)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=FIELDS)
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

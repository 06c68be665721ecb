"""The command line of the quality benchmarks: problems x methods x seeds, resumable, with tables and plots.

    python -m benchmarks.search --data DIR --problems nb201,rbv2,lcbench,conditional --methods auto,random,optuna-tpe --seeds 10

Each problem set has a table ``results/search/SET.csv`` with one row per evaluation. A search that is in it is not run again,
so that an interrupted run goes on, and more methods or seeds join what is there. Peers need `make bench-peers` and its
interpreter. ``python -m benchmarks.search.speed`` and ``python -m benchmarks.search.batches`` measure speed and workers.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from pathlib import Path

from . import table


def main() -> None:
    """Run what is asked for and print the tables."""
    chosen = _arguments()
    warnings.filterwarnings("ignore")
    logging.basicConfig(level=logging.ERROR)

    from . import report
    from .grid import read, record
    from .problems import load
    from .runner import Plan, run

    variants = dict(item.partition("=")[::2] for item in chosen.variant)
    methods = [*chosen.methods.split(","), *variants]
    for name in chosen.problems.split(","):
        path = chosen.output / f"{name}.csv"
        plan = Plan(
            name,
            methods,
            chosen.data,
            chosen.seeds,
            chosen.evaluations or (80 if name.startswith("nb201") else 60),
            instances=chosen.instances,
            processes=chosen.processes,
            variants=variants,
        )
        rows = read(path) if chosen.report_only else run(plan, path, say=_say)
        if not chosen.report_only:
            record(path.with_suffix(".environment.json"))
        problems = load(name, chosen.data, instances=chosen.instances)
        print(
            report.write(
                [row for row in rows if row.method in methods],
                problems,
                steps=plan.evaluations + (problems[0].initial or 0),
                path=path.with_suffix(".md"),
                command=f"python -m benchmarks.search {' '.join(_shown(sys.argv[1:], chosen.data))}",
            )
        )


def _shown(arguments: list[str], data: Path | None) -> list[str]:
    """Return the arguments with DIR for the folder of data, which is somewhere else on every machine."""
    return ["DIR" if data is not None and argument == str(data) else argument for argument in arguments]


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments() -> argparse.Namespace:
    parser = table.parser(__doc__, table.RESULTS / "search")
    parser.add_argument("--problems", default="conditional", help="problem sets, with commas")
    parser.add_argument("--methods", default="auto,random", help="strategies of ours and peers, with commas")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=JSON", help="a composition of ours")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, help="after a problem's own initial design; 80 for nb201, else 60")
    parser.add_argument("--instances", type=int, default=12, help="the most problems of a set")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--report-only", action="store_true", help="tables and plots of what is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()

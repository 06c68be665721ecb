"""What measuring every candidate adds to a job: the same random candidates on two workers, with and without the device.

The configurations are the same in both arms and so is the training; the search stage is timed from the first reservation to
the last report. The arms alternate, so that the machine's drift meets both.
Run: ``python -m benchmarks.deployment.overhead --data DIR [--rows 1500] [--space FILE] [--trials 24] [--repeats 2]``,
or with ``--digits``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from .environment import environment
from .jobs import WATCHED, run_job, search_spec

ARMS = {"scored": ("accuracy",), "scored and measured": ("accuracy", WATCHED)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of cifar10_subset")
    parser.add_argument("--digits", action="store_true", help="examples/cnn_digits instead")
    parser.add_argument("--rows", type=int, default=1500, help="training images")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--space", type=Path)
    parser.add_argument("--output", type=Path, help="a .json")
    arguments = parser.parse_args()
    if arguments.data is None and not arguments.digits:
        raise SystemExit("Give the folder of cifar10_subset with --data DIR, or --digits.")
    arguments.strategy = "random"
    seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = search_spec(arguments, folder)
        for repeat in range(arguments.repeats):
            for arm, objectives in ARMS.items():
                run = run_job(folder / f"{arm}-{repeat}", **spec, objectives=objectives, seed=repeat)
                seconds[arm].append(round(run.search_s, 2))
                print(f"{arm}: {run.search_s:.1f} s, {len(run.candidates)} candidates, {run.failed} failed", flush=True)
    scored, measured = (seconds[arm] for arm in ARMS)
    ratios = [after / before for before, after in zip(scored, measured, strict=True)]
    result = {"environment": environment(), "search_s": seconds, "ratio": round(statistics.median(ratios), 3)}
    print(f"With the device {100 * (result['ratio'] - 1):+.1f} % (median of {arguments.repeats}).")
    if arguments.output is not None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

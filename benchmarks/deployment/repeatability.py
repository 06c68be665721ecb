"""How well a measurement repeats: the same model again and again, on a machine that is left alone and on one that works.

Every measurement is a process of its own (``measure_isolated``) with the default options; the calibration of the reference
is shared, as in a job. Conditions take turns, so that whatever else the machine does is spread over all of them:

``alone``     nothing besides (but for whatever else runs on the machine)
``training``  one other process that trains gradient-boosted trees without a break
``matmul``    one other process that multiplies matrices without a break
``memory``    one other process that streams through 256 MiB without a break

Reported by model: how far ``latency_ms`` and the clock's own p50 scatter over all conditions: the largest distance from
the median over all measurements, as a part of it, and the standard deviation.

Run: ``python -m benchmarks.deployment.repeatability [--repeats 5] [--output benchmarks/results/deployment]``
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from omniforge.deploy import measure_isolated

from .environment import describe_environment, write_environment
from .models import SOURCES

LOADS = {
    "alone": "",
    "training": """
import numpy as np
from lightgbm import LGBMClassifier
from sklearn.datasets import load_digits
X, y = load_digits(return_X_y=True)
while True:
    LGBMClassifier(n_estimators=50, n_jobs=1, verbose=-1).fit(X, y)
""",
    "matmul": "import numpy as np\na = np.random.rand(500, 500)\nwhile True:\n    a @ a",
    "memory": "import numpy as np\na = np.zeros(2**25)\nwhile True:\n    a += 1",
}
SETTLE_S = 1.0


@dataclass(frozen=True)
class Measurement:
    """One measurement of one model under one load."""

    model: str
    load: str
    repeat: int
    latency_ms: float
    raw_p50_ms: float
    ratio: float
    reference_ms: float
    iqr_share: float
    drift: float
    attempts: int
    p99_ms: float
    throughput_rps: float
    cold_start_ms: float
    peak_memory_mb: float
    seconds: float
    load_1min: float


@contextmanager
def working(load: str) -> Iterator[None]:
    """Let another process work meanwhile, on one thread."""
    if not LOADS[load]:
        yield
        return
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", LOADS[load]], env=environment)
    try:
        time.sleep(SETTLE_S)
        yield
    finally:
        process.kill()
        process.wait()


def measure_once(folder: Path, name: str, *, load: str, repeat: int) -> Measurement:
    began = time.perf_counter()
    report = measure_isolated(folder / f"{name}.onnx", rows=folder / f"{name}.npy", lock_dir=folder / "locks")
    metrics, reference = report.metrics, report.reference
    assert reference is not None
    assert report.ratio is not None
    return Measurement(
        model=name,
        load=load,
        repeat=repeat,
        latency_ms=metrics["latency_ms"],
        raw_p50_ms=report.raw["p50_ms"],
        ratio=report.ratio,
        reference_ms=reference.measured_ms,
        iqr_share=report.spread.iqr_share,
        drift=report.spread.drift,
        attempts=report.spread.attempts,
        p99_ms=metrics["latency_p99_ms"],
        throughput_rps=metrics["throughput_rps"],
        cold_start_ms=metrics["cold_start_ms"],
        peak_memory_mb=metrics["peak_memory_mb"],
        seconds=time.perf_counter() - began,
        load_1min=os.getloadavg()[0],
    )


def scatter(values: list[float]) -> tuple[float, float]:
    """Return the largest distance from the median and the standard deviation, as parts of the median."""
    array = np.asarray(values)
    median = np.median(array)
    return float(np.abs(array - median).max() / median), float(array.std() / median)


def table(found: list[Measurement]) -> str:
    lines = [
        "| model | loads | measurements | median latency ms | latency_ms: worst, sd | raw p50: worst, sd |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    loads = list(dict.fromkeys(one.load for one in found))
    for model in dict.fromkeys(one.model for one in found):
        for shown in [("alone",), ("alone", "training"), tuple(loads)]:
            of = [one for one in found if one.model == model and one.load in shown]
            corrected, raw = scatter([one.latency_ms for one in of]), scatter([one.raw_p50_ms for one in of])
            lines.append(
                f"| {model} | {', '.join(shown)} | {len(of)} | {np.median([one.latency_ms for one in of]):.4f}"
                f" | {corrected[0]:.1%}, {corrected[1]:.1%} | {raw[0]:.1%}, {raw[1]:.1%} |"
            )
    return "\n".join(dict.fromkeys(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="Exported models (models.py --output); exported anew by default.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results" / "deployment")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if arguments.folder is None:
            for name in arguments.models:
                source = SOURCES[name]()
                source.export(folder)
                np.save(folder / f"{name}.npy", source.rows[:256])
        found = []
        for repeat in range(arguments.repeats):
            for load in arguments.loads:
                with working(load):
                    found += [measure_once(folder, name, load=load, repeat=repeat) for name in arguments.models]
    arguments.output.mkdir(parents=True, exist_ok=True)
    with (arguments.output / "repeatability.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(found[0])))
        writer.writeheader()
        writer.writerows(asdict(one) for one in found)
    write_environment(arguments.output / "repeatability.environment.json")
    command = " ".join(["python", "-m", "benchmarks.deployment.repeatability", *sys.argv[1:]])
    text = f"# Repeatability\n\n`{command}`\n\n{describe_environment()}\n\n{table(found)}\n"
    (arguments.output / "repeatability.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

"""What the way to the sidecar costs a task estimator: round trips of progress, and a model up and down.

Protocol: one sidecar in this process, clients in processes of their own (forks of a warm server, as in a job) that report
progress as fast as they can. Reported per number of clients: the round trip as a client sees it. Then one client sends and
fetches a model file; its digest is computed on both sides and the file is on the disk before the answer.

Run: ``python benchmarks/sidecar.py [--steps N] [--model-mb N]``
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from omniforge.launch import ForkLauncher, Workload
from omniforge.sidecar import Sidecar, SidecarClient, TaskMessage

TASK = TaskMessage(job="bench", task=1, estimator="tabular", config={"learning_rate": 0.1, "depth": 6})


def go_on(_step: int, _metrics: dict[str, float]) -> bool:
    return False


def round_trips(sidecar: Sidecar, launcher: ForkLauncher, folder: Path, *, clients: int, steps: int) -> list[float]:
    """Return the round trips of all clients, in milliseconds."""
    sessions = [sidecar.open(TASK, on_progress=go_on) for _ in range(clients)]
    outs = [folder / f"{i}.json" for i in range(clients)]
    handles = [
        launcher.launch(
            Workload(
                "client",
                "sidecar_entries:report_progress",
                {"url": session.url, "token": session.token, "steps": steps, "out": str(out)},
                log_path=out.with_suffix(".log"),
            )
        )
        for session, out in zip(sessions, outs, strict=True)
    ]
    for handle in handles:
        ending = handle.wait()
        if ending is None or not ending.ok:
            raise SystemExit(f"A client failed: {ending}\n{handle.logs()}")
    for session in sessions:
        session.close()
    return [value for out in outs for value in json.loads(out.read_text())]


def transfer(sidecar: Sidecar, folder: Path, model_mb: int) -> tuple[float, float]:
    """Return the seconds that a model takes up and down."""
    model = folder / "model.onnx"
    model.write_bytes(os.urandom(2**20) * model_mb)
    session = sidecar.open(TASK, on_progress=go_on)
    with SidecarClient(session.url, session.token) as client:
        began_s = time.perf_counter()
        client.put_model(model)
        sent_s = time.perf_counter()
        client.get_model(folder / "fetched.onnx")
        fetched_s = time.perf_counter()
    session.close()
    return sent_s - began_s, fetched_s - sent_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--model-mb", type=int, default=64)
    arguments = parser.parse_args()
    print(
        f"python={platform.python_version()}  system={platform.system()} {platform.release()}"
        f"  cpus={len(os.sched_getaffinity(0))}  load_1min={os.getloadavg()[0]:.2f}\n"
    )
    print(f"{'measure':<22}{'clients':>8}{'median ms':>11}{'p90 ms':>9}{'max ms':>9}")
    began_s = time.perf_counter()
    with Sidecar() as sidecar, ForkLauncher(["omniforge.sidecar.client"]) as launcher:
        started_ms = 1e3 * (time.perf_counter() - began_s)
        launcher.ready()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for clients in (1, 2, 8):
                times_ms = round_trips(sidecar, launcher, folder, clients=clients, steps=arguments.steps)
                p90_ms = statistics.quantiles(times_ms, n=10, method="inclusive")[-1]
                numbers = f"{statistics.median(times_ms):>11.2f}{p90_ms:>9.2f}{max(times_ms):>9.2f}"
                print(f"{'progress round trip':<22}{clients:>8}{numbers}")
            up_s, down_s = transfer(sidecar, folder, arguments.model_mb)
    print(f"\nstart of the sidecar and of a fork server: {started_ms:.0f} ms")
    print(
        f"model of {arguments.model_mb} MiB: {arguments.model_mb / up_s:.0f} MiB/s up, {arguments.model_mb / down_s:.0f} MiB/s down"
    )


if __name__ == "__main__":
    main()

"""A device agent in a process of its own, as `omniforge device serve` starts it, that can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from conformance.runtime_suite import WEIGHTS, linear_model

from omniforge.deploy import Device, MeasureOptions

TOKEN = "a-token-for-tests-only"
ROWS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
QUICK = MeasureOptions(budget_s=0.02, warmup_s=0.001)
LONG = MeasureOptions(budget_s=1.2, precision=1e-9)


class Served:
    """One agent: its home, its port, its process."""

    def __init__(self, home: Path, *arguments: object, python: str = sys.executable, **variables: str) -> None:
        self.home = home
        self.arguments = [str(argument) for argument in arguments]
        self.variables = variables
        self.python = python
        self.url = ""
        self.said: list[str] = []
        home.mkdir(parents=True, exist_ok=True)
        self.token_file = home / "token"
        if not self.token_file.exists():
            self.token_file.write_text(TOKEN)
        self.token_file.chmod(0o600)
        self._process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @property
    def device(self) -> Device:
        return Device("kitchen-pi", url=self.url, token=TOKEN)

    def start(self) -> Served:
        """Start it, on the port that it had before."""
        port = self.url.rpartition(":")[2] or "0"
        command = [
            self.python,
            "-c",
            "from omniforge.cli import main; main()",
            "device",
            "serve",
            "--name",
            "kitchen-pi",
        ]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OMNIFORGE_")}
        self._process = subprocess.Popen(
            [*command, "--token-file", str(self.token_file), "--port", port, *self.arguments],
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env={
                **kept,
                "OMNIFORGE_HOME": str(self.home),
                "COLUMNS": "200",
                "OMP_NUM_THREADS": "1",
                "PYTHONFAULTHANDLER": "1",
                **self.variables,
            },
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line)
            if " listens on " in line:
                self.url = line.partition(" listens on ")[2].split(";")[0].strip()
                break
        assert self.url, "".join(self.said)
        threading.Thread(target=lambda: self.said.extend(self.process.stderr or ()), daemon=True).start()
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it politely; return its exit code."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                return self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGABRT)  # it says where it hangs
                self._process.wait()
                raise AssertionError("".join(self.said)) from None
        return self._process.returncode if self._process is not None else 0

    def measuring(self) -> list[psutil.Process]:
        """The processes that measure now."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def until_it_measures(self) -> list[psutil.Process]:
        """Wait until a model is being measured."""
        wait_for(lambda: bool(self.measuring()) and bool(list((self.home / "device" / "work").iterdir())))
        return self.measuring()


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def serving(home: Path, *arguments: object, **rest: Any) -> Iterator[Served]:
    served = Served(home, *arguments, **rest)
    try:
        yield served.start()
    finally:
        if served._process is not None:
            served.stop()


def model_file(path: Path, scale: float = 1.0) -> Path:
    path.write_bytes(linear_model(np.float32(scale) * WEIGHTS))
    return path


class Doing(threading.Thread):
    """Something in a thread; what it returned or raised is asked for later."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as e:
            self._error = e

    def result(self, timeout_s: float = 30.0) -> Any:
        self.join(timeout_s)
        assert not self.is_alive(), "it did not end in time"
        if self._error is not None:
            raise self._error
        return self._result


# A runtime that misbehaves as broken models make real ones misbehave; what to do is the content of the model's file.
MISCHIEF = """
import os, signal, time
from omniforge.deploy.runtimes import RUNTIMES, Runtime

class Mischief(Runtime):
    name = "openvino"
    def prepare(self, model, *, device, options):
        text = model.read_text()
        if text == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if text == "hang":
            time.sleep(600)
        blocks = []
        while text == "grow":
            blocks.append(b"x" * 2**24)
        raise KeyError("surprise")
    def versions(self):
        return {}

RUNTIMES.register("openvino", Mischief)
"""


def mischief(folder: Path) -> Mapping[str, str]:
    """Return variables under which the runtime openvino is one that obeys the content of a model's file."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(MISCHIEF)
    return {"PYTHONPATH": str(folder)}

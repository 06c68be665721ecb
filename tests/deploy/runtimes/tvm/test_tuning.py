from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from conformance.runtime_models import build, image_network, linear_model
from onnx import helper

from omniforge.deploy import DEVICES, RuntimeOptions
from omniforge.errors import MeasurementError

pytest.importorskip("tvm", reason="pip install 'omniforge[tvm]'")

from omniforge.deploy.runtimes.tvm.cache import Tuning
from omniforge.deploy.runtimes.tvm.compiling import find_target, lower
from omniforge.deploy.runtimes.tvm.frontend import read_model
from omniforge.deploy.runtimes.tvm.options import TvmOptions
from omniforge.deploy.runtimes.tvm.runtime import TvmRuntime, TvmSession
from omniforge.deploy.runtimes.tvm.tuning import search, tuned

NETWORK = image_network()
WIDE = linear_model(np.random.default_rng(0).normal(size=(64, 96)).astype(np.float32))
QUICK = {"tuning_s": 60, "tuning_trials": 6, "tuning_threads": 1}


def prepare(content: bytes, threads: int = 1, **extra: object) -> TvmSession:
    options = RuntimeOptions(threads=threads, extra=extra)
    session = TvmRuntime().prepare(content, device=DEVICES["local"], options=options)
    assert isinstance(session, TvmSession)
    return session


def perceptron() -> bytes:
    """Return a network of three kernels."""
    draw = np.random.default_rng(0)
    weights = {"first": draw.normal(size=(8, 16)), "second": draw.normal(size=(16, 3))}
    nodes = [
        helper.make_node("MatMul", ["features", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["relu"]),
        helper.make_node("MatMul", ["relu", "second"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    return build(nodes, {name: value.astype(np.float32) for name, value in weights.items()}, row=[8], columns=3)


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_a_tuned_model_computes_the_same_and_is_tuned_once(cache: Path) -> None:
    before = children()
    batch = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
    with prepare(WIDE) as session:
        assert not session.tuned
        expected = session.run(batch)
    with prepare(WIDE, cache=cache, **QUICK) as session:
        assert session.tuned
        assert session.tuning.new_trials == session.tuning.trials == 6
        np.testing.assert_allclose(session.run(batch), expected, rtol=1e-4, atol=1e-4)
    assert children() == before  # what timed the kernels is gone
    for settings in (QUICK, {}):  # with the same budget and with none
        with prepare(WIDE, cache=cache, **settings) as session:
            assert session.tuned
            assert (session.tuning.new_trials, session.tuning.trials) == (0, 6)
            np.testing.assert_allclose(session.run(batch), expected, rtol=1e-4, atol=1e-4)


def test_other_weights_find_the_same_results(cache: Path) -> None:
    prepare(WIDE, cache=cache, **QUICK).close()
    other = np.random.default_rng(2).normal(size=(64, 96)).astype(np.float32)
    batch = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
    with prepare(linear_model(other), cache=cache) as session:
        assert session.tuned
        np.testing.assert_allclose(session.run(batch), batch @ other, rtol=1e-4, atol=1e-4)


def test_the_budget_ends_in_the_middle_of_a_network() -> None:
    started = time.monotonic()
    with prepare(NETWORK.content, tuning_s=0.5, tuning_threads=1) as session:
        assert time.monotonic() - started < 20
        assert session.tuning.tuned_kernels < session.tuning.kernels
        assert not session.tuned
        np.testing.assert_allclose(session.run(NETWORK.rows), NETWORK.expected, rtol=1e-4, atol=1e-6)


def test_every_kernel_gets_a_turn() -> None:
    lowered = lower(read_model(perceptron()), rows=1, target=find_target("host"))
    trials = len(lowered.kernels) + 1
    found = search(lowered, known=Tuning(len(lowered.kernels)), options=TvmOptions(120.0, trials, 1))
    assert found.complete
    assert found.new_trials == trials
    again = search(lowered, known=found, options=TvmOptions(120.0, 2, 1, seed=1))  # goes on where it stopped
    assert again.trials == found.trials + again.new_trials
    assert again.seconds > found.seconds
    assert all(again.costs[key] <= cost for key, cost in found.costs.items())


def test_nothing_is_tuned_without_a_budget() -> None:
    lowered = lower(read_model(WIDE), rows=1, target=find_target("host"))
    assert tuned(lowered, options=TvmOptions()) == Tuning(len(lowered.kernels))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lowered = lower(read_model(WIDE), rows=1, target=find_target("host"))
    with pytest.raises(MeasurementError, match="file") as caught:
        tuned(lowered, options=TvmOptions(20.0, 1, 1, cache=tmp_path / "file"))
    assert caught.value.retryable


def test_two_threads_are_two_threads() -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("this machine has one core")
    batch = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
    with prepare(WIDE) as one, prepare(WIDE, threads=2, **QUICK) as two:
        np.testing.assert_allclose(two.run(batch), one.run(batch), rtol=1e-4, atol=1e-4)


@pytest.mark.fault
def test_what_times_the_kernels_does_not_outlive_a_killed_process(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(NETWORK.content)
    code = (
        "from omniforge.deploy import DEVICES, RUNTIMES, RuntimeOptions\n"
        "options = RuntimeOptions(extra={'tuning_s': 120, 'tuning_threads': 1})\n"
        f"RUNTIMES.get('tvm')().prepare({str(tmp_path / 'model.onnx')!r}, device=DEVICES['local'], options=options)"
    )
    process = psutil.Popen([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)})
    try:
        deadline = time.monotonic() + 90
        while not (workers := [one for one in process.children() if "popen_worker" in " ".join(one.cmdline())]):
            assert process.is_running(), "tuning ended early"
            assert time.monotonic() < deadline, "tuning does not start"
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    assert psutil.wait_procs(workers, timeout=30)[1] == []

from __future__ import annotations

import json

import numpy as np
import pytest
from conformance.runtime_models import WEIGHTS, image_network, linear_model

from omniforge.errors import MeasurementError, UnknownNameError

pytest.importorskip("tvm", reason="pip install 'omniforge[tvm]'")

from omniforge.deploy.runtimes.tvm.compiling import compile_lowered, find_target, lower, serial
from omniforge.deploy.runtimes.tvm.frontend import read_model, relax, tvm


def lowered(content: bytes, *, rows: int = 1, target: str = "host", threads: int = 1):
    return lower(read_model(content), rows=rows, target=find_target(target, threads=threads))


def test_the_host_is_known_by_its_processor() -> None:
    described = json.loads(str(find_target("host", threads=3)))
    assert described["num-cores"] == 3
    assert described["mcpu"] not in ("", "generic", "native")
    assert json.loads(str(find_target("aarch64")))["mcpu"] == "cortex-a72"


def test_what_is_no_target_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="aarch46") as caught:
        find_target("aarch46")
    assert "aarch64" in (caught.value.hint or "")
    with pytest.raises(MeasurementError, match="does not understand"):
        find_target({"kind": "abacus"})


def test_the_key_is_of_kernels_and_target_and_not_of_weights() -> None:
    key = lowered(linear_model()).key()
    assert lowered(linear_model(2 * WEIGHTS)).key() == key
    assert lowered(linear_model(), rows=2).key() != key
    assert lowered(linear_model(np.ones((3, 4), np.float32))).key() != key
    assert lowered(linear_model(), target="aarch64").key() != key
    assert lowered(linear_model(), threads=2).key() != key


def test_a_fixed_batch_is_kept() -> None:
    module = lowered(image_network(rows=2).content, rows=8)
    assert (module.rows, module.columns, module.dtype) == (2, 3, "float32")


def test_a_compiled_model_computes() -> None:
    network = image_network()
    executable = compile_lowered(lowered(network.content, rows=5), {})
    result = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(network.rows)).numpy()
    np.testing.assert_allclose(result, network.expected, rtol=1e-4)


def test_parallel_loops_become_serial() -> None:
    schedule = tvm.s_tir.Schedule(lowered(linear_model()).kernels[0].module)
    schedule.parallel(schedule.get_loops(schedule.get_sblock("matmul"))[1])
    assert "T.parallel" in schedule.mod.script()
    assert "T.parallel" not in serial(schedule.mod).script()
    assert "T.parallel" in schedule.mod.script()  # the module that was given stays


def test_a_record_that_does_not_fit_is_refused() -> None:
    module = lowered(linear_model())
    with pytest.raises(MeasurementError, match="cannot be compiled"):
        compile_lowered(module, {module.kernels[0].key: "[1, 2]"})

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conformance.runtime_suite import LOCAL, RuntimeSuite, linear_model
from onnx import TensorProto, helper

from omniforge.deploy import RUNTIMES, Device, Runtime, RuntimeOptions
from omniforge.errors import MeasurementError


class TestOnnxRuntime(RuntimeSuite):
    @pytest.fixture
    def runtime(self) -> Runtime:
        return RUNTIMES.get("onnxruntime")()

    def test_another_kind_of_device_is_refused(self, runtime: Runtime) -> None:
        with pytest.raises(MeasurementError, match="'tpu'"):
            runtime.prepare(linear_model(), device=Device("far", kind="tpu"), options=RuntimeOptions())

    def test_settings_reach_the_session(self, runtime: Runtime) -> None:
        options = RuntimeOptions(extra={"session.intra_op.allow_spinning": 0})
        with runtime.prepare(linear_model(), device=LOCAL, options=options) as session:
            assert session.run(np.ones((1, 3), dtype=np.float32)).shape == (1, 2)

    def test_a_model_with_two_outputs_is_refused(self, runtime: Runtime) -> None:
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("features", "a", "b")]
        nodes = [helper.make_node("Neg", ["features"], ["a"]), helper.make_node("Abs", ["features"], ["b"])]
        graph = helper.make_graph(nodes, "two", values[:1], values[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        with pytest.raises(MeasurementError, match="one output"):
            runtime.prepare(model.SerializeToString(), device=LOCAL, options=RuntimeOptions())


def test_it_reports_to_no_one_and_survives_a_fork(tmp_path: Path) -> None:
    code = """
import os, sys
from omniforge.deploy import RUNTIMES
RUNTIMES.get("onnxruntime")
child = os.fork()
if child == 0:
    sys.exit(0)
print(os.waitpid(child, 0)[1])
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("0\n", 0)
    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

import numpy as np
import pytest
from conformance.runtime_models import WEIGHTS, linear_model, tree_model
from conformance.runtime_suite import LOCAL, PrecisionSuite, RuntimeSuite

from omniforge.deploy import RUNTIMES, Runtime, RuntimeOptions
from omniforge.errors import MeasurementError, SpecError, UnknownNameError

pytest.importorskip("tvm", reason="pip install 'omniforge[tvm]'")


class TestTvmRuntime(RuntimeSuite, PrecisionSuite):
    @pytest.fixture(scope="class")
    def runtime(self) -> Runtime:
        return RUNTIMES.get("tvm")()

    def test_trees_are_refused_by_name(self, runtime: Runtime) -> None:
        with pytest.raises(MeasurementError, match="TreeEnsembleRegressor"):
            runtime.prepare(tree_model(), device=LOCAL, options=RuntimeOptions())

    def test_it_says_that_it_is_not_tuned(self, runtime: Runtime) -> None:
        with runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions()) as session:
            assert session.tuned is False
            assert session.tuning.trials == 0

    def test_a_batch_is_run_in_parts(self, runtime: Runtime) -> None:
        batch = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
        with runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions(extra={"batch": 4})) as session:
            assert session.input.batch is None
            for rows in (1, 4, 11):
                np.testing.assert_allclose(session.run(batch[:rows]), batch[:rows] @ WEIGHTS, rtol=1e-5, atol=1e-6)

    def test_wrong_settings_are_named(self, runtime: Runtime) -> None:
        with pytest.raises(SpecError, match="'trials'"):
            runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions(extra={"trials": 5}))
        with pytest.raises(UnknownNameError, match="toaster"):
            runtime.prepare(linear_model(), device=LOCAL, options=RuntimeOptions(extra={"target": "toaster"}))

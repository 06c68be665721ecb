from __future__ import annotations

import json

import numpy as np
import pytest

from omniforge.data import TensorPlan
from omniforge.data.tensor_planning import fit_tensor_plan
from omniforge.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, size=(40, 6, 5, 3), dtype=np.uint8)


def test_a_plan_survives_json() -> None:
    plan = fit_tensor_plan(PIXELS, layout="hwc")
    again = TensorPlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    np.testing.assert_array_equal(again.transform(PIXELS), plan.transform(PIXELS))
    assert (again.kind, again.encoding, again.shape, again.vocabulary) == ("image", "tensor", (3, 6, 5), None)


def test_moments_are_those_of_each_channel_however_many_rows() -> None:
    rows = np.concatenate([PIXELS] * 60)  # several chunks
    spec = fit_tensor_plan(rows, layout="hwc").to_dict()
    np.testing.assert_allclose(spec["center"], rows.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(spec["scale"], rows.std(axis=(0, 1, 2)), rtol=1e-12)
    assert (spec["low"], spec["high"], spec["dtype"], spec["row_shape"]) == (0.0, 255.0, "uint8", [6, 5, 3])


def test_a_constant_channel_becomes_zero() -> None:
    rows = PIXELS.copy()
    rows[..., 1] = 7
    tensor = fit_tensor_plan(rows, layout="hwc").transform(rows)
    assert np.all(tensor[:, 1] == 0.0)


def test_features_of_a_sequence_are_standardized_each_by_its_own() -> None:
    rows = np.random.default_rng(1).normal([0.0, 100.0], [1.0, 50.0], size=(200, 4, 2)).astype(np.float32)
    plan = fit_tensor_plan(rows, layout="tf")
    assert (plan.kind, plan.shape) == ("sequence", (4, 2))
    np.testing.assert_allclose(plan.transform(rows).std(axis=(0, 1)), 1.0, atol=1e-4)


def test_rows_that_do_not_fit_are_a_data_error() -> None:
    with pytest.raises(DataError, match=r"expected n x 6 x 5 x 3"):
        fit_tensor_plan(PIXELS, layout="hwc").transform(PIXELS[:, :2])


@pytest.mark.parametrize("wrong", [{"version": 2, "encoding": "tensor"}, {"version": 1, "encoding": "onehot"}, {}])
def test_what_is_no_plan_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match="no tensor plan"):
        TensorPlan.from_dict(wrong)

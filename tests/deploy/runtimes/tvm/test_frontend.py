from __future__ import annotations

import numpy as np
import onnx
import pytest
from conformance.runtime_models import build, image_network, linear_model, tree_model
from onnx import helper

from omniforge.errors import MeasurementError

pytest.importorskip("tvm", reason="pip install 'omniforge[tvm]'")

from omniforge.deploy.runtimes.tvm.frontend import first_line, output_type, read_model, to_relax


def test_a_model_says_what_it_reads() -> None:
    model = read_model(image_network(rows=2).content)
    assert (model.input.shape, model.input.dtype, model.input.batch) == ((3, 8, 8), "float32", 2)
    assert (model.input_name, model.output_name) == ("features", "scores")
    assert read_model(linear_model()).input.batch is None


def test_a_module_has_fixed_sizes() -> None:
    model = read_model(image_network().content)
    assert output_type(to_relax(model, rows=5), model=model) == ((5, 3), "float32")


def test_weights_may_lie_beside_the_file(tmp_path) -> None:
    path = tmp_path / "model.onnx"
    proto = onnx.load_from_string(linear_model(np.ones((40, 40), np.float32)))
    onnx.save_model(proto, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    model = read_model(path)
    assert output_type(to_relax(model, rows=1), model=model)[0] == (1, 40)
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(MeasurementError, match=r"model\.onnx"):
        read_model(path)


def test_operators_of_another_domain_are_named() -> None:
    with pytest.raises(MeasurementError, match=r"ai\.onnx\.ml\.TreeEnsembleRegressor") as caught:
        to_relax(read_model(tree_model()), rows=1)
    assert "ONNX Runtime" in (caught.value.hint or "")


def test_the_operator_that_failed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    node = helper.make_node("MatMul", ["features", "weights"], ["scores"])
    broken = build([node], {"weights": np.ones((5, 2), np.float32)}, row=[3], columns=2)
    with pytest.raises(MeasurementError, match="at the operator MatMul"):
        to_relax(read_model(broken), rows=1)
    assert capsys.readouterr().out == ""  # TVM would print


def test_an_open_size_is_refused() -> None:
    node = helper.make_node("Relu", ["features"], ["scores"])
    with pytest.raises(MeasurementError, match="leaves a size of its input open") as caught:
        read_model(build([node], {}, row=["width"], columns=3))
    assert not caught.value.retryable


def test_an_output_that_is_no_table_is_refused() -> None:
    node = helper.make_node("Relu", ["features"], ["scores"])
    model = read_model(build([node], {}, row=[3, 3], columns=3))
    with pytest.raises(MeasurementError, match=r"expected one tensor \[batch, k\]"):
        output_type(to_relax(model, rows=1), model=model)


def test_the_first_line_says_something() -> None:
    assert first_line(ValueError("\n  what\nelse")) == "what"
    assert first_line(ValueError()) == "ValueError"

"""What is done to an ONNX model on its way out: simplification, shape inference, ONNX's own check.

onnxslim does the simplifying: it is 3 MB of Python and runs wherever ``onnx`` does (onnxsim is 38 MB of compiled code
that leaves parts of some models alone with a warning; ONNX Runtime writes its own dialect). It takes 0.1 to 0.4 s and
does not make ONNX Runtime faster, which does the same when it loads a model; it makes dynamo's files up to 60 % smaller
and spares other runtimes operators that they do not know. So it is for what is shipped, not for the loop.
"""

from __future__ import annotations

import logging

import onnx
from onnx import ModelProto

from ...errors import ExportError, MissingDependencyError
from .exporter import CONVERTER_FAILURES
from .graph import ML_DOMAIN

log = logging.getLogger(__name__)


def simplified(model: ModelProto) -> ModelProto:
    """Return a model without what it does not need: constant parts folded, dead and doubled nodes gone.

    Args:
        model: The model; it is not changed. One of trees or other classical operators is returned as it is, and so is
            one that the library trips over.

    Raises:
        MissingDependencyError: onnxslim is not installed.
    """
    if any(node.domain == ML_DOMAIN for node in model.graph.node):
        return model
    try:
        import onnxslim  # type: ignore[import-untyped, unused-ignore]  # the library has no types
    except ImportError as e:
        raise MissingDependencyError(
            "onnxslim is needed to simplify an ONNX model.", hint="pip install onnxslim"
        ) from e
    copy = ModelProto()
    copy.CopyFrom(model)
    before = logging.root.level
    try:
        slim = onnxslim.slim(copy)
    except CONVERTER_FAILURES as e:
        log.warning("onnxslim cannot simplify the model, which stays as it is: %s", e)
        return model
    finally:
        logging.root.setLevel(before)
    same = [list(getattr(slim.graph, side)) == list(getattr(model.graph, side)) for side in ("input", "output")]
    return slim if all(same) else _with_ends_of(slim, model)


def _with_ends_of(slim: ModelProto, model: ModelProto) -> ModelProto:
    """Return a model with another's inputs and outputs, where only their description differs."""
    for side in ("input", "output"):
        have, want = getattr(slim.graph, side), getattr(model.graph, side)
        if [value.name for value in have] != [value.name for value in want]:
            return model
        del have[:]
        have.extend(want)
    return slim


def finished(model: ModelProto) -> ModelProto:
    """Return a model with the shapes of its values, checked.

    Args:
        model: The model; it is not changed.

    Raises:
        ExportError: ONNX's checker refuses it; the message names the node.
    """
    try:
        shaped = onnx.shape_inference.infer_shapes(model, data_prop=True)
        onnx.checker.check_model(
            shaped, full_check=all(opset.domain in ("", ML_DOMAIN) for opset in shaped.opset_import)
        )
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as e:
        raise ExportError(f"The model is not valid ONNX: {' '.join(str(e).split())[:500]}") from e
    return shaped

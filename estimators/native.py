"""What an estimator offers so that its model is exported and measured without code of its own.

The deployment side works on the model object itself (scikit-learn, LightGBM, torch) and on the matrix that it eats.
An estimator that has these three members is exported for its author; any other one overrides ``export_onnx``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class NativeModel(Protocol):
    """A trained estimator of a feature matrix whose model a converter knows."""

    @property
    def native_model(self) -> object:
        """The fitted scikit-learn estimator, LightGBM booster or torch module.

        A torch module maps ``n x d`` float32 to probabilities ``n x k`` or to a prediction ``n x 1``.
        """

    @property
    def encoding(self) -> str:
        """Which matrix of the prepared data the model reads: ``"ordinal"`` or ``"onehot"``."""

    def predict_raw(self, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Map ``n x d`` float32 features to probabilities ``n x k`` or to a prediction ``n x 1``."""

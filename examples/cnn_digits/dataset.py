"""The data that this bundle brings along: scikit-learn's handwritten digits, 1,797 images of 8 x 8 pixels."""

import numpy as np
from sklearn.datasets import load_digits


def load() -> dict[str, np.ndarray]:
    """Return images ``n x h x w`` and their labels, as an ``.npz`` file would have them."""
    digits = load_digits()
    return {"x": digits.images.astype(np.uint8), "y": digits.target}

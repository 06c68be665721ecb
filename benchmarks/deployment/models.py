"""Five models to measure: a ResNet-like CNN, an MLP, a small transformer, a random forest and a LightGBM model.

All are trained for a moment, seeded, on scikit-learn's digits (1,797 images of 8 x 8), so that their weights and the
branches that their trees take are those of trained models. Nothing here is tuned for accuracy: speed and agreement are
what they are for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omniforge.deploy import OnnxModel, export_onnx

Array = np.ndarray[Any, Any]
SEED = 0
CLASSES = 10


@dataclass(frozen=True)
class Source:
    """A trained model and its rows.

    Attributes:
        name: What tables call it.
        model: A torch module that ends with probabilities, or a scikit-learn or LightGBM classifier.
        rows: Real rows that it was not trained on, float32 ``n x ...``.
    """

    name: str
    model: Any
    rows: Array

    def export(self, folder: Path, *, batch: int | None = None) -> OnnxModel:
        """Write the model as ``NAME.onnx``; the export is checked against it."""
        path = folder / f"{self.name}.onnx"
        return export_onnx(self.model, self.rows, path, task="classification", classes=CLASSES, batch=batch)

    def probabilities(self, rows: Array) -> Array:
        """Return what the source model itself predicts, float64 ``n x 10``."""
        if hasattr(self.model, "predict_proba"):
            return np.asarray(self.model.predict_proba(rows), dtype=np.float64)
        import torch

        with torch.inference_mode():
            return self.model(torch.from_numpy(rows)).double().numpy()


def digits() -> tuple[Array, Array, Array, Array]:
    """Return rows and classes for training and for measuring; pixels are from 0 to 1."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    fit, rest, fit_y, rest_y = train_test_split((X / 16).astype(np.float32), y, random_state=SEED, test_size=0.3)
    return fit, fit_y, rest, rest_y


def resnet() -> Source:
    """Three stages of two residual blocks, 16 to 64 channels, on the image enlarged to 16 x 16: 175 k weights."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self, given: int, wanted: int, stride: int) -> None:
            super().__init__()
            self.first = nn.Sequential(
                nn.Conv2d(given, wanted, 3, stride, 1, bias=False), nn.BatchNorm2d(wanted), nn.ReLU()
            )
            self.second = nn.Sequential(nn.Conv2d(wanted, wanted, 3, 1, 1, bias=False), nn.BatchNorm2d(wanted))
            same = given == wanted and stride == 1
            self.way = nn.Identity() if same else nn.Sequential(nn.Conv2d(given, wanted, 1, stride, bias=False))
            self.end = nn.ReLU()

        def forward(self, x):
            return self.end(self.second(self.first(x)) + self.way(x))

    def build() -> nn.Module:
        stages = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
        return nn.Sequential(
            *(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
            *(Block(*stage) for stage in stages),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES)),
        )

    fit, fit_y, rows, _ = digits()
    return _trained("resnet", build, _images(fit), fit_y, _images(rows))


def _images(rows: Array) -> Array:
    return np.ascontiguousarray(rows.reshape(-1, 1, 8, 8).repeat(2, axis=2).repeat(2, axis=3))


def mlp() -> Source:
    """64 features, two hidden layers of 256: 85 k weights."""
    from torch import nn

    def build() -> nn.Module:
        return nn.Sequential(*(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, CLASSES)))

    fit, fit_y, rows, _ = digits()
    return _trained("mlp", build, fit, fit_y, rows)


def transformer() -> Source:
    """The image's eight lines as tokens, width 64, two layers of four heads: 68 k weights."""
    import torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self, width: int, heads: int) -> None:
            super().__init__()
            self.heads = heads
            self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
            self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

        def forward(self, x):
            n, tokens, width = x.shape[0], x.shape[1], x.shape[2]
            parts = self.mix(self.norms[0](x)).reshape(n, tokens, 3, self.heads, width // self.heads)
            q, k, v = (parts[:, :, i].transpose(1, 2) for i in range(3))
            scores = torch.softmax(q @ k.transpose(2, 3) / (width // self.heads) ** 0.5, dim=3)
            x = x + self.out((scores @ v).transpose(1, 2).reshape(n, tokens, width))
            return x + self.feed(self.norms[1](x))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.places = nn.Linear(8, 64), nn.Parameter(torch.zeros(8, 64))
            self.layers = nn.Sequential(Layer(64, 4), Layer(64, 4))
            self.head = nn.Linear(64, CLASSES)

        def forward(self, x):
            return self.head(self.layers(self.embed(x) + self.places).mean(dim=1))

    fit, fit_y, rows, _ = digits()
    return _trained("transformer", Encoder, fit.reshape(-1, 8, 8), fit_y, rows.reshape(-1, 8, 8))


def random_forest() -> Source:
    """100 trees of at most 12 levels."""
    from sklearn.ensemble import RandomForestClassifier

    fit, fit_y, rows, _ = digits()
    return Source(
        "random-forest", RandomForestClassifier(100, max_depth=12, random_state=SEED, n_jobs=1).fit(fit, fit_y), rows
    )


def lightgbm() -> Source:
    """50 rounds of ten trees with 15 leaves."""
    from lightgbm import LGBMClassifier

    fit, fit_y, rows, _ = digits()
    model = LGBMClassifier(n_estimators=50, num_leaves=15, random_state=SEED, n_jobs=1, verbose=-1)
    return Source("lightgbm", model.fit(fit, fit_y), rows)


def _trained(name: str, build: Callable[[], Any], fit: Array, fit_y: Array, rows: Array, *, epochs: int = 3) -> Source:
    """Train a module for a moment and end it with probabilities."""
    import torch
    from torch import nn

    torch.manual_seed(SEED)
    network = build()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    X, y = torch.from_numpy(np.ascontiguousarray(fit)), torch.from_numpy(fit_y)
    network.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(X)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(X[batch]), y[batch]).backward()
            optimizer.step()
    return Source(name, nn.Sequential(network, nn.Softmax(dim=1)).eval(), np.ascontiguousarray(rows))


SOURCES: dict[str, Callable[[], Source]] = {
    "resnet": resnet,
    "mlp": mlp,
    "transformer": transformer,
    "random-forest": random_forest,
    "lightgbm": lightgbm,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="The folder for the ONNX files and their rows.")
    parser.add_argument("--models", nargs="+", choices=SOURCES, default=list(SOURCES))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.models:
        source = SOURCES[name]()
        exported = source.export(arguments.output)
        np.save(arguments.output / f"{name}.npy", source.rows)
        print(f"{name}: {exported.bytes / 2**10:.0f} KiB, {exported.method}, {exported.agreement}")


if __name__ == "__main__":
    main()

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from omniforge.estimators.image import Training, build_network, fit
from omniforge.estimators.image.network import Network
from omniforge.estimators.image.training import PREDICT_ROWS, computing, images_at_once, predict

from .conftest import small


def network(**changes: Any) -> Network:
    torch.manual_seed(0)
    return build_network(small("cnn", **changes), (1, 8, 8), classes=10)


def trained(images: tuple[np.ndarray, np.ndarray], training: Training, *, epochs: int = 2) -> Network:
    made = network()
    assert list(fit(made, *images, training, epochs=epochs)) == list(range(1, epochs + 1))
    return made


def weights(made: Network) -> np.ndarray:
    return np.concatenate([value.numpy().ravel() for value in made.state_dict().values()])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("warmup", [0.0, 0.3])
def test_every_way_of_training_learns(images: Any, optimizer: str, warmup: float) -> None:
    rate = {"adamw": 1e-2, "sgd": 0.1}[optimizer]
    made = trained(images, Training(optimizer=optimizer, learning_rate=rate, warmup=warmup, batch_size=32), epochs=12)
    assert np.mean(predict(made, images[0]).argmax(axis=1) == images[1]) > 0.8


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before(images: Any) -> None:
    training = Training(augmentation="shift_flip", seed=4)
    first = weights(trained(images, training))
    torch.rand(100)
    np.testing.assert_array_equal(weights(trained(images, training)), first)
    assert not np.array_equal(weights(trained(images, Training(augmentation="shift_flip", seed=5))), first)


def test_torch_is_left_as_it_was(images: Any) -> None:
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    before = torch.get_num_threads()
    with computing(1, seed=3):
        torch.rand(100)
    list(fit(network_without_seed(), *images, Training(), epochs=1))
    torch.testing.assert_close(torch.rand(3), expected)
    assert torch.get_num_threads() == before


def network_without_seed() -> Network:
    with computing(1, seed=0):
        return build_network(small("cnn"), (1, 8, 8), classes=10)


def test_the_weights_are_contiguous_afterwards(images: Any) -> None:
    assert all(value.is_contiguous() for value in trained(images, Training()).state_dict().values())


def test_a_training_that_diverges_says_when_and_with_what(images: Any) -> None:
    X, y = images
    with pytest.raises(FloatingPointError, match=r"diverged in epoch 1: the loss is nan with adamw .* rate 0\.003"):
        list(fit(network(), np.full_like(X, np.nan), y, Training(), epochs=2))


def test_a_batch_in_parts_is_the_same_step_in_less_memory(images: Any) -> None:
    def made() -> Network:
        torch.manual_seed(0)  # a transformer has no statistics of a batch
        return build_network(small("transformer", dropout=0.0), (1, 8, 8), classes=10)

    training = Training(batch_size=64, label_smoothing=0.1)
    assert images_at_once(made(), images[0][:1], memory_bytes=2**20) < 64
    whole, parts = made(), made()
    list(fit(whole, *images, training, epochs=2))
    list(fit(parts, *images, dataclasses.replace(training, memory_bytes=2**20), epochs=2))
    np.testing.assert_allclose(weights(parts), weights(whole), atol=2e-3)


def test_the_largest_networks_take_few_images_at_once() -> None:
    image = np.zeros((1, 3, 32, 32), dtype=np.float32)
    stages = {f"architecture.cnn.stages[{index}].width": 128 for index in range(4)}
    large = small("cnn", **{**stages, "architecture.cnn.stages": 4, "architecture.cnn.stem_width": 48})
    memory_bytes = Training().memory_bytes
    few = images_at_once(build_network(large, (3, 32, 32), classes=10), image, memory_bytes=memory_bytes)
    many = images_at_once(build_network(small("cnn"), (3, 32, 32), classes=10), image, memory_bytes=memory_bytes)
    assert 4 <= few < many
    assert many >= 256


def test_batches_are_even_so_that_none_has_a_single_image() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(65, 1, 8, 8)).astype(np.float32), np.arange(65) % 10
    assert list(fit(network(), X, y, Training(batch_size=64), epochs=1)) == [1]


def test_the_rate_rises_and_falls() -> None:
    from omniforge.estimators.image.training import _rate

    shares = [_rate(0.25, total=100)(step) for step in range(100)]
    assert max(shares) == pytest.approx(1.0)
    assert shares[:26] == sorted(shares[:26])
    assert shares[26:] == sorted(shares[26:], reverse=True)
    assert shares[-1] < 0.01
    assert _rate(0.0, total=10)(0) == 1.0


def test_values_are_predicted_in_their_own_unit() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1, 8, 8)).astype(np.float32)
    y = 5000.0 + 100.0 * X.mean(axis=(1, 2, 3))
    torch.manual_seed(0)
    made = build_network(small("cnn"), (1, 8, 8), classes=0)
    list(fit(made, X, y, Training(learning_rate=1e-2), epochs=2))
    raw = predict(made, X)
    assert raw.shape == (80, 1)
    assert raw.mean() == pytest.approx(y.mean(), rel=0.01)


def test_predicting_in_parts_is_predicting_in_one() -> None:
    X = np.random.default_rng(0).normal(size=(PREDICT_ROWS + 5, 1, 8, 8)).astype(np.float32)
    made = network().eval()
    whole = predict(made, X)
    assert whole.shape == (len(X), 10)
    np.testing.assert_allclose(predict(made, X[-5:]), whole[-5:], atol=1e-6)


def test_a_configuration_is_read(images: Any) -> None:
    arguments = small("cnn", **{"optimizer": "sgd", "optimizer.sgd.momentum": 0.8})
    training = Training.from_arguments(arguments, seed=3, threads=1)
    assert (training.optimizer, training.momentum, training.seed) == ("sgd", 0.8, 3)
    assert training.batch_size == 32
    assert math.isfinite(training.learning_rate)


def test_shortcuts_with_a_stride_train_on_large_images() -> None:
    """The gradient of a strided 1 x 1 convolution of 3 to 15 channels ends torch 2.13 (a double free, so: a process)."""
    code = """
import numpy as np
from omniforge.estimators import load_bundle
from omniforge.estimators.image import Training, build_network, fit

chosen = {"architecture": "cnn", "architecture.cnn.stages": 1, "architecture.cnn.stages[0].block": "resnet"}
stage = {"stem_stride": 1, "stages[0].width": 32, "stages[0].depth": 1, "stages[0].downsample": "stride"}
chosen |= {f"architecture.cnn.{name}": value for name, value in stage.items()}
X = np.random.default_rng(0).normal(size=(24, 3, 112, 112)).astype(np.float32)
for width in (8, 12):
    settings = load_bundle("image").space.complete(chosen | {"architecture.cnn.stem_width": width})
    network = build_network(settings, (3, 112, 112), classes=2)
    list(fit(network, X, np.arange(24) % 2, Training(batch_size=24), epochs=1))
print("trained")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr[-2000:]

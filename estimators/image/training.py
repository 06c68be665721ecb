"""Train a network on images, epoch by epoch: SGD or AdamW, a rate that rises and then falls as a cosine.

Everything follows from the seed: the order of the rows, the augmentation and dropout of an epoch are the same in every run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .augmentation import augment
from .network import Affine, Network

Images = NDArray[np.float32]
PREDICT_ROWS = 256
KEPT_COPIES = 2  # of every activation while training: its value and its gradient
LEAST_PART = 4  # images over which batch normalization takes its statistics
_MAX_GRADIENT_NORM = 5.0


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Args:
        optimizer: ``adamw``, or ``sgd`` with Nesterov's momentum.
        learning_rate: At its highest.
        weight_decay: On weights; biases, normalization and positions are left alone.
        momentum: Of ``sgd``.
        warmup: Share of all steps in which the rate rises from 0; then it falls to 0 as half a cosine
            (Loshchilov and Hutter 2017, equation 5, without restarts).
        batch_size: Images a step, at least 2.
        label_smoothing: Share of the target that is spread over all classes.
        augmentation: ``none``, ``shift`` or ``shift_flip``.
        seed: All randomness follows from it.
        threads: How many threads to compute with.
        memory_bytes: What the activations of a step may take, about; a batch that would take more is summed from parts.
    """

    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    warmup: float = 0.2
    batch_size: int = 64
    label_smoothing: float = 0.0
    augmentation: str = "none"
    seed: int = 0
    threads: int = 1
    memory_bytes: int = 600 * 2**20

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any], *, seed: int, threads: int) -> Self:
        """Read a configuration of ``space.yaml``."""
        prefix = f"optimizer.{arguments['optimizer']}."
        own = {path.removeprefix(prefix): value for path, value in arguments.items() if path.startswith(prefix)}
        shared = ("optimizer", "warmup", "batch_size", "label_smoothing", "augmentation")
        return cls(**{name: arguments[name] for name in shared}, **own, seed=seed, threads=threads)


def fit(network: Network, X: Images, y: NDArray[Any], training: Training, *, epochs: int) -> Iterator[int]:
    """Train a network; after each epoch it can predict.

    Args:
        network: The network, as :func:`build_network` made it; trained in place.
        X: ``n x c x h x w`` float32, ``n`` at least 2; it may be memory-mapped: a batch at a time is read.
        y: ``n`` class indices (int64), or values (float64).
        training: How.
        epochs: How many epochs, at least 1; the rate follows them.

    Yields:
        The number of epochs that are done, 1 to ``epochs``.

    Raises:
        FloatingPointError: The training diverged: the loss is not finite.
    """
    targets = _targets(network, y)
    batches = math.ceil(len(X) / training.batch_size)
    at_once = images_at_once(network, X[:1], memory_bytes=training.memory_bytes)
    optimizer = _optimizer(network, training)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(training.warmup, total=epochs * batches))
    for epoch in range(1, epochs + 1):
        with computing(training.threads, seed=training.seed * 1_000_003 + epoch) as generator, _fast_layout(network):
            network.train()
            total = 0.0
            order = torch.randperm(len(X), generator=generator)
            for rows in torch.tensor_split(order, batches):
                optimizer.zero_grad()
                for part in torch.tensor_split(rows, math.ceil(len(rows) / at_once)):
                    images = augment(torch.from_numpy(X[part.numpy()]), training.augmentation, generator=generator)
                    images = images.contiguous(memory_format=torch.channels_last)
                    loss = _loss(network.body(images), targets[part], training) * (len(part) / len(rows))
                    loss.backward()  # type: ignore[no-untyped-call]  # of torch
                    total += loss.item()
                nn.utils.clip_grad_norm_(network.parameters(), _MAX_GRADIENT_NORM)
                optimizer.step()
                schedule.step()
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the training diverged in epoch {epoch}: the loss is {total} with {training.optimizer} at the learning "
                f"rate {training.learning_rate:g}"
            )
        network.eval()
        yield epoch


def images_at_once(network: Network, image: Images, *, memory_bytes: int) -> int:
    """Return how many images a step may hold in memory; larger batches are summed from parts.

    Batch normalization then sees a part at a time ("ghost batches", Hoffer et al. 2017). Most networks take their batches
    whole: only the largest ones would otherwise need gigabytes.

    Args:
        network: The network.
        image: One image, ``1 x c x h x w``.
        memory_bytes: What the activations of a part may take.
    """
    values = 0

    def count(layer: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal values
        del inputs
        values += output.numel() if isinstance(output, Tensor) and not list(layer.children()) else 0

    hooks = [layer.register_forward_hook(count) for layer in network.body.modules()]
    try:
        network.eval()
        with torch.inference_mode():
            network.body(torch.from_numpy(np.array(image)))
    finally:
        for hook in hooks:
            hook.remove()
    return max(LEAST_PART, memory_bytes // (4 * KEPT_COPIES * values))


def predict(network: Network, X: Images, *, threads: int = 1) -> NDArray[np.float64]:
    """Map ``n x c x h x w`` images to probabilities ``n x k``, or to a prediction ``n x 1``.

    Args:
        network: A trained network.
        X: The images, normalized.
        threads: How many threads to compute with.
    """
    network.eval()
    with torch.inference_mode(), computing(threads, seed=0):
        parts = [
            network(torch.from_numpy(np.array(X[start : start + PREDICT_ROWS], dtype=np.float32)))
            for start in range(0, len(X), PREDICT_ROWS)
        ]
    result: NDArray[np.float64] = torch.cat(parts).numpy().astype(np.float64)
    return result


@contextmanager
def computing(threads: int, *, seed: int) -> Iterator[torch.Generator]:
    """Compute with some threads and from a seed, and leave torch's global state as it was.

    Yields:
        A generator of its own with the same seed.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield torch.Generator().manual_seed(seed)
    finally:
        torch.set_num_threads(before)


@contextmanager
def _fast_layout(network: nn.Module) -> Iterator[None]:
    """Keep the weights with the channels last while training (a fifth to a third faster on a CPU), not beyond."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # of torch
    try:
        yield
    finally:
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def _targets(network: Network, y: NDArray[Any]) -> Tensor:
    """Return class indices, or standardized values; the network learns to undo the standardization."""
    if not isinstance(network.final, Affine):
        return torch.from_numpy(np.array(y, dtype=np.int64))
    mean, spread = float(y.mean()), float(y.std()) or 1.0
    network.final.center.fill_(mean)
    network.final.scale.fill_(spread)
    return torch.from_numpy(((np.asarray(y, dtype=np.float64) - mean) / spread).astype(np.float32)).unsqueeze(1)


def _loss(output: Tensor, targets: Tensor, training: Training) -> Tensor:
    if targets.ndim == 2:
        return functional.mse_loss(output, targets)
    return functional.cross_entropy(output, targets, label_smoothing=training.label_smoothing)


def _optimizer(network: nn.Module, training: Training) -> torch.optim.Optimizer:
    parameters = dict(network.named_parameters())
    decayed = [p for name, p in parameters.items() if p.ndim > 1 and not name.endswith("positions")]
    others = [p for name, p in parameters.items() if p.ndim <= 1 or name.endswith("positions")]
    groups = [{"params": decayed, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=training.learning_rate, momentum=training.momentum, nesterov=True)
    return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)


def _rate(warmup: float, *, total: int) -> Any:
    """Return the share of the learning rate at each step."""
    rising = warmup * total

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - rising) / max(1.0, total - rising))))

    return share

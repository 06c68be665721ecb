"""A bundle: an algorithm with everything that Omniforge needs to search, run and deploy it.

A folder with an ``estimator.yaml`` (see ``manifest``) and the code that its entry point names. Bundles that come with
Omniforge go by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import BundleError, SpaceError, UnknownNameError
from .entry_point import bind, load_class, load_function
from .manifest import FILE_NAME, Data, Deployment, Fidelity, Inference, Manifest, Resources, read_manifest

if TYPE_CHECKING:
    from ..search.space import SearchSpace
    from .sdk import TaskEstimator

__all__ = ["BUNDLES", "Bundle", "Data", "Deployment", "Fidelity", "Inference", "Resources", "load_bundle"]

#: The bundles that come with Omniforge, by name.
BUNDLES: Mapping[str, Path] = MappingProxyType({name: Path(__file__).parent / name for name in ("tabular", "image")})


@dataclass(frozen=True)
class Bundle:
    """What ``estimator.yaml`` says, checked.

    Args:
        name: The bundle's name.
        version: Its semantic version.
        tasks: What it can do, such as ``("classification", "regression")``.
        entry_point: ``"module:Class"``, the module in the bundle's folder or installed.
        space: The search space of the class's ``**model_args``.
        metrics: Goal (``"max"`` or ``"min"``) by name of every metric that it scores.
        primary_by_task: The metric that each task optimizes by default.
        data: What it reads, and the data that it brings along.
        fidelity: How much training a candidate gets; ``None``: it cannot be varied.
        resources: What one training needs.
        inference: What batch inference needs.
        deployment: Where and with what it is served.
        preload: Modules that a warm process should have imported before it starts a training.
        description: One line for people.
        root: The folder.
    """

    name: str
    version: str
    tasks: tuple[str, ...]
    entry_point: str
    space: SearchSpace
    metrics: Mapping[str, str]
    primary_by_task: Mapping[str, str]
    data: Data
    fidelity: Fidelity | None
    resources: Resources
    inference: Inference
    deployment: Deployment
    preload: tuple[str, ...]
    description: str
    root: Path

    @property
    def primary(self) -> str:
        """The metric that the bundle's first task optimizes by default."""
        return self.primary_metric(self.tasks[0])

    def primary_metric(self, task: str) -> str:
        """Return the metric that ``task`` optimizes by default.

        Raises:
            UnknownNameError: The bundle cannot do this task.
        """
        if task not in self.primary_by_task:
            raise UnknownNameError(f"task of bundle {self.name!r}", task, self.primary_by_task)
        return self.primary_by_task[task]

    def load_data(self) -> object:
        """Call the bundle's function that loads its own data and return what it returns.

        Raises:
            BundleError: The bundle brings no data, or its module does not import or has no such function.
        """
        if self.data.load is None:
            raise BundleError(
                f"Bundle {self.name!r} brings no data of its own.",
                hint=f"Name a function in {FILE_NAME}: data: {{load: 'dataset:load', target: y}}.",
            )
        return load_function(self.data.load, root=self.root, bundle=self.name)()

    def estimator_class(self) -> type[TaskEstimator]:
        """Import the entry point and return its class, bound to the bundle's space and primary metric.

        Raises:
            BundleError: The module does not import (the message has the real error), or the class is no estimator.
        """
        cls = load_class(self.entry_point, root=self.root, bundle=self.name)
        return bind(cls, {"search_space": self.space, "primary_metric": self.primary}, bundle=self.name)


def load_bundle(source: str | Path) -> Bundle:
    """Load a bundle without importing its code.

    Args:
        source: The name of a provisioned bundle, a bundle's folder, or its ``estimator.yaml``.

    Raises:
        BundleError: There is no such bundle, or its ``estimator.yaml`` or space is wrong.
    """
    if str(source) in BUNDLES:
        return _provisioned(str(source))
    path = Path(source)
    path = path.parent if path.is_file() and path.name == FILE_NAME else path
    if not path.exists():
        known = UnknownNameError("bundle", str(source), BUNDLES)
        raise BundleError(f"There is no bundle {str(source)!r}: no such folder and no such name.", hint=known.hint)
    if not (path / FILE_NAME).is_file():
        raise BundleError(f"{path} is not a bundle: it has no {FILE_NAME}.")
    return _read(path.resolve())


@lru_cache
def _provisioned(name: str) -> Bundle:
    return _read(BUNDLES[name])


def _read(root: Path) -> Bundle:
    manifest = read_manifest(root / FILE_NAME)
    return Bundle(
        name=manifest.name,
        version=manifest.version,
        tasks=tuple(manifest.tasks),
        entry_point=manifest.entry_point,
        space=_space(manifest, root),
        metrics=MappingProxyType(dict(manifest.metrics)),
        primary_by_task=MappingProxyType(manifest.primary_by_task()),
        data=manifest.data,
        fidelity=manifest.fidelity,
        resources=manifest.resources,
        inference=manifest.inference,
        deployment=manifest.deployment,
        preload=tuple(manifest.preload),
        description=manifest.description,
        root=root,
    )


def _space(manifest: Manifest, root: Path) -> SearchSpace:
    from ..search.space import SearchSpace  # brings numpy: only when a bundle is loaded

    try:
        if isinstance(manifest.space, dict):
            return SearchSpace.from_yaml(root / FILE_NAME, key="space")  # so that its errors have the line
        file = root / manifest.space
        if not file.is_file():
            raise BundleError(f"{root / FILE_NAME}: field 'space': there is no file {manifest.space!r} in the bundle.")
        return SearchSpace.from_yaml(file)
    except SpaceError as e:
        raise BundleError(f"Bundle {manifest.name!r}, search space: {e.message}", hint=e.hint) from e

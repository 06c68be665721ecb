"""The search space: an immutable value to parse, draw from, check, hash, compare and edit. Its siblings do the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...errors import SpaceError
from . import configure, counting, drawing, editing, listing, nesting
from .conditions import Clause
from .declaration import Declaration, parse_space
from .diff import SpaceDiff, diff
from .document import Node, fail, from_plain, read_yaml, write_yaml
from .hashing import config_hash, space_hash
from .neighbors import neighbors
from .tree import Parameter, bind_rules, expand
from .values import ABSENT, Config, show
from .versions import Projection, project

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class SearchSpace:
    """Parameters, the conditions between them and the rules over them, as an immutable value.

    Build one with `from_yaml` or `from_dict`. Two spaces are equal when their hashes are: the same parameters, domains,
    defaults, conditions and rules, in any order and with any descriptions.

    Args:
        declarations: The parameters as declared.
        declared_rules: The ``forbid`` rules, names as written.

    Raises:
        SpaceError: A condition or a rule names nothing, never holds or closes a cycle, or the rules forbid everything.
    """

    declarations: tuple[Declaration, ...]
    declared_rules: tuple[Clause, ...] = ()

    def __post_init__(self) -> None:
        if self.rules:
            counting.check_feasible(self)

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """All parameters that a configuration can have, by path, those that others depend on first."""
        return MappingProxyType(expand(self.declarations))

    @cached_property
    def rules(self) -> tuple[Clause, ...]:
        """The ``forbid`` rules, bound to paths."""
        return bind_rules(self.declared_rules, self.parameters)

    # ------------------------------------------------------------------------------------------------ read and write

    @classmethod
    def from_yaml(cls, text_or_path: str | Path, *, key: str | None = None) -> SearchSpace:
        """Read a space from YAML text or from a file.

        Args:
            text_or_path: A `Path`, YAML text, or a file name (a string of one line without a colon or a brace).
            key: The top-level key that holds the space, when the document holds more.

        Raises:
            SpaceError: The file cannot be read, or the space is wrong; with the line, the path and the fix.
        """
        one_line = isinstance(text_or_path, str) and not any(char in text_or_path for char in "\n{")
        if isinstance(text_or_path, str) and not (one_line and text_or_path.strip() and ": " not in text_or_path):
            return cls._from_node(read_yaml(text_or_path), key)
        path = Path(text_or_path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            reason = e.strerror if isinstance(e, OSError) else "it is not UTF-8 text"
            raise SpaceError(
                f"Cannot read the space {str(path)!r}: {reason}.", hint="Give the path of a YAML file."
            ) from e
        try:
            return cls._from_node(read_yaml(text), key)
        except SpaceError as e:
            raise SpaceError(f"{path.name}: {e.message}", hint=e.hint) from e

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> SearchSpace:
        """Read a space from Python values, such as `to_dict` returns.

        Raises:
            SpaceError: The space is wrong; with the path and the fix.
        """
        return cls._from_node(from_plain(mapping), None)

    @classmethod
    def _from_node(cls, node: Node, key: str | None) -> SearchSpace:
        if key is not None:
            inner = node.get(key)
            if inner is None:
                raise fail(node.line, "", problem=f"the key {key!r} is missing.", hint=f"Write the space under {key}:")
            node = inner
        return cls(*parse_space(node))

    def to_dict(self) -> dict[str, Any]:
        """Return the space as JSON values that `from_dict` reads back."""
        spec: dict[str, Any] = {item.name: item.to_dict() for item in self.declarations}
        if self.declared_rules:
            spec["forbid"] = [{test.ref: test.plain() for test in rule} for rule in self.declared_rules]
        return spec

    def to_yaml(self) -> str:
        """Return the space as YAML text that `from_yaml` reads back."""
        return write_yaml(self.to_dict())

    # ------------------------------------------------------------------------------------------------ configurations

    def sample(self, rng: np.random.Generator) -> Config:
        """Draw a configuration, top down: each active parameter from its prior, uniform without one.

        With rules the distribution is that of the priors conditional on them, as if what is forbidden were drawn again.

        Raises:
            SpaceError: The rules leave no probability, or entangle many parameters and nothing was found.
        """
        return configure.sample(self, rng)

    def sample_many(self, count: int, rng: np.random.Generator) -> list[Config]:
        """Draw ``count`` configurations; they may repeat."""
        return [configure.sample(self, rng) for _ in range(count)]

    def validate(self, config: Mapping[str, Any]) -> None:
        """Check that ``config`` belongs to the space.

        Raises:
            SpaceError: Naming the path, the value, what was expected and the fix.
        """
        configure.validate(self, config)

    def is_valid(self, config: Mapping[str, Any]) -> bool:
        """Say whether ``config`` belongs to the space."""
        return configure.is_valid(self, config)

    def complete(self, partial: Mapping[str, Any]) -> Config:
        """Return ``partial`` with a default for every active parameter that it lacks.

        Raises:
            SpaceError: A given value is not allowed, not active or unknown, or forbidden together with the others.
        """
        return configure.complete(self, partial)

    def default(self) -> Config:
        """Return the default configuration; defaults that a rule forbids give way to the nearest allowed values."""
        return configure.complete(self, {})

    def repair(self, config: Config) -> Config:
        """Return ``config``, or the nearest found one that no rule forbids; deterministic."""
        return configure.repair(self, config)

    def neighbors(self, config: Mapping[str, Any], rng: np.random.Generator, *, count: int) -> list[Config]:
        """Draw up to ``count`` different configurations that each differ from ``config`` in one parameter."""
        return neighbors(self, config, rng=rng, count=count)

    @cached_property
    def drawing_plan(self) -> drawing.Plan | None:
        """How to draw what the rules leave; None when they entangle so many parameters that this is out of reach."""
        return drawing.plan(self)

    @cached_property
    def _size(self) -> int | float:
        return counting.count(self)

    def size(self) -> int | float:
        """Count the configurations.

        Returns:
            The exact number (isomorphic cells count each); ``inf`` when a parameter is continuous, or when conditions
            and rules entangle so many parameters that counting is out of reach.
        """
        return self._size

    def configurations(self) -> Iterator[Config]:
        """Return an iterator over every configuration that no rule forbids, in the order of the values.

        Raises:
            SpaceError: A parameter is continuous, so that there is no end.
        """
        return listing.configurations(self)

    def nest(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``config`` nested by submodule: ``{"value", "items"}`` under an int, ``{"value", "params"}`` else."""
        return nesting.nest(self, config)

    def flatten(self, nested: Mapping[str, Any]) -> Config:
        """Invert `nest`."""
        return nesting.flatten(self, nested)

    # ------------------------------------------------------------------------------------------- identity and change

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of the content as hex digits; stable under the order of keys."""
        return space_hash(self.declarations, self.declared_rules)

    def config_hash(self, config: Mapping[str, Any]) -> str:
        """Return the SHA-256 of a configuration as hex digits; cells count up to isomorphism."""
        return config_hash(self, config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"<SearchSpace {self.hash[:12]}: {len(self.parameters)} parameters>"

    def diff(self, other: SearchSpace) -> SpaceDiff:
        """Return what changes from this space to ``other``; ``str`` of it is for people."""
        return diff(self, other)

    def project(self, config: Mapping[str, Any], source: SearchSpace) -> Projection:
        """Return ``config``, which is valid in ``source``, as this space has it; see `versions.project`."""
        return project(self, config, source=source)

    def edit(self, path: str, **changes: Any) -> SearchSpace:
        """Return a space in which keys of one parameter are changed; this one stays as it is, so undoing is keeping it.

        Args:
            path: The parameter, indices optional: ``blocks.kind`` or ``blocks[0].kind``.
            **changes: Keys as they are written, such as ``range=[1, 4]``, ``log=True``, ``default=2``; None removes a
                key. What no longer fits (defaults, weights, branches, conditions on removed values) goes too, and
                `diff` shows it.

        Raises:
            SpaceError: There is no such parameter, or the result is not a space.
        """
        return editing.edit(self, path, changes=changes)

    def add(self, path: str, declaration: Mapping[str, Any]) -> SearchSpace:
        """Return a space with one more parameter, at the end of its group.

        Args:
            path: Where it goes: ``name``, ``blocks.name`` or ``blocks.kind.resnet.name``.
            declaration: Its keys, as they are written.

        Raises:
            SpaceError: The name is taken, the group does not exist, or the result is not a space.
        """
        return editing.add(self, path, declaration=declaration)

    def remove(self, path: str) -> SearchSpace:
        """Return a space without a parameter, what it has below, and the conditions and rules that need it.

        Raises:
            SpaceError: There is no such parameter, or nothing would be left.
        """
        return editing.remove(self, path)

    def shrink(self, centers: Iterable[Mapping[str, Any]], *, fraction: float = 0.5) -> SearchSpace:
        """Return the space around good configurations.

        Args:
            centers: Configurations of this space, the best first.
            fraction: The least share of a numeric range (on its scale) that is kept, in (0, 1].

        Returns:
            A space whose numeric ranges span the centers and at least ``fraction`` of the old width, whose choices keep
            the values that a center has, and whose cells, permutations and never active parameters are as before. Defaults
            that fall outside become the first center's value. Every center is valid in it.

        Raises:
            SpaceError: There is no center, one is not of this space, or ``fraction`` is out of range.
        """
        return editing.shrink(self, list(centers), fraction=fraction)

    def parameter(self, path: str) -> Parameter:
        """Return the parameter at ``path``.

        Raises:
            SpaceError: There is none; the hint has the nearest paths.
        """
        found = self.parameters.get(path, ABSENT)
        if isinstance(found, Parameter):
            return found
        raise editing.no_such(path, self.parameters)


def describe(config: Mapping[str, Any]) -> str:
    """Return a configuration on one line, for logs and messages."""
    return ", ".join(f"{path}={show(value)}" for path, value in config.items())

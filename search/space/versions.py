"""A space that changes while a search lives: its versions, and configurations of one seen from another. Not how to edit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .configure import violated, walk
from .tree import Parameter
from .values import ABSENT, Config, same

if TYPE_CHECKING:
    from .space import SearchSpace


@dataclass(frozen=True)
class Projection:
    """A configuration of one space as another has it.

    Args:
        config: A valid configuration of the other space, or None: one of its values is out of that space, or a rule forbids it.
        exact: Whether it stands for the same evaluation: all values that were left out were the defaults of their parameters.
            An inexact one is a noisy observation of ``config``: what was left out varied, and no longer counts, or items of
            an order came or went.
    """

    config: Config | None
    exact: bool


OUTSIDE = Projection(None, exact=False)


class _OutsideError(Exception):
    """A value is not of the other space."""


def project(space: SearchSpace, config: Mapping[str, Any], *, source: SearchSpace) -> Projection:
    """Return ``config`` of ``source`` as ``space`` has it.

    Values are never moved: what a range, a choice or a cell no longer holds leaves the space, and comes back when it is
    widened again. Only an order of items goes on without those that are gone and with new ones at its end, as a noisy
    observation. A parameter that ``config`` does not have takes its default, for this is what was evaluated without it; one
    that is gone (or no longer active) is left out.

    Args:
        space: Where to.
        config: A valid configuration of ``source``.
        source: Where it was evaluated.
    """
    adapted = False

    def choose(parameter: Parameter) -> Any:
        nonlocal adapted
        value = config.get(parameter.path, ABSENT)
        if value is ABSENT:
            return parameter.default
        if not parameter.domain.contains(value):
            value = parameter.domain.adapt(value)
            adapted = True
            if value is ABSENT:
                raise _OutsideError
        return parameter.domain.normalize(value)

    try:
        found = walk(space, choose)
    except _OutsideError:
        return OUTSIDE
    if violated(space, found) is not None:
        return OUTSIDE
    left_out = (path for path in config if path not in found)
    exact = all(path in source.parameters and same(config[path], source.parameters[path].default) for path in left_out)
    return Projection(found, exact and not adapted)


class SpaceVersions:
    """The versions of one search's space, the newest last.

    Args:
        space: The first.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.earlier: list[SearchSpace] = []
        self.current = space

    def change(self, space: SearchSpace) -> None:
        """Make ``space`` the newest version; an equal earlier one is the same version again."""
        kept = [version for version in (*self.earlier, self.current) if version != space]
        self.earlier, self.current = kept, space

    def validate(self, config: Mapping[str, Any]) -> None:
        """Check that ``config`` belongs to some version.

        Raises:
            SpaceError: It belongs to none; says what is wrong in the newest.
        """
        if self.source(config) is None:
            self.current.validate(config)

    def project(self, config: Mapping[str, Any]) -> Projection:
        """Return ``config`` of any version as the newest has it; nothing for one that belongs to none."""
        source = self.source(config)
        if source is self.current:
            return Projection(dict(config), exact=True)
        return OUTSIDE if source is None else project(self.current, config, source=source)

    def source(self, config: Mapping[str, Any]) -> SearchSpace | None:
        """Return the newest version that ``config`` is a configuration of, None if it is of none."""
        newest_first = (self.current, *reversed(self.earlier))
        return next((space for space in newest_first if space.is_valid(config)), None)

    def dump(self) -> list[dict[str, Any]]:
        """Return the earlier versions as JSON values."""
        return [space.to_dict() for space in self.earlier]

    def load(self, earlier: Sequence[Mapping[str, Any]]) -> None:
        """Replace the earlier versions by dumped ones."""
        from .space import SearchSpace

        self.earlier = [SearchSpace.from_dict(document) for document in earlier]

"""From names to parts: what a strategy ``{"bo": {"surrogate": "gp", ...}}`` is assembled from. Imports no part itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...registry import Registry
from ..strategy import build, one_choice

if TYPE_CHECKING:
    from .parts import Acquisition, AcquisitionOptimizer, CandidateGenerator, Suggester, Surrogate
    from .rows import Rows

Make = Callable[..., Any]

SURROGATES: Registry[Make] = Registry("surrogate", {"gp": ".gp:GaussianProcess"}, package=__package__)
ACQUISITIONS: Registry[Make] = Registry(
    "acquisition",
    {
        "auto": ".acquisitions:Auto",
        "ehvi": ".acquisitions:LogEHVI",
        "logei": ".acquisitions:LogEI",
        "qlognehvi": ".acquisitions:LogNEHVI",
    },
    package=__package__,
)
OPTIMIZERS: Registry[Make] = Registry(
    "acquisition optimizer", {"mixed": ".optimizers:MixedOptimizer"}, package=__package__
)
GENERATORS: Registry[Make] = Registry(
    "candidate generator",
    {"mixture": ".generators:Mixture", "uniform": ".generators:Uniform"},
    package=__package__,
)
SUGGESTERS: Registry[Make] = Registry("suggester", {"believer": ".suggesters:Believer"}, package=__package__)

KINDS: Mapping[str, Registry[Make]] = {
    "surrogate": SURROGATES,
    "acquisition": ACQUISITIONS,
    "optimizer": OPTIMIZERS,
    "generator": GENERATORS,
    "suggester": SUGGESTERS,
}

Choice = str | Mapping[str, Any]


@dataclass(frozen=True)
class Parts:
    """The five parts of one strategy."""

    surrogate: Surrogate
    acquisition: Acquisition
    optimizer: AcquisitionOptimizer
    generator: CandidateGenerator
    suggester: Suggester


def check_choices(choices: Mapping[str, Choice]) -> None:
    """Check the names of parts without importing them.

    Raises:
        UnknownNameError: No part of that kind has that name.
        SpecError: A choice has another form.
    """
    for kind, choice in choices.items():
        name, _ = one_choice(choice, kind)
        if name not in KINDS[kind]:
            KINDS[kind].get(name)


def compose(choices: Mapping[str, Choice], rows: Rows) -> Parts:
    """Make the parts for a space.

    Args:
        choices: Kind to a name, or to a mapping from one name to its options.
        rows: The space's rows, which a surrogate is made for.

    Raises:
        UnknownNameError: No part of that kind has that name.
        SpecError: A part does not take an option.
    """
    made = {}
    for kind, choice in choices.items():
        name, options = one_choice(choice, kind)
        make = KINDS[kind].get(name)
        first = (rows,) if kind == "surrogate" else ()
        made[kind] = build(make, options, what=f"{kind} {name!r}", first=first)
    return Parts(**made)

"""From names to parts: what a strategy ``{"bo": {"surrogate": "gp", ...}}`` is assembled from. Imports no part itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...errors import SpecError
from ...registry import Registry
from ..space.listing import LISTED
from ..strategy import build, one_choice

if TYPE_CHECKING:
    from ..space import SearchSpace
    from .parts import Acquisition, AcquisitionOptimizer, CandidateGenerator, Suggester, Surrogate
    from .rows import Rows

Make = Callable[..., Any]

SURROGATES: Registry[Make] = Registry(
    "surrogate",
    {
        "gp": ".gp:GaussianProcess",
        "bohamiann": ".surrogates.sghmc:Bohamiann",
        "dngo": ".surrogates.last_layer:dngo",
        "ensemble": ".surrogates.last_layer:Ensemble",
        "rf": ".surrogates.forest:RandomForest",
        "saas": ".surrogates.saas:Saas",
        "of": ".structured:StructuredProcess",
        "multitask": ".transfer.multitask:MultiTaskProcess",
        "rgpe": ".transfer.ensemble:RankWeightedEnsemble",
    },
    package=__package__,
)
ACQUISITIONS: Registry[Make] = Registry(
    "acquisition",
    {
        "auto": ".acquisitions:Auto",
        "cooled": ".acquisitions:Cooled",
        "ehvi": ".acquisitions:LogEHVI",
        "ei": ".acquisitions:EI",
        "jes": ".acquisitions:JES",
        "kg": ".acquisitions:KnowledgeGradient",
        "lcb": ".acquisitions:UCB",
        "logei": ".acquisitions:LogEI",
        "mes": ".acquisitions:MES",
        "parego": ".acquisitions:ParEGO",
        "pi": ".acquisitions:LogPI",
        "prior": ".acquisitions:Preferred",
        "qlogei": ".acquisitions:QLogEI",
        "qlognehvi": ".acquisitions:LogNEHVI",
        "qlognei": ".acquisitions:QLogNEI",
        "qucb": ".acquisitions:QUCB",
        "ts": ".acquisitions:Thompson",
        "ucb": ".acquisitions:UCB",
    },
    package=__package__,
)
OPTIMIZERS: Registry[Make] = Registry(
    "acquisition optimizer",
    {
        "region": ".regional.box:RegionOptimizer",
        "evolutionary": ".optimizers:EvolutionaryOptimizer",
        "exhaustive": ".optimizers:ExhaustiveOptimizer",
        "lbfgs": ".optimizers:GradientOptimizer",
        "mixed": ".optimizers:MixedOptimizer",
    },
    package=__package__,
)
GENERATORS: Registry[Make] = Registry(
    "candidate generator",
    {
        "region": ".regional.box:RegionGenerator",
        "mixture": ".generators:Mixture",
        "perturbation": ".generators:Perturbation",
        "prior": ".generators:Prior",
        "shrinking": ".generators:Shrinking",
        "sobol": ".generators:SobolDraws",
        "uniform": ".generators:Uniform",
    },
    package=__package__,
)
SUGGESTERS: Registry[Make] = Registry(
    "suggester",
    {
        "believer": ".suggesters:Believer",
        "fantasies": ".suggesters:Fantasies",
        "joint": ".suggesters:Joint",
        "liar": ".suggesters:Liar",
        "penalized": ".suggesters:Penalized",
        "sequential": ".suggesters:Sequential",
        "thompson": ".suggesters:ThompsonBatch",
    },
    package=__package__,
)

KINDS: Mapping[str, Registry[Make]] = {
    "surrogate": SURROGATES,
    "acquisition": ACQUISITIONS,
    "optimizer": OPTIMIZERS,
    "generator": GENERATORS,
    "suggester": SUGGESTERS,
}

Choice = str | Mapping[str, Any]

# what has to be known of a part before it is imported; other parts are taken as they come
ONE_OBJECTIVE = frozenset({"ei", "jes", "kg", "lcb", "logei", "mes", "pi", "qlogei", "qlognei", "qucb", "ucb"})
SEVERAL_OBJECTIVES = frozenset({"ehvi", "parego", "qlognehvi"})
WEIGHING = frozenset({"cooled", "prior"})
NEVER_LOGARITHMIC = frozenset({"ei", "lcb", "qucb", "ts", "ucb"})
NEVER_JOINT = frozenset({"cooled", "jes", "kg", "mes", "pi", "prior", "ts"})
NO_PROCESS = frozenset({"bohamiann", "dngo", "ensemble", "multitask", "rf", "rgpe", "saas"})
REGIONAL: Mapping[str, str] = {
    "optimizer": "Choose the strategy 'of-hd', or the optimizer 'mixed'.",
    "generator": "Choose the strategy 'of-hd', or the generator 'shrinking', whose region follows the budget.",
}
"""Kinds with a part ``region``, which is of use only where a strategy moves its box, and what to choose elsewhere."""


@dataclass(frozen=True)
class Parts:
    """The five parts of one strategy."""

    surrogate: Surrogate
    acquisition: Acquisition
    optimizer: AcquisitionOptimizer
    generator: CandidateGenerator
    suggester: Suggester


def check_choices(choices: Mapping[str, Choice], *, regional: bool = False) -> None:
    """Check the names of parts without importing them.

    Args:
        choices: Kind to a choice.
        regional: Whether the strategy moves a trust region, so that the parts ``region`` have something to stay within.

    Raises:
        UnknownNameError: No part of that kind has that name.
        SpecError: A choice has another form, parts do not go together, or one is of another strategy.
    """
    for kind, choice in choices.items():
        name, _ = one_choice(choice, kind)
        if name not in KINDS[kind]:
            KINDS[kind].get(name)
        if name == "region" and kind in REGIONAL and not regional:
            problem = f"The {kind} 'region' stays within the trust region of 'of-hd', and nothing moves one here."
            raise SpecError(problem, hint=REGIONAL[kind])
    names = _acquisitions(choices)
    for outer, inner in pairwise(names):
        if inner in NEVER_LOGARITHMIC:
            problem = (
                f"The acquisition {outer!r} cannot weigh {inner!r}, which is not the log of a value of at least 0."
            )
            raise SpecError(problem, hint="Choose one that is, such as 'logei', 'mes' or 'ehvi'.")
    if names[0] in NEVER_JOINT and one_choice(choices.get("suggester", ""), "suggester")[0] == "joint":
        hint = "Choose 'logei', 'qlognei', 'ucb', 'ehvi', 'parego' or 'auto', or another suggester."
        raise SpecError(f"The suggester 'joint' has no use for {names[0]!r}, which takes one row at a time.", hint=hint)


def check_search(choices: Mapping[str, Choice], *, objectives: int, size: int | float) -> None:
    """Check that parts suit a search, without importing them.

    Args:
        choices: Kind to a choice.
        objectives: How many objectives are optimized.
        size: The number of configurations of the space; ``inf`` when it is continuous.

    Raises:
        SpecError: A part takes another number of objectives, or a smaller space.
    """
    for name in _acquisitions(choices):
        if name in ONE_OBJECTIVE and objectives != 1:
            problem = f"The acquisition {name!r} takes one objective, not {objectives}."
            raise SpecError(
                problem, hint="Choose 'ehvi', 'qlognehvi', 'parego' or 'ts', or leave the choice to 'auto'."
            )
        if name in SEVERAL_OBJECTIVES and objectives < 2:
            problem = f"The acquisition {name!r} takes several objectives, not 1."
            raise SpecError(problem, hint="Choose 'logei' or 'auto'.")
    if one_choice(choices.get("suggester", ""), "suggester")[0] == "penalized" and objectives != 1:
        problem = f"The suggester 'penalized' takes one objective, not {objectives}."
        raise SpecError(problem, hint="Choose 'believer' or 'fantasies'.")
    if one_choice(choices.get("optimizer", ""), "optimizer")[0] == "exhaustive" and size > LISTED:
        problem = f"The optimizer 'exhaustive' takes spaces of at most {LISTED} configurations, not {size}."
        raise SpecError(problem, hint="Choose 'mixed', which looks at small spaces as a whole and searches others.")


def _acquisitions(choices: Mapping[str, Choice]) -> list[str]:
    """Return the name of the acquisition, and of those that it weighs, from the outside in.

    Raises:
        UnknownNameError: One of them has another name.
        SpecError: A choice has another form.
    """
    names, choice = [], choices.get("acquisition", "auto")
    while True:
        name, options = one_choice(choice, "acquisition")
        if name not in ACQUISITIONS:
            ACQUISITIONS.get(name)
        names.append(name)
        if name not in WEIGHING:
            return names
        choice = options.get("acquisition", "auto")


def check_options(choices: Mapping[str, Choice], space: SearchSpace) -> None:
    """Check the options of parts: those that have any are made once, and for that imported; plain names cost nothing.

    Args:
        choices: Kind to a choice.
        space: Where to search.

    Raises:
        UnknownNameError: No part of that kind has that name.
        SpecError: A part does not take an option, or not that value.
    """
    given = {kind: choice for kind, choice in choices.items() if one_choice(choice, kind)[1]}
    if not given:
        return
    from .rows import Rows

    rows = Rows(space)
    for kind, choice in given.items():
        _made(kind, choice, rows)


def compose(choices: Mapping[str, Choice], rows: Rows) -> Parts:
    """Make the parts for a space.

    Args:
        choices: Kind to a name, or to a mapping from one name to its options.
        rows: The space's rows, which a surrogate is made for.

    Raises:
        UnknownNameError: No part of that kind has that name.
        SpecError: A part does not take an option.
    """
    return Parts(**{kind: _made(kind, choice, rows) for kind, choice in choices.items()})


def _made(kind: str, choice: Choice, rows: Rows) -> Any:
    """Return one part.

    Raises:
        UnknownNameError: No part of that kind has that name.
        SpecError: It does not take an option.
    """
    name, options = one_choice(choice, kind)
    first = (rows,) if kind == "surrogate" else ()
    return build(KINDS[kind].get(name), options, what=f"{kind} {name!r}", first=first)

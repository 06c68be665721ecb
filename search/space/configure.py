"""Configurations of a space: walk, draw, check, complete and repair them, for `SearchSpace`. Not what a space is."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import SpaceError
from . import counting
from .conditions import Clause, describe_rule
from .document import fail
from .hashing import config_hash
from .tree import Parameter
from .values import ABSENT, Config, show

if TYPE_CHECKING:
    import numpy as np

    from .drawing import Plan
    from .space import SearchSpace

_MAX_DRAWS = 100
_REJECTING = 0.25
_GRADUAL = 100
_RESTARTS = 200
_VALUES = 16


def walk(space: SearchSpace, choose: Callable[[Parameter], Any]) -> Config:
    """Return the configuration that ``choose`` makes, asked for each active parameter from the top down."""
    config: Config = {}
    for path, parameter in space.parameters.items():
        if parameter.active(config):
            config[path] = choose(parameter)
    return config


def violated(space: SearchSpace, config: Mapping[str, Any]) -> Clause | None:
    """Return the first ``forbid`` rule that ``config`` breaks, or None."""
    return next((rule for rule in space.rules if all(test.holds(config) for test in rule)), None)


def sample(space: SearchSpace, rng: np.random.Generator) -> Config:
    """Draw a configuration from the priors, conditional on the rules.

    Where the rules leave at least a quarter of what the priors draw, a forbidden draw is drawn again; where they leave
    less, draws come from the space's plan (`drawing`), with the same distribution. Without a plan, after 100 forbidden
    draws in a row values are chosen step by step; that prefers configurations that many others are forbidden around.

    Raises:
        SpaceError: The rules leave no probability, or there is no plan and nothing was found.
    """

    def choose(parameter: Parameter) -> Any:
        return parameter.domain.sample(rng)

    if not space.rules:
        return walk(space, choose)
    plan = space.drawing_plan
    if plan is not None and plan.share < _REJECTING:
        return _planned(space, plan, rng)
    for _ in range(_MAX_DRAWS):
        config = walk(space, choose)
        if violated(space, config) is None:
            return config
    return _stepwise(space, rng, fixed={})


def _planned(space: SearchSpace, plan: Plan, rng: np.random.Generator) -> Config:
    """Return a draw by plan; one that falls on the wrong side of a bound by rounding is drawn again."""
    for _ in range(_MAX_DRAWS):
        config = plan.draw(rng)
        if config is None:
            break
        if violated(space, config) is None:
            return config
    raise nothing_left(space)


def _stepwise(space: SearchSpace, rng: np.random.Generator, *, fixed: Mapping[str, Any]) -> Config:
    """Return a configuration with the ``fixed`` values, drawn value by value so that each breaks no rule with those above.

    It begins again where no such value is found, up to 200 times.
    """
    closing = counting.closing(space)
    for _ in range(_RESTARTS):
        config: Config = {}
        for position, (path, parameter) in enumerate(space.parameters.items()):
            if not parameter.active(config):
                continue
            for value in (fixed[path],) if path in fixed else _tries(parameter, rng):
                config[path] = value
                if not any(all(test.holds(config) for test in rule) for rule in closing.get(position, ())):
                    break
            else:
                break
        else:
            return config
    raise nothing_left(space)


def _tries(parameter: Parameter, rng: np.random.Generator) -> Iterator[Any]:
    for _ in range(_VALUES):
        yield parameter.domain.sample(rng)
    yield from parameter.domain.alternatives(parameter.default)


def nothing_left(space: SearchSpace) -> SpaceError:
    """Return the error for a space whose rules forbid all that is drawn."""
    rules = "; ".join(describe_rule(rule) for rule in space.rules[:5])
    line = space.rules[0][0].line
    problem = f"the rules leave (almost) nothing to sample: all drawn configurations break one of {rules}."
    return fail(line, "forbid", problem=problem, hint="Remove a rule, or remove the forbidden values from the ranges.")


def validate(space: SearchSpace, config: Mapping[str, Any]) -> None:
    """Check that ``config`` has exactly the active parameters, each with an allowed value, and breaks no rule.

    Raises:
        SpaceError: Naming the path, the value, what was expected and the fix.
    """
    for path, parameter in space.parameters.items():
        if not parameter.active(config):
            if path in config:
                problem = f"has the value {show(config[path])} but is not active; it is when {parameter.reason()}."
                raise fail(None, path, problem=problem, hint="Leave it out.")
        elif path not in config:
            hint = f"Give it {parameter.domain.expected()}; complete() fills in defaults."
            raise fail(None, path, problem="is active and has no value.", hint=hint)
        elif not parameter.domain.contains(config[path]):
            raise _wrong_value(parameter, config[path])
    _known_paths(space, config)
    if (rule := violated(space, config)) is not None:
        raise _forbidden(rule)


def _wrong_value(parameter: Parameter, value: Any) -> SpaceError:
    expected = parameter.domain.expected()
    return fail(
        None, parameter.path, problem=f"{show(value)} is not allowed; expected {expected}.", hint=f"Give it {expected}."
    )


def _forbidden(rule: Clause) -> SpaceError:
    line = f" (line {rule[0].line} of the space)" if rule[0].line is not None else ""
    problem = f"the configuration is forbidden by the rule {describe_rule(rule)}{line}."
    return fail(None, "", problem=problem, hint=f"Change {' or '.join(test.ref for test in rule)}.")


def _known_paths(space: SearchSpace, config: Mapping[str, Any]) -> None:
    for path in config:
        if path not in space.parameters:
            near = difflib.get_close_matches(str(path), list(space.parameters), n=2, cutoff=0.5)
            known = ", ".join(list(space.parameters)[:10])
            hint = f"Did you mean {' or '.join(repr(name) for name in near)}?" if near else f"Known: {known}."
            raise fail(None, "", problem=f"the space has no parameter {path!r}.", hint=hint)


def is_valid(space: SearchSpace, config: Mapping[str, Any]) -> bool:
    """Say whether `validate` would accept ``config``."""
    active = 0
    for path, parameter in space.parameters.items():
        if parameter.active(config):
            value = config.get(path, ABSENT)
            if value is ABSENT or not parameter.domain.contains(value):
                return False
            active += 1
    return active == len(config) and violated(space, config) is None


def complete(space: SearchSpace, partial: Mapping[str, Any]) -> Config:
    """Return ``partial`` with a default for every active parameter that it lacks, values in canonical types.

    Defaults that a rule forbids together with what was given are replaced by the nearest allowed values.

    Raises:
        SpaceError: A given value is not allowed, not active or unknown, or what was given is forbidden by itself.
    """
    _known_paths(space, partial)

    def choose(parameter: Parameter) -> Any:
        value = partial.get(parameter.path, ABSENT)
        if value is ABSENT:
            return parameter.default
        if not parameter.domain.contains(value):
            raise _wrong_value(parameter, value)
        return parameter.domain.normalize(value)

    config = repair(space, walk(space, choose), fixed=partial)
    for path in partial:
        if path not in config:
            problem = (
                f"has the value {show(partial[path])} but is not active; it is when {space.parameters[path].reason()}."
            )
            raise fail(None, path, problem=problem, hint="Leave it out.")
    return config


def replace_value(
    space: SearchSpace, config: Mapping[str, Any], *, path: str, value: Any, fill: Callable[[Parameter], Any]
) -> Config:
    """Return ``config`` with another value at ``path``; what becomes active is filled, what no longer is goes."""

    def choose(parameter: Parameter) -> Any:
        if parameter.path == path:
            return value
        kept = config.get(parameter.path, ABSENT)
        return fill(parameter) if kept is ABSENT else kept

    return walk(space, choose)


def repair(space: SearchSpace, config: Config, *, fixed: Collection[str] = ()) -> Config:
    """Return ``config``, or the nearest found configuration that no rule forbids; the same for the same input.

    One parameter of a broken rule is moved to its nearest value that breaks no rule; when that is not enough, free
    parameters are redrawn from a generator seeded by the configuration itself.

    Raises:
        SpaceError: Nothing allowed was found, or the fixed values alone break a rule.
    """
    rule = violated(space, config)
    if rule is None:
        return config
    for _ in range(len(space.rules)):
        moved = _move_out(space, config, rule=rule, fixed=fixed)
        if moved is None:
            break
        config, left = moved
        if left is None:
            return config
        rule = left
    if all(test.ref in fixed for test in rule):
        raise _forbidden(rule)
    return _redraw(space, config, fixed=fixed)


def _move_out(
    space: SearchSpace, config: Config, *, rule: Clause, fixed: Collection[str]
) -> tuple[Config, Clause | None] | None:
    """Return a configuration that does not break ``rule`` and the rule that it breaks instead, if any."""
    second: tuple[Config, Clause | None] | None = None
    for test in reversed(rule):
        if test.ref in fixed:
            continue
        for value in space.parameters[test.ref].domain.alternatives(config[test.ref]):
            if test.accepts(value):
                continue
            other = replace_value(space, config, path=test.ref, value=value, fill=lambda parameter: parameter.default)
            broken = violated(space, other)
            if broken is None:
                return other, None
            second = second or (other, broken)
    return second


def _redraw(space: SearchSpace, config: Config, *, fixed: Collection[str]) -> Config:
    import numpy as np

    rng = np.random.default_rng(int(config_hash(space, config)[:16], 16))
    plan = space.drawing_plan
    for attempt in range(_GRADUAL):
        share = min(1.0, (attempt + 1) / _GRADUAL)

        def choose(parameter: Parameter, share: float = share) -> Any:
            kept = config.get(parameter.path, ABSENT)
            if kept is not ABSENT and (parameter.path in fixed or rng.random() > share):
                return kept
            return parameter.domain.sample(rng)

        other = walk(space, choose)
        if violated(space, other) is None:
            return other
    given = {path: config[path] for path in fixed if path in config}
    plan = plan.fixing(given) if plan is not None and given else plan
    return _stepwise(space, rng, fixed=given) if plan is None else _planned(space, plan, rng)

"""Random search spaces for property tests, and the paper's Listing 2 as written."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

LISTING_2 = """\
backbone_nums_block:
  type: int
  range: [2...5]
  submodule:
    block_type:
      type: choice
      range: {resnet, transformer}
      submodule:
        resnet:
          nums_layer:
            type: int
            range: [3...7]
            submodule:
              nums_channel: {type: choice, range: {64, 256}}
        transformer:
          mlp_expend_ratio: {type: choice, range: {1, 2, 4, 8}}
"""

_WORDS = ["sgd", "adam", "no", "1e-4", "true", "~", "a b", "é", "- x", "0x1F", "1:30", ""]
_OPERATIONS = ["none", "skip", "conv", "pool"]


@st.composite
def _integers(draw: st.DrawFn) -> dict[str, Any]:
    low = draw(st.integers(-20, 20))
    log = draw(st.booleans())
    low = abs(low) + 1 if log else low
    high = low + draw(st.integers(0, 300))
    spec: dict[str, Any] = {"type": "int", "range": [low, high]}
    if log:
        spec["log"] = True
    if high - low > 4 and draw(st.booleans()):
        spec["step"] = draw(st.integers(1, 4))
    if draw(st.booleans()):
        mean = draw(st.integers(low, high))
        spec["prior"] = {"normal": {"mean": mean, "std": draw(st.floats(0.05, 20))}}
    return spec


@st.composite
def _floats(draw: st.DrawFn, *, finite: bool) -> dict[str, Any]:
    log = draw(st.booleans()) and not finite
    low = 10.0 ** draw(st.integers(-8, 2)) if log else draw(st.floats(-1e3, 1e3))
    high = low * 10.0 ** draw(st.integers(0, 6)) if log else low + draw(st.floats(0.01, 1e3))
    spec: dict[str, Any] = {"type": "float", "range": [low, high]}
    if log:
        spec["log"] = True
    if finite:
        spec["step"] = (high - low) / draw(st.integers(1, 4))
    elif draw(st.booleans()):
        spec["prior"] = {"normal": {"mean": low, "std": draw(st.floats(0.1, 5))}}
    return spec


@st.composite
def _listed(draw: st.DrawFn) -> dict[str, Any]:
    scalars = st.one_of(st.sampled_from(_WORDS), st.integers(-3, 3), st.floats(0.25, 0.75), st.just(None))
    value = st.one_of(scalars, st.lists(st.integers(0, 3), max_size=2))
    kind = draw(st.sampled_from(["choice", "ordinal"]))
    values = draw(st.lists(value, min_size=1, max_size=4, unique_by=repr))
    spec: dict[str, Any] = {"type": kind, "range": values}
    if draw(st.booleans()):
        spec["weights"] = draw(st.lists(st.floats(0.1, 9), min_size=len(values), max_size=len(values)))
    return spec


@st.composite
def _cells(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(1, 4))
    spec: dict[str, Any] = {"type": "cell", "nodes": draw(st.integers(2, 3)), "operations": _OPERATIONS[:count]}
    if draw(st.booleans()):
        spec["zero"] = "none"
    if count > 1 and draw(st.booleans()):
        spec["identity"] = "skip"
    return spec


@st.composite
def _permutations(draw: st.DrawFn) -> dict[str, Any]:
    items = draw(st.permutations(["a", "no", "1e-4", 2, 0.5, True]))
    return {"type": "permutation", "items": items[: draw(st.integers(2, 4))]}


def _leaves(*, finite: bool) -> st.SearchStrategy[dict[str, Any]]:
    constants = st.builds(lambda value: {"type": "constant", "value": value}, st.sampled_from([1, "x", None, [1, 2]]))
    plain = (_integers(), _floats(finite=finite), _listed(), st.just({"type": "bool"}), constants)
    return st.one_of(*plain, _cells(), _permutations())


@st.composite
def _groups(draw: st.DrawFn, *, depth: int, finite: bool, largest: int) -> dict[str, Any]:
    group: dict[str, Any] = {}
    for k in range(draw(st.integers(1, largest))):
        kind = draw(st.sampled_from(["leaf", "leaf", "repeat", "branch"])) if depth else "leaf"
        below = _groups(depth=depth - 1, finite=finite, largest=2)
        if kind == "leaf":
            group[f"p{k}"] = draw(_leaves(finite=finite))
        elif kind == "repeat":
            low = draw(st.integers(0, 2))
            spec = {"type": "int", "range": [low, low + draw(st.integers(0, 1))], "submodule": draw(below)}
            group[f"p{k}"] = spec
        else:
            values = draw(st.lists(st.sampled_from(["a", "b", 3, True, 0.5]), min_size=1, max_size=3, unique_by=repr))
            branches = {value: draw(below) for value in values if draw(st.booleans())}
            group[f"p{k}"] = {"type": "choice", "range": values} | ({"submodule": branches} if branches else {})
    return group


@st.composite
def spaces(draw: st.DrawFn, *, finite: bool = False, rules: bool = True) -> dict[str, Any]:
    """Draw a space as `SearchSpace.from_dict` takes it; small enough to list when ``finite``."""
    space = draw(_groups(depth=2, finite=finite, largest=3))
    space["gate"] = {"type": "choice", "range": ["on", "off", "half"]}
    space["level"] = {"type": "ordinal", "range": [1, 2, 3]}
    tests = [{"gate": "on"}, {"gate": ["on", "half"]}, {"gate": {"not": "off"}, "level": {"min": 2}}]
    tests.append([{"gate": "off"}, {"level": {"max": 1}}])  # type: ignore[arg-type]
    for k in range(draw(st.integers(0, 2))):
        small = {"type": "choice", "range": ["u", "v"]}
        space[f"w{k}"] = draw(_leaves(finite=False) if not finite else st.just(small)) | {
            "when": draw(st.sampled_from(tests))
        }
    if rules and draw(st.booleans()):
        space["forbid"] = draw(
            st.lists(
                st.sampled_from([{"gate": "off", "level": 3}, {"level": {"max": 1}, "gate": "half"}, {"level": 2}]),
                min_size=1,
                max_size=3,
            )
        )
    return space

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.errors import SpaceError
from omniforge.search.space.document import from_plain, read_yaml, write_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("010", 10),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("True", True),
        ("~", None),
        ("null", None),
        ("none", "none"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("-.inf", -math.inf),
        ("2...5", "2...5"),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    assert read_yaml(f"a: {text}").plain() == {"a": value}


def test_a_flow_mapping_without_values_keeps_its_keys_in_order():
    node = read_yaml("range: {resnet, 64, transformer}").get("range")
    assert [item.key for item in node.entries] == ["resnet", 64, "transformer"]


def test_nodes_know_their_lines():
    node = read_yaml("a:\n  b: 1\n\n  c:\n    - 2\n    - 3\n")
    inner = node.get("a")
    assert [item.line for item in inner.entries] == [2, 4]
    assert [item.line for item in inner.get("c").items] == [5, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the space is empty"),
        ("# nothing\n", "the space is empty"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands twice; it first stands on line 1"),
        ("a: {x: 1, x: 2}", "line 1: the key 'x' stands twice"),
        ("a: 1\n  b: 2", "line 2: this is not YAML"),
        ("a: [1, 2", "this is not YAML"),
        ("a:\n\t- 1", "line 2: this is not YAML"),
        ("a: !!python/object:os.system x", "line 1: the tag"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "line 3: merge keys"),
        ("a: &x [*x]", "line 1: the entry contains itself"),
        ("? [1, 2]\n: 3", "line 1: a key must be a single word"),
        ("a: !!int x", "line 1: 'x' is not a int"),
        ("a: *nowhere", "line 1: this is not YAML"),
        ("a: \x00", "this is not YAML"),
        ("a: " + "[" * 300 + "]" * 300, "nested more than 200 deep"),
    ],
)
def test_what_is_not_a_document_is_refused_with_its_line(text, message):
    with pytest.raises(SpaceError) as caught:
        read_yaml(text)
    assert message in str(caught.value)


def test_aliases_are_copied_up_to_a_limit():
    assert read_yaml("a: &x [1, 2]\nb: *x").plain() == {"a": [1, 2], "b": [1, 2]}
    laughs = "a0: &a0 [1, 1]\n" + "".join(f"a{k + 1}: &a{k + 1} [*a{k}, *a{k}]\n" for k in range(30))
    with pytest.raises(SpaceError, match="more than 100000 entries"):
        read_yaml(laughs)


def test_python_values_become_nodes():
    node = from_plain({"a": (1, 2), "b": {3, 1, 2}, "c": np.float64(0.5), "d": None})
    assert node.plain() == {"a": [1, 2], "b": [1, 2, 3], "c": 0.5, "d": None}
    assert node.line is None
    with pytest.raises(SpaceError, match="expected JSON values"):
        from_plain({"a": object()})
    with pytest.raises(SpaceError, match="stands twice"):
        from_plain({"x": _Twice()})


class _Twice(dict):
    """A mapping that lists a key twice, as only a broken one can."""

    def items(self):
        return [("a", 1), ("a", 2)]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc~1 -:#", max_size=4), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.property
@given(st.dictionaries(st.text("abcyesno1.e-", min_size=1, max_size=6), values, min_size=1, max_size=4))
def test_what_is_written_is_read_back(mapping):
    assert read_yaml(write_yaml(mapping)).plain() == mapping

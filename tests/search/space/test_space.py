from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from conformance.spaces import LISTING_2, spaces
from hypothesis import given, settings

from omniforge.errors import SpaceError
from omniforge.search import SearchSpace
from omniforge.search import space as space_package
from omniforge.search.space import describe

BLOCK = "backbone_nums_block"


def test_listing_2_parses_as_written():
    space = SearchSpace.from_yaml(LISTING_2)
    blocks = space.parameters[BLOCK]
    assert (blocks.kind, blocks.domain.low, blocks.domain.high) == ("int", 2, 5)
    assert space.parameters[f"{BLOCK}[0].block_type"].domain.values == ("resnet", "transformer")
    channels = space.parameters[f"{BLOCK}[4].block_type.resnet.nums_layer[6].nums_channel"].domain.values
    assert channels == (64, 256)
    assert all(type(value) is int for value in channels)
    assert space.parameters[f"{BLOCK}[1].block_type.transformer.mlp_expend_ratio"].domain.values == (1, 2, 4, 8)
    assert len(space.parameters) == 1 + 5 * (1 + 1 + 7 + 1)


def test_listing_2_samples():
    space = SearchSpace.from_yaml(LISTING_2)
    for config in space.sample_many(200, np.random.default_rng(0)):
        space.validate(config)
        for index in range(config[BLOCK]):
            kind = config[f"{BLOCK}[{index}].block_type"]
            layers = config.get(f"{BLOCK}[{index}].block_type.resnet.nums_layer")
            assert (layers is not None) == (kind == "resnet")
            found = [path for path in config if path.startswith(f"{BLOCK}[{index}].block_type.resnet.nums_layer[")]
            assert len(found) == (layers or 0)
        assert f"{BLOCK}[{config[BLOCK]}].block_type" not in config


@pytest.mark.property
@settings(max_examples=80, deadline=None)
@given(spaces())
def test_a_space_survives_yaml_and_dict(spec):
    try:
        space = SearchSpace.from_dict(spec)
    except SpaceError as e:
        assert "the rules leave nothing" in e.message  # noqa: PT017  # the only error that these spaces may raise
        return
    again = SearchSpace.from_yaml(space.to_yaml())
    assert again == space
    assert again.to_dict() == space.to_dict()
    assert list(again.parameters) == list(space.parameters)
    assert SearchSpace.from_dict(space.to_dict()).hash == space.hash


def test_a_file_is_read_by_path_and_by_name(tmp_path, monkeypatch):
    file = tmp_path / "space.yaml"
    file.write_text(LISTING_2)
    monkeypatch.chdir(tmp_path)
    assert SearchSpace.from_yaml(file) == SearchSpace.from_yaml("space.yaml") == SearchSpace.from_yaml(LISTING_2)


def test_errors_of_a_file_name_it(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("a: {type: bool}\nlr: {type: float, range: [1, 0]}\n")
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_yaml(file)
    assert caught.value.message == "space.yaml: line 2: lr: the range [1, 0] is empty; expected the low end first."
    assert caught.value.hint == "Write range: [0, 1]"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read(tmp_path, content):
    file = tmp_path / "space.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SpaceError, match="Cannot read the space"):
        SearchSpace.from_yaml(file)


def test_a_space_inside_a_larger_document_keeps_its_lines():
    text = "name: mine\nspace:\n  a: {type: bool}\n  b: {type: wrong}\n"
    with pytest.raises(SpaceError, match="line 4: b: unknown type 'wrong'"):
        SearchSpace.from_yaml(text, key="space")
    with pytest.raises(SpaceError, match="the key 'spaces' is missing"):
        SearchSpace.from_yaml(text, key="spaces")


def test_a_space_is_an_immutable_value():
    space = SearchSpace.from_yaml(LISTING_2)
    with pytest.raises(AttributeError):
        space.declarations = ()
    assert space == SearchSpace.from_dict(space.to_dict())
    assert space != SearchSpace.from_yaml("a: {type: bool}")
    assert space != "a"
    assert {space: 1}[SearchSpace.from_yaml(LISTING_2)] == 1
    assert repr(space) == f"<SearchSpace {space.hash[:12]}: 51 parameters>"


def test_a_parameter_is_found_or_named_nearly():
    space = SearchSpace.from_yaml(LISTING_2)
    assert space.parameter(BLOCK).name == BLOCK
    with pytest.raises(SpaceError, match="no parameter 'backbone_block'") as caught:
        space.parameter("backbone_block")
    assert BLOCK in caught.value.hint


def test_a_configuration_reads_on_one_line():
    assert describe({"lr": 0.1, "kind": "a"}) == "lr=0.1, kind='a'"


def test_the_documented_example_is_a_space():
    text = space_package.__doc__.split("::\n", 1)[1].split("Every kind", 1)[0]
    space = SearchSpace.from_yaml(textwrap.dedent(text.strip("\n")))
    assert {parameter.kind for parameter in space.parameters.values()} == {
        *("int", "float", "choice", "ordinal", "bool", "constant", "cell", "permutation")
    }
    space.validate(space.sample(np.random.default_rng(0)))


def test_importing_a_space_is_light():
    code = (
        "import sys\nfrom omniforge.search import SearchSpace\n"
        "SearchSpace.from_yaml('a: {type: bool}\\n')\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'scipy', 'sklearn', 'botorch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_large_spaces_cost_in_proportion():
    """Sampling is linear in what is active: 4 times the parameters take far less than 16 times as long."""

    def seconds(width: int) -> float:
        group = {f"x{k}": {"type": "float", "range": [0, 1], "when": {"mode": "on"}} for k in range(width)}
        space = SearchSpace.from_dict({"mode": {"type": "constant", "value": "on"}} | group)
        rng = np.random.default_rng(0)
        runs = []
        for _ in range(5):
            start = time.perf_counter()
            space.sample_many(20, rng)
            runs.append(time.perf_counter() - start)
        return min(runs)

    assert seconds(800) < 12 * seconds(200)

from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.errors import BundleError
from omniforge.estimators.manifest import Data, Fidelity, read_manifest

GOOD = """\
name: sample
version: 1.2.3
tasks: [classification]
entry_point: estimator:Sample
space: space.yaml
metrics:
  score: max
  loss: min
fidelity: {max: 20, unit: trees}
resources:
  cpu: 2
"""


def read(folder: Path, text: str) -> str:
    """Return the error that reading ``text`` gives."""
    (folder / "estimator.yaml").write_text(text)
    with pytest.raises(BundleError) as caught:
        read_manifest(folder / "estimator.yaml")
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_good_one_is_read_with_defaults(tmp_path: Path) -> None:
    (tmp_path / "estimator.yaml").write_text(GOOD)
    manifest = read_manifest(tmp_path / "estimator.yaml")
    assert manifest.fidelity == Fidelity(max=20, unit="trees")
    assert manifest.fidelity.default_value == 20
    assert manifest.resources.cpu == 2
    assert manifest.resources.memory_mb == 1024
    assert manifest.deployment.devices == ("local",)
    assert manifest.primary_by_task() == {"classification": "score"}


def test_primary_by_task(tmp_path: Path) -> None:
    text = GOOD.replace("[classification]", "[classification, regression]") + "primary: {regression: loss}\n"
    (tmp_path / "estimator.yaml").write_text(text)
    manifest = read_manifest(tmp_path / "estimator.yaml")
    assert manifest.primary_by_task() == {"classification": "score", "regression": "loss"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("entry_point:", "entrypoint:", "line 4: unknown field 'entrypoint'; did you mean 'entry_point'?"),
        ("entry_point:", "entrypoint:", "field 'entry_point' is missing"),
        ("version: 1.2.3\n", "", "field 'version' is missing"),
        ("version: 1.2.3", "version: 1.2", "line 2: field 'version' = 1.2: input should be a valid string"),
        ("version: 1.2.3", "version: one", "line 2: field 'version' = 'one'"),
        ("name: sample", "name: My Sample", "line 1: field 'name' = 'My Sample'"),
        ("score: max", "score: maximise", "line 7: field 'metrics.score' = 'maximise': input should be 'max' or 'min'"),
        ("tasks: [classification]", "tasks: []", "line 3: field 'tasks' = []"),
        ("estimator:Sample", "estimator.Sample", "line 4: field 'entry_point' = 'estimator.Sample'"),
        ("cpu: 2", "cpus: 2", "line 11: unknown field 'resources.cpus'; did you mean 'cpu'?"),
        ("cpu: 2", "cpu: -1", "line 11: field 'resources.cpu' = -1: input should be greater than 0"),
        ("max: 20", "max: 20, min: 30", "line 9: fidelity: expected min <= default <= max"),
        ("max: 20", "max: 20, name: rounds", "line 9: field 'fidelity.name' = 'rounds'"),
        ("space: space.yaml", "space: []", "line 5: space: expected the name of a YAML file"),
        (
            "resources:",
            "primary: accuracy\nresources:",
            "line 10: primary: 'accuracy' is not one of metrics (score, loss)",
        ),
        ("resources:", "primary: {ranking: loss}\nresources:", "line 10: primary: 'ranking' is not one of tasks"),
        ("version: 1.2.3", "version: 1.2.3\nname: again", "line 3: field 'name' stands twice"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in read(tmp_path, GOOD.replace(old, new))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    said = read(tmp_path, GOOD.replace("name: sample\n", "").replace("score: max", "score: up"))
    assert "2 problems" in said
    assert "'name' is missing" in said
    assert "metrics.score" in said


@pytest.mark.parametrize("text", ["name: [", "- a\n- b\n", "", "just words"])
def test_what_is_no_mapping_is_said(tmp_path: Path, text: str) -> None:
    assert "estimator.yaml" in read(tmp_path, text)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "estimator.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="cannot be read"):
        read_manifest(tmp_path / "estimator.yaml")


def test_the_data_that_it_reads_and_brings(tmp_path: Path) -> None:
    (tmp_path / "estimator.yaml").write_text(GOOD)
    assert read_manifest(tmp_path / "estimator.yaml").data == Data(reads="any", load=None, target="y")
    (tmp_path / "estimator.yaml").write_text(GOOD + 'data: {reads: tensor, load: "dataset:load", target: label}\n')
    assert read_manifest(tmp_path / "estimator.yaml").data == Data(reads="tensor", load="dataset:load", target="label")
    assert "data.load" in read(tmp_path, GOOD + "data: {load: dataset.py}\n")
    assert "did you mean 'load'" in read(tmp_path, GOOD + "data: {loads: a}\n")
    assert "data.reads" in read(tmp_path, GOOD + "data: {reads: images}\n")

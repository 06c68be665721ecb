from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.errors import SpecError
from omniforge.models import ModelVersion
from omniforge.models.version import ModelName, check_family


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("churn", ModelName("churn")),
        ("churn@champion", ModelName("churn", alias="champion")),
        ("churn/12", ModelName("churn", version=12)),
        ("a.b-c_d@x.y", ModelName("a.b-c_d", alias="x.y")),
    ],
)
def test_names_are_read(text: str, expected: ModelName) -> None:
    assert ModelName.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a/b", "a/0", "a/-1", "a@", "a/", "@x", "/1", "a/1@x", "a@x/1", "a b", "../a", "a/²"]
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(SpecError, match="Model"):
        ModelName.parse(text)


@pytest.mark.parametrize("family", ["", ".hidden", "a/b", "a" * 201, "naïve"])
def test_a_family_is_the_name_of_a_folder(family: str) -> None:
    with pytest.raises(SpecError, match="family"):
        check_family(family)


def test_a_version_has_a_name() -> None:
    assert ModelVersion("churn", 3, Path("x")).name == "churn/3"

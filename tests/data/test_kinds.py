from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from omniforge.data.kinds import MAX_CATEGORIES, Decision, Problem, decide
from omniforge.data.tidying import tidy_table


def decided(values: Any, name: str = "x", **kwargs: Any) -> Any:
    frame = pd.DataFrame({name: pd.Series(values)})
    return decide(tidy_table(frame, source="t")[name], **kwargs)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 5, 2, 2], "numeric"),
        ([1.5, None, 2.0], "numeric"),
        (["1.5", " ", "2e3", "?"], "numeric"),
        (["a", "b", "a"], "categorical"),
        ([True, False, True], "boolean"),
        ([True, None, False], "boolean"),
        (["true", "FALSE", None], "boolean"),
        (["yes", "no", "yes"], "categorical"),
        ([0, 1, 0], "numeric"),
        ([7, 7, 7], "constant"),
        (["a", "a"], "constant"),
        ([7, None, 7], "categorical"),
        (["2020-01-01", "2021-05-17"], "datetime"),
        (["2020-01-01 10:00:00", None, "2021-05-17 23:59:59"], "datetime"),
        (["2020-01-01T10:00:00Z", "2021-05-17T10:00:00+02:00"], "datetime"),
        (["31/12/2020", "01/02/2021"], "datetime"),
        (["31.12.2020", "01.02.2021"], "datetime"),
        ([pd.Timestamp("2020-01-01"), pd.Timestamp("2021-01-01")], "datetime"),
        (["10.0.0.1", "10.0.0.2"], "categorical"),
        (["2020-13-45", "2021-99-99"], "categorical"),
        (["0", "1", "2", "3+"], "categorical"),
    ],
)
def test_kinds(values: Any, kind: str) -> None:
    decision = decided(values)
    assert isinstance(decision, Decision)
    assert decision.kind == kind


def test_missing_and_distinct_are_counted() -> None:
    decision = decided(["a", None, "b", "a", "?"])
    assert (decision.missing, decision.distinct) == (2, 2)


def test_unique_texts_are_an_identifier_with_a_note() -> None:
    decision = decided([f"C{i}" for i in range(100)])
    assert decision.kind == "identifier"
    assert "100 different texts in 100 cells" in decision.note


def test_few_unique_texts_are_categories() -> None:
    assert decided([f"C{i}" for i in range(20)]).kind == "categorical"


@pytest.mark.parametrize(
    ("values", "name", "kind"),
    [
        (range(100), "Unnamed: 0", "identifier"),
        (range(1, 101), "anything", "identifier"),
        (np.arange(100) * 3 + 7, "ID", "identifier"),
        (np.arange(100) * 3 + 7, "pressure", "numeric"),
        (range(1900, 2000), "year", "numeric"),
        (range(10), "id", "numeric"),
        (np.arange(100)[::-1], "id", "numeric"),
    ],
)
def test_numbers_that_only_number_the_rows(values: Any, name: str, kind: str) -> None:
    assert decided(list(values), name).kind == kind


def test_a_year_month_day_reading_wins_and_ambiguity_is_said() -> None:
    decision = decided(["01/02/2021", "03/04/2021"])
    assert decision.date_format == "%m/%d/%Y"
    assert "month/day/year" in decision.note
    assert decided(["01/02/2021", "31/04/2021", "30/12/2021"]).kind == "categorical"  # there is no 31 April
    assert decided(["01/02/2021", "30/04/2021"]).date_format == "%d/%m/%Y"
    assert decided(["01/02/2021", "30/04/2021"]).note is None


def test_few_codes_are_categories_with_a_note() -> None:
    note = decided(["0", "1", "2", "3+"] * 20).note
    assert "4 codes" in note
    assert "'3+'" in note


class TestProblems:
    def test_all_missing(self) -> None:
        problem = decided([None, "?", " "])
        assert isinstance(problem, Problem)
        assert "no value in any of its 3 rows" in problem.reason
        assert not problem.categorical_helps

    @pytest.mark.parametrize("values", [[1.0, 2.0, np.inf, 4.0], ["1", "2", "inf", "4"], [1.0, 2.0, -np.inf, 4.0]])
    def test_infinite(self, values: Any) -> None:
        problem = decided(values)
        assert isinstance(problem, Problem)
        assert "1 infinite value, the first in row 3" in problem.reason

    def test_mixed_types(self) -> None:
        problem = decided([*(str(i * 1.5) for i in range(100)), "unknown", "unknown"])
        assert isinstance(problem, Problem)
        assert "mixes types: 100 of 102 cells are numbers" in problem.reason
        assert "'unknown' (the first in row 101)" in problem.reason
        assert problem.categorical_helps

    def test_texts_with_few_numbers_are_categories(self) -> None:
        values = [f"street {i % 40}" for i in range(400)] + [str(i) for i in range(20)]
        assert decided(values).kind == "categorical"

    def test_two_hundred_thousand_categories(self) -> None:
        problem = decided([f"u{i}" for i in range(200_000)])
        assert isinstance(problem, Problem)
        assert "200,000 different texts" in problem.reason
        assert f"{MAX_CATEGORIES:,}" in problem.reason
        assert problem.categorical_helps

    def test_taking_it_as_categories_helps(self) -> None:
        assert decided([f"u{i}" for i in range(60_000)], categorical=True).kind == "categorical"
        assert decided([*(str(i) for i in range(100)), "x"], categorical=True).kind == "categorical"
        assert decided(list(range(100)), categorical=True).kind == "categorical"

    def test_but_not_if_everything_is_missing(self) -> None:
        assert isinstance(decided([None, None], categorical=True), Problem)

from dataclasses import replace

import pytest
import torch
from conformance.bo_problems import observed, surrogate

from omniforge.errors import SpecError
from omniforge.search import Objective, Reward, SearchSpace, strategy
from omniforge.search.bo.acquisitions import Auto, LogEI, LogPI


def test_one_proposal_in_four_explores_while_a_search_stands_still() -> None:
    auto = Auto(patience=4)
    assert [still for still in range(14) if auto.explores(still)] == [4, 8, 12]


def test_what_is_under_evaluation_is_waited_for() -> None:
    auto = Auto(patience=4)
    assert not auto.explores(4, pending=1)
    assert auto.explores(8, pending=4)


def test_without_patience_it_never_explores() -> None:
    assert not any(Auto(patience=None).explores(still) for still in range(40))


@pytest.mark.parametrize(("standstill", "expected"), [(0, LogEI()), (4, LogPI(margin=0.5))])
def test_the_function_is_that_of_the_moment(standstill: int, expected: LogEI | LogPI) -> None:
    seen, fitted = replace(observed("numeric", "one"), standstill=standstill), surrogate("numeric", "one")
    X = seen.X[:5, None]
    none = seen.X[:0]
    found = Auto().build(fitted, seen, pending=none, seed=0)(X)
    torch.testing.assert_close(found, expected.build(fitted, seen, pending=none, seed=0)(X))


def test_a_search_that_stands_still_comes_to_another_branch() -> None:
    space = SearchSpace.from_yaml(
        """
        kind:
          type: choice
          range: [near, far]
          submodule:
            near: {x: {type: float, range: [0, 1]}, y: {type: float, range: [0, 1]}}
            far: {x: {type: float, range: [0, 1]}, y: {type: float, range: [0, 1]}, z: {type: float, range: [0, 1]}}
        """
    )

    def value(config: dict[str, object]) -> float:
        numbers = [float(str(number)) for path, number in config.items() if path != "kind"]
        if config["kind"] == "near":
            return 1.0 - sum((number - 0.5) ** 2 for number in numbers)
        return 3.0 * float(all(number > 0.6 for number in numbers)) - sum((number - 0.8) ** 2 for number in numbers)

    def branches(patience: int | None) -> int:
        search = strategy({"bo": {"acquisition": {"auto": {"patience": patience}}}})
        search.bind_space(space, [Objective("value", "max")], seed=1)
        found = []
        for _ in range(40):
            for candidate in search.generate_tasks(1):
                found.append(candidate.config)
                search.handle_rewards([Reward(candidate, {"value": value(candidate.config)})])
        return len({str(config["kind"]) for config in found[20:]})

    assert (branches(4), branches(None)) == (2, 1)


def test_a_patience_below_one_is_refused() -> None:
    with pytest.raises(SpecError, match="patience"):
        Auto(patience=0)

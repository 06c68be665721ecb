from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniforge import estimator
from omniforge.errors import SpaceError
from omniforge.estimators import EstimatorError, RecordingReporter
from omniforge.search import SearchSpace

SPACE = SearchSpace.from_dict(
    {
        "depth": {
            "type": "int",
            "range": [1, 3],
            "default": 2,
            "submodule": {"width": {"type": "int", "range": [4, 8]}},
        },
        "rate": {"type": "float", "range": [0.01, 1.0], "log": True, "default": 0.1},
    }
)


class Listing:
    """A class as in the paper's Listing 1: no base class of ours, its own ``run``, arguments to its own methods."""

    @estimator.wrap
    def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, **model_args: Any) -> None:
        self.model_args = model_args
        self.drawn = (random.random(), float(np.random.random()))
        self.done = 0

    @estimator.wrap
    def calculate_score(self, loader: str) -> float:
        assert loader == "valid"
        return 0.1 * self.done

    @estimator.wrap
    def train(self, loader: str, epochs: int) -> None:
        for epoch in range(1, epochs + 1):
            self.done = epoch
            estimator.report(epoch, {"score": 0.1 * epoch})

    @estimator.wrap
    def run(self) -> float:
        self.train("train", self.run_epochs)  # type: ignore[attr-defined]  # set by wrap
        return self.calculate_score("valid")


def make(cls: type = Listing, **changes: Any) -> Any:
    return cls(**{"run_epochs": 3, "data_path": "somewhere", "is_trainer": False, **changes})


def test_a_class_of_the_papers_shape_runs() -> None:
    made = make()
    assert made.run() == {"score": pytest.approx(0.3)}
    assert (made.run_epochs, made.data_path, made.is_trainer) == (3, "somewhere", False)


def test_positional_arguments_work_too() -> None:
    assert dict(Listing(3, "x", True).arguments) == {"run_epochs": 3, "data_path": "x", "is_trainer": True}  # type: ignore[attr-defined]


def test_arguments_are_recorded_read_only() -> None:
    made = make(rate=0.5)
    assert made.arguments["rate"] == 0.5
    with pytest.raises(TypeError):
        made.arguments["rate"] = 1


def test_an_early_stop_ends_the_training_and_scores() -> None:
    with estimator.use_reporter(RecordingReporter(stop_at=2)):
        made = make(run_epochs=9)
        assert made.run() == {"score": pytest.approx(0.2)}
    assert made.stopped


def test_a_loop_in_run_itself_is_stopped_and_scored() -> None:
    class Loop:
        @estimator.wrap
        def __init__(self, run_epochs: int, data_path: str, is_trainer: bool) -> None:
            self.done = 0

        @estimator.wrap
        def calculate_score(self) -> float:
            return float(self.done)

        @estimator.wrap
        def run(self) -> float:
            for self.done in range(1, 10):
                estimator.report(self.done, {})
            return self.calculate_score()

    with estimator.use_reporter(RecordingReporter(stop_at=4)):
        made = make(Loop)
        assert made.run() == {"score": 4.0}
    assert made.stopped


def test_the_space_fills_in_defaults_and_checks_what_is_given() -> None:
    with estimator.context(space=SPACE):
        made = make(depth=1)
        assert made.model_args == {"depth": 1, "depth[0].width": made.model_args["depth[0].width"], "rate": 0.1}
        with pytest.raises(SpaceError, match=r"Listing: .*rate") as caught:
            make(rate=7.0)
        assert "0.01" in str(caught.value)
        with pytest.raises(SpaceError, match="rat"):
            make(rat=0.5)


def test_without_a_space_arguments_are_taken_as_they_are() -> None:
    assert make(anything={"goes": 1}).model_args == {"anything": {"goes": 1}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run_epochs": 0}, "run_epochs = 0: expected an integer of at least 1"),
        ({"run_epochs": 2.5}, "run_epochs = 2.5"),
        ({"run_epochs": True}, "run_epochs = True"),
        ({"data_path": 3}, "data_path = 3: expected a path"),
        ({"is_trainer": 1}, "is_trainer = 1: expected true or false"),
    ],
)
def test_wrong_fixed_arguments(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        make(**changes)
    assert said in str(caught.value)


def test_missing_fixed_arguments_are_named() -> None:
    with pytest.raises(SpaceError, match="Listing needs the arguments data_path, is_trainer"):
        Listing(run_epochs=1)  # type: ignore[call-arg]


def test_numpy_integers_and_paths_are_fine(tmp_path: Path) -> None:
    made = make(run_epochs=np.int64(2), data_path=tmp_path)
    assert made.arguments["run_epochs"] == 2
    assert type(made.run_epochs) is int
    assert made.data_path == str(tmp_path)


def test_a_parameter_that_init_does_not_take_is_named() -> None:
    class Narrow:
        @estimator.wrap
        def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, rate: float = 0.1) -> None:
            self.rate = rate

    assert make(Narrow, rate=0.5).rate == 0.5
    with pytest.raises(SpaceError, match="'depth'") as caught:
        make(Narrow, depth=2)
    assert "**model_args" in str(caught.value)


def test_a_space_with_a_parameter_that_init_does_not_take_is_an_error() -> None:
    class Narrow:
        @estimator.wrap
        def __init__(self, run_epochs: int, data_path: str, is_trainer: bool, rate: float = 0.1) -> None:
            self.rate = rate

    with estimator.context(space=SPACE), pytest.raises(SpaceError, match="'depth'"):
        make(Narrow)


def test_the_seed_rules_global_generators_inside_a_context() -> None:
    with estimator.context(seed=11):
        first, second = make(), make()
    assert first.drawn == second.drawn
    assert first.seed == 11


def test_without_a_context_global_generators_are_left_alone() -> None:
    random.seed(1)
    expected = random.Random(1).random()
    assert make().drawn[0] == expected


def test_exceptions_name_class_method_and_original() -> None:
    class Broken(Listing):
        @estimator.wrap
        def train(self, loader: str, epochs: int) -> None:
            raise ZeroDivisionError("no rows")

    with pytest.raises(EstimatorError, match=r"Broken.train raised ZeroDivisionError: no rows") as caught:
        make(Broken).run()
    assert caught.value.stage == "train"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_score_that_is_no_number_is_an_error() -> None:
    class Wordy(Listing):
        @estimator.wrap
        def calculate_score(self, loader: str) -> float:
            return "high"  # type: ignore[return-value]

    with pytest.raises(EstimatorError, match=r"Wordy.calculate_score returned 'high'"):
        make(Wordy).run()


def test_other_methods_only_get_their_failures_named() -> None:
    class Saver:
        @estimator.wrap
        def save(self, path: str) -> str:
            if not path:
                raise OSError("nowhere")
            return path

    assert Saver().save("here") == "here"
    with pytest.raises(EstimatorError, match=r"Saver.save raised OSError: nowhere"):
        Saver().save("")


def test_wrapping_twice_is_wrapping_once() -> None:
    def train(self: Any) -> None:
        """Train."""

    once = estimator.wrap(train)
    assert estimator.wrap(once) is once
    assert once.__doc__ == "Train."


def test_a_keyboard_interrupt_passes() -> None:
    class Interrupted(Listing):
        @estimator.wrap
        def train(self, loader: str, epochs: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(Interrupted).run()

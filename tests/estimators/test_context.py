from __future__ import annotations

import threading
from pathlib import Path

from omniforge import estimator
from omniforge.estimators.context import RunContext, current


def test_outside_of_a_context_the_defaults_hold() -> None:
    assert current() == RunContext()


def test_an_inner_context_changes_only_what_it_is_given(tmp_path: Path) -> None:
    with estimator.context(seed=4, threads=2, save_dir=tmp_path):
        with estimator.context(threads=1) as inner:
            assert (inner.seed, inner.threads, inner.save_dir) == (4, 1, tmp_path)
        assert current().threads == 2
    assert current() == RunContext()


def test_seed_zero_is_a_seed() -> None:
    with estimator.context(seed=5), estimator.context(seed=0) as inner:
        assert inner.seed == 0


def test_threads_do_not_see_each_others_context() -> None:
    seen: list[int | None] = []
    with estimator.context(seed=7):
        other = threading.Thread(target=lambda: seen.append(current().seed))
        other.start()
        other.join()
    assert seen == [None]

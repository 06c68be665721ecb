from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(ROOT / "examples" / "optuna_sampler.py"))
    study = example["main"](10)
    assert len(study.trials) == 10
    assert study.best_value > 0.9
    assert capsys.readouterr().out.startswith("0.9")


def test_the_page_shows_code_that_runs() -> None:
    page = (ROOT / "docs" / "adapters.md").read_text()
    blocks = [block.partition("```")[0] for block in page.split("```python\n")[1:]]
    assert len(blocks) >= 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block.replace("n_trials=100", "n_trials=6"), "docs/adapters.md", "exec"), names)

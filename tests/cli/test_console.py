from __future__ import annotations

import pytest

from omniforge.cli.console import exit_codes, interruptible
from omniforge.errors import ComponentError, JobFailedError, SpecError


@pytest.mark.parametrize(
    ("error", "code"), [(SpecError("x = 3"), 2), (JobFailedError("no model"), 1), (KeyboardInterrupt(), 130)]
)
def test_errors_become_exit_codes(error: BaseException, code: int) -> None:
    with pytest.raises(SystemExit) as caught, exit_codes():
        raise error
    assert caught.value.code == code


def test_an_interrupt_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    interrupt = KeyboardInterrupt()
    interrupt.add_note("Go on with: omniforge jobs resume [x]-1")
    with pytest.raises(SystemExit) as caught, interruptible():
        raise interrupt
    assert caught.value.code == 130
    assert capsys.readouterr().err.splitlines() == ["Interrupted.", "Go on with: omniforge jobs resume [x]-1"]


def test_a_failed_component_shows_its_traceback_and_the_hint(capsys: pytest.CaptureFixture[str]) -> None:
    error = ComponentError("worker", "[boom] happened", details="Traceback: line 1", hint="mend [it]")
    with pytest.raises(SystemExit), exit_codes():
        raise error
    printed = capsys.readouterr().err
    assert "Component 'worker' failed: [boom] happened" in printed
    assert "Traceback: line 1" in printed
    assert "Hint: mend [it]" in printed


def test_a_small_installation_says_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exit_codes():
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert "needs torch" in shown
    assert "pip install 'omniforge[automl]'" in shown


def test_a_module_of_its_own_that_is_missing_is_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError), exit_codes():
        raise ModuleNotFoundError("No module named 'omniforge.nowhere'", name="omniforge.nowhere")

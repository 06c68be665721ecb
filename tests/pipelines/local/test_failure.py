"""Why a component failed, from its record, its log or its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.launch import Exit
from omniforge.pipelines.local.failure import component_error, exception_line, last_traceback

LOG = """some output
Traceback (most recent call last):
  File "old.py", line 1, in <module>
OSError: an old one that was logged
more output
Traceback (most recent call last):
  File "a.py", line 1, in f
KeyError: 'x'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "b.py", line 2, in g
some.module.WrongError: it is: wrong
in two lines
"""
PATH = Path("/runs/1/log.txt")
RAISED = Exit(1, None, "exception", 1.0)


def test_the_last_traceback_has_its_causes_and_not_what_was_logged_before() -> None:
    traceback = last_traceback(LOG)
    assert traceback.startswith('Traceback (most recent call last):\n  File "a.py"')
    assert traceback.endswith("in two lines")
    assert "OSError" not in traceback
    assert exception_line(traceback) == "WrongError: it is: wrong"


def test_a_log_without_a_traceback() -> None:
    assert last_traceback("nothing\nhere") == ""
    assert exception_line("") == ""


def test_the_record_of_the_component_comes_first() -> None:
    record = {"type": "DataError", "message": "Column 'x' is missing.", "hint": "Add it.", "exit_code": 2}
    error = component_error("start", RAISED, record=record, log=LOG, log_path=PATH)
    assert error.component == "start"
    assert error.message == "Component 'start' failed: DataError: Column 'x' is missing."
    assert error.hint == "Add it."
    assert error.exit_code == 2
    assert "WrongError" in error.details


def test_a_store_that_is_locked_is_worth_another_try() -> None:
    record = {
        "type": "StoreUnavailableError",
        "message": "It is locked.",
        "hint": None,
        "exit_code": 2,
        "retryable": True,
    }
    error = component_error("worker", RAISED, record=record, log=LOG, log_path=PATH)
    assert (error.exit_code, error.retryable) == (2, True)


def test_without_a_record_the_traceback_says_it() -> None:
    error = component_error("start", RAISED, record=None, log=LOG, log_path=PATH)
    assert error.message == "Component 'start' failed: WrongError: it is: wrong"
    assert error.hint == "The log is /runs/1/log.txt."
    assert error.exit_code == 1


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (Exit(None, 9, "out_of_memory", 1.0), "It ran out of memory (signal 9)."),
        (Exit(None, 15, "timeout", 1.0), "It took longer than its time limit (signal 15)."),
        (Exit(None, 9, "killed", 1.0), "It was killed (signal 9)."),
        (Exit(3, None, "exception", 1.0), "Its process ended with exit code 3."),
        (Exit(None, 11, "exception", 1.0), "Its process ended (signal 11)."),
        (Exit(3, None, "exception", 1.0, message="SystemExit: 3"), "SystemExit: 3"),
    ],
)
def test_without_a_traceback_the_end_says_it(ending: Exit, expected: str) -> None:
    error = component_error("t", ending, record=None, log="the\nlast words", log_path=PATH)
    assert error.message == f"Component 't' failed: {expected}"
    assert error.details == "the\nlast words"

from __future__ import annotations

import inspect
import re

import pytest

from omniforge import errors
from omniforge.errors import (
    ComponentError,
    InputError,
    OmniForgeError,
    RecordNotFoundError,
    SpaceError,
    StoreUnavailableError,
    UnknownNameError,
)
from omniforge.estimators import EstimatorError
from omniforge.sidecar import SidecarError
from omniforge.sidecar.device import DeviceError, DeviceLostError

HERE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, OmniForgeError)]
ALL = [*HERE, EstimatorError, SidecarError, DeviceError, DeviceLostError]


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """Read the tree of the module's docstring: the class to its parent and to the builtin that it refines."""
    found: dict[str, tuple[str | None, str | None]] = {}
    trail: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^ {4}([│├└─ ]*)(\w+Error)\((\w+)\)|^ {4}([│├└─ ]*)(\w+Error)\b", line)
        if match is None:
            continue
        depth = len(match[1] if match[2] else match[4]) // 4
        name = match[2] or match[5]
        trail[depth:] = [name]
        found[name] = (trail[depth - 1] if depth else None, match[3])
    return found


def test_the_tree_of_the_docstring_is_the_tree_of_the_code() -> None:
    tree = drawn()
    assert set(tree) == {kind.__name__ for kind in ALL}
    for kind in ALL:
        parent, builtin = tree[kind.__name__]
        bases = {base.__name__ for base in kind.__mro__}
        assert parent is None or parent in {base.__name__ for base in kind.__bases__}, kind
        assert builtin is None or builtin in bases, kind


def test_what_was_given_wrongly_exits_with_2_and_what_failed_with_1() -> None:
    codes = {kind.__name__: kind.exit_code for kind in ALL}
    wrong = {kind.__name__ for kind in ALL if issubclass(kind, InputError)}
    assert {name for name, code in codes.items() if code == 2} == wrong | {
        "StoreUnavailableError",
        "RecordNotFoundError",
    }
    assert set(codes.values()) == {1, 2}


def test_only_what_can_pass_is_retryable() -> None:
    assert {kind.__name__ for kind in ALL if kind.retryable} == {
        "StoreUnavailableError",
        "LaunchError",
        "MeasurementError",
        "DeviceLostError",
    }
    assert issubclass(StoreUnavailableError, ConnectionError)
    assert issubclass(RecordNotFoundError, LookupError)


def test_an_error_says_what_is_wrong_and_how_to_mend_it() -> None:
    bare, hinted = SpaceError("It is wrong."), SpaceError("It is wrong.", hint="Do this.")
    assert (str(bare), bare.hint) == ("It is wrong.", None)
    assert str(hinted) == "It is wrong.\nDo this."
    with pytest.raises(ValueError, match=r"It is wrong\."):
        raise hinted


@pytest.mark.parametrize(
    ("name", "known", "nearest", "hint"),
    [
        ("acuracy", ["accuracy", "rmse"], ("accuracy",), "Did you mean 'accuracy'?"),
        ("speed", ["accuracy", "rmse"], (), "Known: accuracy, rmse."),
        ("speed", [f"zz{i:02}" for i in range(30)], (), "zz19, ...."),
        ("speed", [], (), None),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(
    name: str, known: list[str], nearest: tuple[str, ...], hint: str | None
) -> None:
    error = UnknownNameError("metric", name, known)
    assert error.message == f"There is no metric named {name!r}."
    assert (error.kind, error.name, error.nearest) == ("metric", name, nearest)
    assert error.hint == hint if hint is None else hint in (error.hint or "")


def test_a_component_is_named_with_its_traceback() -> None:
    error = ComponentError("worker", "it was killed", details="Traceback ...", hint="Look there.")
    assert error.message == "Component 'worker' failed: it was killed"
    assert (error.component, error.details, error.hint) == ("worker", "Traceback ...", "Look there.")

from __future__ import annotations

from typing import Any

from omniforge.estimators import NativeModel


class Exportable:
    native_model: object = "a model"
    encoding = "ordinal"

    def predict_raw(self, X: Any) -> Any:
        return X


def test_what_has_the_three_members_is_exported_for_its_author() -> None:
    assert isinstance(Exportable(), NativeModel)


def test_what_lacks_one_is_not() -> None:
    class Partial:
        native_model = "a model"
        encoding = "ordinal"

    assert not isinstance(Partial(), NativeModel)

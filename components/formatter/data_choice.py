"""Which data a search reads: what the user gave, or what the estimator brings along; and whether the estimator can."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import SpecError

if TYPE_CHECKING:
    from ...estimators.bundle import Bundle
    from ...settings import Settings
    from ..spec import JobSpec


def with_data(spec: JobSpec, bundle: Bundle, settings: Settings) -> JobSpec:
    """Return the request with its data and target: those that were given, else the estimator's own.

    Args:
        spec: The request.
        bundle: The estimator's bundle.
        settings: Where data that a bundle brings along is written, once.

    Raises:
        SpecError: The data or the target is missing, or the estimator reads data of another kind.
        DataError: There is no such file.
        BundleError: The bundle's own data cannot be loaded.
    """
    if not spec.data:
        if bundle.data.load is None:
            raise SpecError(
                f"data is missing, and estimator {bundle.name!r} brings none of its own.",
                hint="Give --data FILE and --target COL; for images an .npz file with the arrays x and y.",
            )
        from ...estimators.own_data import write_own_data

        own = write_own_data(bundle, settings.home_path / "data")
        spec = spec.model_copy(update={"data": str(own), "target": spec.target or bundle.data.target})
    if not spec.target:
        raise SpecError(
            f"target is missing: which column of {Path(spec.data).name} is to be predicted?", hint="Give --target COL."
        )
    _check_kind(spec, bundle)
    return spec


def _check_kind(spec: JobSpec, bundle: Bundle) -> None:
    """Refuse a table for an estimator of tensors, and the other way round."""
    if bundle.data.reads == "any":
        return
    from ...data import is_tensor_file

    tensors = is_tensor_file(spec.data)
    if tensors == (bundle.data.reads == "tensor"):
        return
    what, other = ("tensors", "tables") if tensors else ("a table", "tensors (images, as an .npz file)")
    raise SpecError(
        f"{spec.data} holds {what}, but estimator {bundle.name!r} reads {other}.",
        hint="omniforge run hpo --estimator image searches networks for images." if tensors else None,
    )

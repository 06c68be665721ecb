"""The door to MLflow: how it is imported, reached, and how its failures are said."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MissingDependencyError, SpecError, StoreError, StoreUnavailableError
from ..files import replacing
from .folder_lock import folder_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CONNECT_TIMEOUT_S = 5


def connect(url: str, lock_folder: Path) -> MlflowClient:
    """Return a client of MLflow's records at ``url``; a new database is made, which takes seconds.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://...``.
        lock_folder: A folder that all who use this database share: MLflow's own migrations fail when two run at once.

    Raises:
        SpecError: ``url`` is malformed.
        StoreUnavailableError: The database does not answer.
        StoreError: It holds something else, or records of another version of MLflow.
        MissingDependencyError: MLflow is not installed.
    """
    _ping(url)
    # Both have to be set before MLflow is imported: no usage reports over the network, no log handlers of its own.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    try:
        from mlflow import MlflowClient
    except ImportError as e:
        raise MissingDependencyError("The model registry needs MLflow.", hint="pip install mlflow") from e

    address = _with_driver(url)
    with folder_lock(lock_folder), reading_errors(url):
        _make_whole(address)
        return MlflowClient(tracking_uri=address, registry_uri=address)


def _make_whole(address: str) -> None:
    """Make a new SQLite database beside its place and move it there: one whose migrations are cut short is no use."""
    from mlflow import MlflowClient
    from sqlalchemy.engine import make_url

    place = make_url(address)
    if not place.drivername.startswith("sqlite") or place.database in (None, "", ":memory:"):
        return
    path = Path(str(place.database)).absolute()
    if path.exists() and path.stat().st_size:
        return
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")  # MLflow remembers those that it has opened
    drafted = str(place.set(database=str(draft)))
    try:
        MlflowClient(tracking_uri=drafted, registry_uri=drafted)
        with replacing(path) as whole:
            shutil.copyfile(draft, whole)
    except OSError as e:
        raise StoreError(f"The model registry {_shown(address)} cannot be made: {e.strerror or e}.") from e
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def reading_errors(url: str) -> Iterator[None]:
    """Say MLflow's failures in Omniforge's words.

    Raises:
        StoreUnavailableError: The database did not answer in time; another try can help.
        StoreError: It refused.
    """
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as e:
        message = f"The model registry {_shown(url)} failed: {str(e).splitlines()[0][:300]}"
        if e.error_code == "TEMPORARILY_UNAVAILABLE":
            raise StoreUnavailableError(message) from e
        hint = f"Run: mlflow db upgrade {_shown(url)}" if "out-of-date database schema" in str(e) else None
        raise StoreError(message, hint=hint) from e
    except (SQLAlchemyError, CommandError) as e:
        raise StoreError(f"The model registry {_shown(url)} failed: {str(e).splitlines()[0][:300]}") from e


def _ping(url: str) -> None:
    """Connect once: MLflow itself would try again for three minutes before it says that nothing answers."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

    try:
        is_sqlite = url.startswith("sqlite")
        engine = create_engine(
            _with_driver(url), connect_args={} if is_sqlite else {"connect_timeout": _CONNECT_TIMEOUT_S}
        )
        if is_sqlite and engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    except (ArgumentError, NoSuchModuleError, OSError, ValueError) as e:
        raise SpecError(f"Registry URL {_shown(url)!r} cannot be used: {str(e).splitlines()[0]}") from e
    except ImportError as e:
        raise MissingDependencyError(
            f"The driver of the registry URL {_shown(url)!r} is not installed.",
            hint="pip install 'omniforge[postgres]'",
        ) from e
    try:
        engine.connect().close()
    except DatabaseError as e:
        reason = str(e.orig).splitlines()[0]
        raise StoreUnavailableError(f"The model registry {_shown(url)} does not answer: {reason}.") from e
    finally:
        engine.dispose()


def _with_driver(url: str) -> str:
    """Name the PostgreSQL driver that is installed; SQLAlchemy's default is another one."""
    return "postgresql+psycopg" + url.removeprefix("postgresql") if url.startswith("postgresql://") else url


def _shown(url: str) -> str:
    """Return the URL without a password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url

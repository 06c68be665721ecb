from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omniforge.errors import SpecError, StoreError, StoreUnavailableError
from omniforge.models.tracking import connect, reading_errors

MAKE = "import sys, pathlib; from omniforge.models.tracking import connect; connect(sys.argv[1], pathlib.Path(sys.argv[2]))"


def test_a_server_that_does_not_answer_is_said_soon(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="does not answer") as caught:
        connect("postgresql://someone:secret@127.0.0.1:9/registry", tmp_path)
    assert time.monotonic() - started < 20
    assert "secret" not in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize("url", ["sqlite:", "postgresql://host:port/name", "sqlite+nodriver:///x.db"])
def test_a_malformed_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="URL"):
        connect(url, tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is not a database, it is a text, and a rather long one at that" * 20)
    with pytest.raises(StoreError, match="not a database"):
        connect(f"sqlite:///{tmp_path / 'x.db'}", tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="cannot be used"):
        connect(f"sqlite:///{tmp_path / 'file' / 'x.db'}", tmp_path)


def test_a_new_database_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.db"
    maker = subprocess.Popen([sys.executable, "-c", MAKE, f"sqlite:///{path}", str(tmp_path)])
    deadline = time.monotonic() + 60
    while not (drafts := list(path.parent.glob(".x.db.*.draft"))) or drafts[0].stat().st_size == 0:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    maker.kill()  # in the middle of MLflow's migrations
    maker.wait()
    assert not path.exists() or path.stat().st_size == 0
    connect(f"sqlite:///{path}", tmp_path).search_registered_models()
    assert [file.name for file in path.parent.iterdir()] == ["x.db"]


def test_records_of_another_mlflow_are_refused_with_the_command(registry_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    path.write_bytes(registry_template.read_bytes())
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(StoreError, match="mlflow db upgrade"):
        connect(f"sqlite:///{path}", tmp_path)


def test_a_refusal_of_mlflow_is_a_store_error(tmp_path: Path) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(StoreError, match="no such thing"), reading_errors("sqlite:///x.db"):
        raise MlflowException("no such thing\nand more")
    with pytest.raises(StoreUnavailableError), reading_errors("sqlite:///x.db"):
        raise MlflowException("locked", error_code=2)  # TEMPORARILY_UNAVAILABLE

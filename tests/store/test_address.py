"""Store URLs: understood, refused with the reason, shown without their password."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.errors import SpecError
from omniforge.store.address import parse_address


def test_an_sqlite_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    address = parse_address("sqlite:///some/store.db")
    assert address.path == tmp_path / "some" / "store.db"
    assert address.shown == f"sqlite:///{tmp_path}/some/store.db"
    assert address.url.database == str(address.path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_has_several_names_and_one_driver(scheme: str) -> None:
    address = parse_address(f"{scheme}://me:s3cret@db.example:5433/work")
    assert (address.kind, address.url.drivername, address.path) == ("postgresql", "postgresql+psycopg", None)
    assert address.url.password == "s3cret"


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:s3cret@db/work", "postgresql://db/work?user=me&password=s3cret", "postgres://:s3cret@/x?host=/s"],
)
def test_the_password_is_never_shown(url: str) -> None:
    address = parse_address(url)
    assert "s3cret" not in address.shown
    assert "***" in address.shown
    assert address.hide("the server said: s3cret!") == "the server said: ***!"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://root@localhost/x", "'mysql'"),
        ("postgresql+asyncpg://db/x", r"postgresql\+asyncpg"),
        ("store.db", "not a URL"),
        ("postgresql://db:port/x", "not a URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:////", "the folder /"),
    ],
)
def test_other_urls_are_refused_with_what_is_expected(url: str, reason: str) -> None:
    with pytest.raises(SpecError, match=reason) as caught:
        parse_address(url)
    assert "sqlite:///" in str(caught.value.hint)
    assert caught.value.exit_code == 2


def test_a_url_that_does_not_parse_is_not_shown() -> None:
    with pytest.raises(SpecError) as caught:
        parse_address("s3cret@nowhere")
    assert "s3cret" not in str(caught.value)

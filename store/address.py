"""Where a store is: the URL, checked and taken apart. It connects to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from ..errors import SpecError

_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
_EXPECTED = "Use sqlite:///PATH/TO/FILE.db or postgresql://USER:PASSWORD@HOST:PORT/DATABASE."


@dataclass(frozen=True)
class Address:
    """A store's place.

    Attributes:
        kind: ``"sqlite"`` or ``"postgresql"``.
        url: What the driver is given; of SQLite with an absolute path.
        shown: The same with the password masked, for messages and logs.
        path: The database file of SQLite, absolute.
    """

    kind: str
    url: sa.URL
    shown: str
    path: Path | None

    def hide(self, text: str) -> str:
        """Return ``text`` without the password."""
        secrets = [self.url.password, *_passwords_in_query(self.url)]
        for secret in filter(None, secrets):
            text = text.replace(str(secret), "***")
        return text


def parse_address(url: str) -> Address:
    """Take a store URL apart.

    Raises:
        SpecError: It is not a URL, or of a database that the store does not know.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as e:
        # The text is not shown: what does not parse may still hold a password.
        raise SpecError("The store URL is not a URL.", hint=_EXPECTED) from e
    if parsed.drivername in _SQLITE:
        return _sqlite_address(parsed)
    if parsed.drivername in _POSTGRES:
        target = parsed.set(drivername="postgresql+psycopg")
        return Address("postgresql", target, _masked(parsed), None)
    raise SpecError(f"The store URL is of {parsed.drivername!r}; expected sqlite or postgresql.", hint=_EXPECTED)


def _sqlite_address(parsed: sa.URL) -> Address:
    name = parsed.database
    if not name or name == ":memory:" or name.startswith("file:"):
        raise SpecError(
            "The store URL names no file; a store is shared by processes, so it cannot live in memory.",
            hint="Use sqlite:///PATH/TO/FILE.db.",
        )
    path = Path(name).expanduser().absolute()
    if path.is_dir():
        raise SpecError(
            f"The store URL names the folder {path}; expected a file.", hint=f"Use sqlite:///{path}/omniforge.db."
        )
    target = sa.URL.create("sqlite", database=str(path), query=parsed.query)
    return Address("sqlite", target, f"sqlite:///{path}", path)


def _passwords_in_query(url: sa.URL) -> list[str]:
    value = url.query.get("password", ())
    return [value] if isinstance(value, str) else list(value)


def _masked(url: sa.URL) -> str:
    if "password" in url.query:
        url = url.update_query_dict({"password": "***"})
    # The stars of the query come out encoded.
    return url.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")

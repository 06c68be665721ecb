from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.errors import SpecError
from omniforge.sidecar.device.tokens import Token, make_token, read_token


def test_a_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "token"
    token = make_token(path)
    assert len(token) > 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert make_token(path) == read_token(path) == token
    assert make_token(tmp_path / "other") != token


def test_a_file_that_others_can_read_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "token"
    path.write_text("  a-token-of-our-own \n")
    path.chmod(0o644)
    assert make_token(path) == "a-token-of-our-own"
    assert "chmod 600" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"two words that are long",
        "ünïcödé-token-that-is-long".encode(),
        b"\xff" * 20,
        b"a" * 20 + b"\n" + b"b" * 20,
    ],
)
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SpecError, match="token") as caught:
        make_token(path)
    assert "again" in str(caught.value.hint)
    assert "long" not in str(caught.value)
    assert "aaaa" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read") as caught:
        read_token(tmp_path / "none")
    assert "prints at its start" in str(caught.value.hint)
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match="cannot be written"):
        make_token(tmp_path / "file" / "token")


def test_only_the_right_token_matches() -> None:
    token = Token("the-right-one-of-all")
    assert token.matches("the-right-one-of-all") is True
    for wrong in ("", "the-right-one-of-al", "the-right-one-of-all ", "\udcff"):
        assert token.matches(wrong) is None

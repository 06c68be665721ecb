from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from omniforge.errors import LaunchError, MissingDependencyError
from omniforge.sidecar.device.certificates import fingerprint, self_signed

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@needs_openssl
def test_it_is_made_once_and_the_key_is_its_owners(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, host="0.0.0.0")
    assert key.stat().st_mode & 0o777 == 0o600
    before = certificate.read_bytes()
    assert self_signed(tmp_path, host="0.0.0.0") == (certificate, key)
    assert certificate.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"certificate.pem", "key.pem"}


@needs_openssl
def test_the_fingerprint_is_the_one_that_openssl_tells(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path, host="pi.lan")
    command = ["openssl", "x509", "-in", str(certificate), "-noout", "-fingerprint", "-sha256", "-text"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert fingerprint(certificate.read_text()) in said.replace(":", "").lower()
    assert "DNS:pi.lan" in said
    assert "IP Address:127.0.0.1" in said


@needs_openssl
def test_a_strict_client_trusts_it(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, host="127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=str(certificate))
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    ends = socket.socketpair()
    thread = threading.Thread(target=lambda: server.wrap_socket(ends[0], server_side=True))
    thread.start()
    with client.wrap_socket(ends[1], server_hostname="127.0.0.1") as line:
        assert line.version() == "TLSv1.3"
    thread.join(10)


def test_without_openssl_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="openssl") as caught:
        self_signed(tmp_path, host="127.0.0.1")
    assert "apt-get install openssl" in str(caught.value.hint)


@needs_openssl
def test_what_openssl_refuses_is_said(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="openssl could not make a certificate"):
        self_signed(tmp_path, host="no,such:thing")


def test_what_is_no_certificate_has_no_fingerprint() -> None:
    with pytest.raises(ValueError, match="PEM"):
        fingerprint("nonsense")

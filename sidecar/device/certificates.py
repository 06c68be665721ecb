"""A certificate that a device makes for itself, and the fingerprint by which a person knows it again."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import socket
import ssl
import subprocess
from pathlib import Path

from ...errors import LaunchError, MissingDependencyError

_DAYS = 3650
_MAKE_S = 60.0


def self_signed(folder: Path, *, host: str) -> tuple[Path, Path]:
    """Return the files with the device's own certificate and its key; they are made by ``openssl`` if they are missing.

    Args:
        folder: Where they are, or go to.
        host: The address that the agent listens on; the certificate is for it, this machine's names and loopback.

    Raises:
        MissingDependencyError: There is no ``openssl``.
        LaunchError: It failed.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if certificate.exists() and key.exists():
        return certificate, key
    folder.mkdir(parents=True, exist_ok=True)
    new_key = folder / ".key.pem"
    new_key.unlink(missing_ok=True)
    os.close(
        os.open(new_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    )  # openssl keeps the mode of a file that is there
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", str(_DAYS), "-subj", "/CN=omniforge device", "-addext", f"subjectAltName={_names(host)}"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-addext", "extendedKeyUsage=serverAuth"]
    try:
        subprocess.run(
            [*command, "-keyout", str(new_key), "-out", str(certificate)],
            check=True,
            capture_output=True,
            text=True,
            timeout=_MAKE_S,
        )
    except FileNotFoundError:
        hint = "apt-get install openssl, or give a certificate of your own: --tls-cert FILE --tls-key FILE"
        raise MissingDependencyError("openssl is needed to make a certificate.", hint=hint) from None
    except subprocess.SubprocessError as e:
        said = str(getattr(e, "stderr", "") or e).strip()[-500:]
        raise LaunchError(f"openssl could not make a certificate: {said}") from e
    new_key.replace(key)
    return certificate, key


def fingerprint(pem: str) -> str:
    """Return the SHA-256 of a certificate, in hexadecimal, as ``openssl x509 -fingerprint -sha256`` does without colons.

    Args:
        pem: The certificate; the first one if there are several.

    Raises:
        ValueError: It is no certificate.
    """
    end = "-----END CERTIFICATE-----"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[: pem.find(end) + len(end)].strip())).hexdigest()


def _names(host: str) -> str:
    """Return the names and addresses that the certificate is for, as openssl wants them."""
    own = socket.gethostname()
    names = {"localhost", own, f"{own}.local", socket.getfqdn()}
    addresses = {"127.0.0.1", "::1"}
    candidates = [host]
    with contextlib.suppress(OSError):
        candidates += [str(info[4][0]) for info in socket.getaddrinfo(own, None)]
    for candidate in candidates:
        try:
            address = ipaddress.ip_address(candidate.partition("%")[0])
        except ValueError:
            names.add(candidate)
        else:
            if not address.is_unspecified:
                addresses.add(str(address))
    return ",".join([*(f"DNS:{name}" for name in sorted(names) if name), *(f"IP:{one}" for one in sorted(addresses))])

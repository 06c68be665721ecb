"""The line to a device agent: requests that are sent again while the device cannot be reached, and what its refusals mean."""

from __future__ import annotations

import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from ...deploy.devices import Device
from ...errors import OmniForgeError, SpecError
from ..messages import ErrorMessage

_TRY_AGAIN = {408, 502, 503, 504}
_BUSY = 429
_NO_ROOM = 507
_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 2.0
_CONNECT_S = 5.0
ANSWER_S = 15.0
"""How long an answer may take, in seconds, beyond what was asked for: then the device counts as away."""

_log = logging.getLogger(__name__)


class DeviceError(OmniForgeError, RuntimeError):
    """A device refuses, for a reason that no model is to blame for.

    Args:
        message: What it said.
        hint: What to do about it.
        status: The HTTP status, if there is one.
    """

    def __init__(self, message: str, *, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class DeviceLostError(DeviceError, ConnectionError):
    """A device does not answer, for longer than its client is patient; it may come back."""

    retryable = True


class Connection:
    """Send requests to one device. Proxies and other network settings of the environment are ignored.

    Args:
        device: The device, with the address of its agent.
        patience_s: How long the device may be away, in seconds, from the first request that it does not answer.

    Raises:
        SpecError: The device has no agent, or its certificate cannot be read.
    """

    def __init__(self, device: Device, *, patience_s: float) -> None:
        if device.url is None or device.is_bare:
            what = "this machine" if device.url is None else f"a bare TVM server at {device.url}"
            raise SpecError(
                f"The device {device.name!r} is {what}: it has no agent.",
                hint="Measure there with omniforge.deploy.measure; a bare TVM server is for the runtime 'tvm'.",
            )
        self.name = device.name
        self.url = device.url.rstrip("/")
        self._patience_s = patience_s
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {device.token}"} if device.token else {},
            timeout=httpx.Timeout(ANSWER_S, connect=_CONNECT_S),
            trust_env=False,
            verify=_trust(device),
        )

    def request(self, method: str, path: str, *, timeout_s: float = ANSWER_S, **rest: Any) -> httpx.Response:
        """Send a request until there is an answer that is final, and return it, also if it is a refusal.

        Args:
            method: The method; the request must be one that can be repeated.
            path: The path below ``/v1/``.
            timeout_s: How long an answer may take, in seconds.
            **rest: What ``httpx.Client.request`` takes.

        Raises:
            DeviceLostError: There was none in time.
            DeviceError: The token or the certificate is wrong.
        """
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
        return self.persist(lambda: self._http.request(method, f"v1/{path}", timeout=timeout, **rest))

    def persist(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Call ``send`` until there is an answer that is final.

        Args:
            send: Sends one request with :attr:`http`.

        Raises:
            DeviceLostError: There was none in time.
            DeviceError: The token or the certificate is wrong.
        """
        away_since: float | None = None
        delay_s = _FIRST_DELAY_S
        while True:
            cause: httpx.TransportError | None = None
            try:
                response = send()
            except httpx.TransportError as e:
                self._refuse_hopeless(e)
                said, cause = str(e) or type(e).__name__, e
            else:
                if response.status_code not in {*_TRY_AGAIN, _BUSY, _NO_ROOM}:
                    return self._of_friend(response)
                said = refusal(response)
            now = time.monotonic()
            away_since = now if away_since is None else away_since
            if cause is None and response.status_code == _BUSY:
                away_since = None  # it is there: waiting is not in vain
            elif now + delay_s - away_since > self._patience_s:
                raise self._lost(said, None if cause is not None else response.status_code) from cause
            _log.debug("Device %s: %s; trying again.", self.name, said)
            time.sleep(delay_s)
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)

    @property
    def http(self) -> httpx.Client:
        """What requests are sent with."""
        return self._http

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _lost(self, said: str, status: int | None) -> DeviceError:
        if status == _NO_ROOM:
            error = DeviceError(f"The device {self.name!r} has no room: {said}", status=status)
            error.retryable = True
            return error
        return DeviceLostError(
            f"The device {self.name!r} at {self.url} does not answer: {said}",
            hint="Is it on, connected, and `omniforge device serve` running there?",
            status=status,
        )

    def _refuse_hopeless(self, error: httpx.TransportError) -> None:
        """Raise what no repetition can mend.

        Raises:
            DeviceError: The certificate is not trusted, or the address is wrong.
        """
        tls = _ssl_error(error)
        if isinstance(tls, ssl.SSLCertVerificationError):
            raise DeviceError(
                f"The certificate of device {self.name!r} at {self.url} is not trusted: {tls.verify_message}.",
                hint="Add the device with --ca CERTIFICATE.pem, or with --fingerprint as the agent printed it.",
            ) from error
        if tls is not None and "WRONG_VERSION_NUMBER" in str(tls):
            raise DeviceError(
                f"The device {self.name!r} at {self.url} does not speak TLS.",
                hint="Its address begins with http://, or start its agent with --tls-self-signed.",
            ) from error
        if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
            raise DeviceError(f"The device {self.name!r} cannot be asked at {self.url}: {error}.") from error

    def _of_friend(self, response: httpx.Response) -> httpx.Response:
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise DeviceError(
                f"The device {self.name!r} at {self.url} does not take the token.",
                hint=f"Copy its token file here, then: omniforge device remove {self.name}; "
                f"omniforge device add {self.url} --name {self.name} --token-file FILE",
                status=response.status_code,
            )
        return response

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def refusal(response: httpx.Response) -> str:
    """Return what a refusal says.

    Args:
        response: The answer.
    """
    with contextlib.suppress(ValueError):
        return ErrorMessage.model_validate_json(response.content).detail
    return f"{response.status_code} {response.text[:500]}".strip()


def _trust(device: Device) -> ssl.SSLContext | bool:
    if not (device.url or "").startswith("https"):
        return False  # nothing to verify, and loading certificates takes long
    if device.ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=device.ca)
    except (OSError, ssl.SSLError) as e:
        raise SpecError(
            f"The certificate {device.ca} of device {device.name!r} cannot be read: {e}.", hint="Expected a PEM file."
        ) from e


def _ssl_error(error: BaseException) -> ssl.SSLError | None:
    """Return the failure of TLS that an error comes from."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None

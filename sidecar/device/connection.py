"""The line to a device agent: requests that are sent again while the device cannot be reached, and what its refusals mean."""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx

from ...deploy.devices import Device, clean_token
from ...deploy.runtimes.base import unusable
from ...errors import MeasurementError, OmniForgeError, SpecError
from ..messages import ErrorMessage

TRY_AGAIN = frozenset({408, 429, 502, 503, 504, 507})
"""The statuses that another request may not get."""

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 2.0
ANSWER_S = 15.0
"""How long an answer may take, in seconds, beyond what was asked for; less where patience ends before."""

QUEUE_S = 600.0
"""How long a device whose queue is full (status 429) is asked again, in seconds."""

_BUSY = 429
_BEHIND = 409
_NO_ROOM = 507
_CONNECT_S = 5.0
_LEAST_S = 0.05
_LOOK_S = 0.05  # how soon it is noticed that an answer is not wanted any more

_log = logging.getLogger(__name__)

Stopped = Callable[[], bool]
"""Says whether an answer is not wanted any more."""


def never() -> bool:
    """Want every answer."""
    return False


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

    Each request is sent in a thread of its own, so that one that hangs, be it in the lookup of a name, is given up when
    patience ends or when its answer is not wanted any more.

    Args:
        device: The device, with the address of its agent; where its name is that address, it has no name yet.
        patience_s: How long the device may be away, in seconds, from when the first request that it does not answer was
            sent.
        queue_s: How long it is asked again while its queue is full, in seconds.

    Raises:
        SpecError: The device has no agent, or its address, its token or its certificate cannot be used.
    """

    def __init__(self, device: Device, *, patience_s: float, queue_s: float = QUEUE_S) -> None:
        if device.url is None or device.is_bare:
            what = "this machine" if device.url is None else f"a bare TVM server at {device.url}"
            raise SpecError(
                f"The device {device.name!r} is {what}: it has no agent.",
                hint="Measure there with omniforge.deploy.measure; a bare TVM server is for the runtime 'tvm'.",
            )
        self.name = device.name
        self.url = device.url.rstrip("/")
        self.called = f"device at {self.url}" if self.name == self.url else f"device {self.name!r} at {self.url}"
        self.patience_s = patience_s
        self.queue_s = queue_s
        token = clean_token(device.token, of=f"of the {self.called}") if device.token else None
        self._lock = threading.Lock()
        self._under_way = 0
        self._closed = False
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=httpx.Timeout(ANSWER_S, connect=_CONNECT_S),
                trust_env=False,
                verify=_trust(device),
            )
        except httpx.InvalidURL as e:
            hint = "Expected https://HOST:PORT, as the agent prints it at its start."
            raise SpecError(f"The address of {self.called} cannot be used: {e}.", hint=hint) from e

    def ask(
        self, method: str, path: str, *, wait_s: float = 0.0, stopped: Stopped = never, allowed: int = 0, **rest: Any
    ) -> httpx.Response:
        """Send a request until there is an answer that is final, and return it if it is no refusal.

        Args:
            method: The method; the request must be one that can be repeated.
            path: The path below ``/v1/``.
            wait_s: How long the device was asked to wait before it answers, in seconds.
            stopped: Whether the answer is not wanted any more.
            allowed: The status of a refusal that is returned too.
            **rest: What ``httpx.Client.request`` takes.

        Raises:
            DeviceLostError: There was none in time.
            DeviceError: The device refuses.
            MeasurementError: What was sent is too large for it, or the answer is not wanted any more.
        """
        response = self.request(method, path, wait_s=wait_s, stopped=stopped, **rest)
        return response if response.status_code == allowed else self.accepted(response)

    def request(
        self, method: str, path: str, *, wait_s: float = 0.0, stopped: Stopped = never, **rest: Any
    ) -> httpx.Response:
        """Send a request until there is an answer that is final, and return it, also if it is a refusal.

        Args:
            method: The method; the request must be one that can be repeated.
            path: The path below ``/v1/``.
            wait_s: How long the device was asked to wait before it answers, in seconds.
            stopped: Whether the answer is not wanted any more.
            **rest: What ``httpx.Client.request`` takes.

        Raises:
            DeviceLostError: There was none in time.
            DeviceError: The token or the certificate is wrong, or the device's queue stays full.
            MeasurementError: The answer is not wanted any more.
        """
        due_s: float | None = None  # when the first answer that did not come should have begun to
        full_s: float | None = None  # when the queue was full for the first time
        delay_s = FIRST_DELAY_S
        while True:
            sent_s = time.monotonic()
            left_s = self.patience_s - (0.0 if due_s is None else sent_s - due_s)
            limit_s = wait_s + min(ANSWER_S, max(left_s, _LEAST_S))
            timeout = httpx.Timeout(limit_s, connect=min(_CONNECT_S, limit_s))
            send = partial(self._http.request, method, f"v1/{path}", timeout=timeout, **rest)
            response, cause = None, None
            try:
                response = self.attempt(send, limit_s=limit_s, stopped=stopped)
            except httpx.TransportError as e:
                said, cause = self.what_broke(e), e
            else:
                if response.status_code not in TRY_AGAIN:
                    return self.of_friend(response)
                said = refusal(response)
            now = time.monotonic()
            if response is not None and response.status_code == _BUSY:
                due_s = None  # it is there
                full_s = sent_s if full_s is None else full_s
            elif due_s is None:
                due_s = min(sent_s + wait_s, now)
            since_s, patience_s = (full_s or now, self.queue_s) if due_s is None else (due_s, self.patience_s)
            if now + delay_s - since_s > patience_s:
                raise self.lost(said, None if response is None else response.status_code) from cause
            _log.debug("Device %s: %s; trying again.", self.name, said)
            self.pause(delay_s, stopped=stopped)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    def attempt(
        self, send: Callable[[], httpx.Response], *, limit_s: float | None = None, stopped: Stopped = never
    ) -> httpx.Response:
        """Call ``send`` in a thread, and return its answer; the thread is left to itself when it takes too long.

        Args:
            send: Sends one request with :attr:`http`.
            limit_s: How long all of it may take, in seconds; ``None``: as long as it moves on.
            stopped: Whether the answer is not wanted any more.

        Raises:
            httpx.TransportError: The line broke, or there was no answer in time.
            MeasurementError: The answer is not wanted any more.
        """
        answer: Future[httpx.Response] = Future()

        def run() -> None:
            try:
                answer.set_result(send())
            except BaseException as e:  # noqa: BLE001  # the boundary of the thread: raised where it is waited for
                answer.set_exception(e)
            finally:
                self._leave()

        _check(stopped)
        deadline_s = None if limit_s is None else time.monotonic() + limit_s + _LEAST_S
        with self._lock:
            self._under_way += 1
        threading.Thread(target=run, name="omniforge-device-request", daemon=True).start()
        while not wait([answer], timeout=_LOOK_S).done:
            _check(stopped)
            if deadline_s is not None and time.monotonic() > deadline_s:
                raise httpx.ReadTimeout(f"no answer within {limit_s:.3g} s")
        _check(stopped)
        try:
            return answer.result()
        except httpx.DecodingError as e:
            raise self.no_agent() from e

    def pause(self, delay_s: float, *, stopped: Stopped = never) -> None:
        """Wait.

        Args:
            delay_s: How long, in seconds.
            stopped: Whether there is nothing to wait for any more.

        Raises:
            MeasurementError: There is nothing to wait for any more.
        """
        end_s = time.monotonic() + delay_s
        while (left_s := end_s - time.monotonic()) > 0:
            _check(stopped)
            time.sleep(min(left_s, _LOOK_S))

    @property
    def http(self) -> httpx.Client:
        """What requests are sent with."""
        return self._http

    def close(self) -> None:
        """Close the connection; a request that was given up closes it when it ends."""
        with self._lock:
            self._closed = True
            idle = not self._under_way
        if idle:
            self._http.close()

    def _leave(self) -> None:
        with self._lock:
            self._under_way -= 1
            last = self._closed and not self._under_way
        if last:
            self._http.close()

    def json(self, response: httpx.Response) -> dict[str, Any]:
        """Return what an answer holds.

        Args:
            response: The answer.

        Raises:
            DeviceError: It is not of a device agent.
        """
        try:
            content = response.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise self.no_agent()
        return content

    def accepted(self, response: httpx.Response) -> httpx.Response:
        """Return an answer that is no refusal.

        Args:
            response: The answer.

        Raises:
            MeasurementError: What was sent is too large.
            DeviceError: The device refuses.
        """
        if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            raise self.too_large(f"The device {self.name!r} refuses: {refusal(response)}")
        if response.is_success:
            return response
        raise DeviceError(
            f"The {self.called} refuses ({response.status_code}): {refusal(response)}",
            hint=f"Is there an omniforge device agent at {self.url}?",
            status=response.status_code,
        )

    def too_large(self, message: str) -> MeasurementError:
        """Return the error that a content is that the device does not take."""
        return unusable(message, hint="A smaller model, fewer rows, or --max-upload-mb where the device is served.")

    def no_agent(self) -> DeviceError:
        """Return the error that an answer is that no agent gives."""
        return DeviceError(
            f"What answers at {self.url} is no omniforge device agent.",
            hint="Is the address right, its port too? `omniforge device serve` prints it at its start (usually port 9870).",
        )

    def lost(self, said: str, status: int | None) -> DeviceError:
        """Return the error that a device is that was asked for long enough.

        Args:
            said: What it said, or what broke.
            status: The status of its last answer; ``None``: there was none.
        """
        reasons = {
            _NO_ROOM: ("has no room", "Try again later, or serve it with a larger --store-mb."),
            _BUSY: (
                f"has had a full queue for {self.queue_s:g} s",
                "Try again later, or serve it with a larger --max-queued.",
            ),
            _BEHIND: ("does not take an upload", "Does another client send the same? Try again, or restart its agent."),
        }
        if status in reasons:
            what, hint = reasons[status]
            error = DeviceError(f"The {self.called} {what}: {said}", hint=hint, status=status)
            error.retryable = True
            return error
        return DeviceLostError(
            f"The {self.called} does not answer: {said}",
            hint="Is it on, connected, and `omniforge device serve` running there?",
            status=status,
        )

    def what_broke(self, error: httpx.TransportError) -> str:
        """Return what happened to a line that another request may mend.

        Args:
            error: The failure.

        Raises:
            DeviceError: No repetition can mend it: the certificate is not trusted, or the address is wrong.
        """
        tls = _ssl_error(error)
        if isinstance(tls, ssl.SSLCertVerificationError):
            raise DeviceError(
                f"The certificate of {self.called} is not trusted: {tls.verify_message}.",
                hint="Add the device with --ca CERTIFICATE.pem, or with --fingerprint as the agent printed it.",
            ) from error
        if tls is not None and "WRONG_VERSION_NUMBER" in str(tls):
            raise DeviceError(
                f"The {self.called} does not speak TLS.",
                hint="Its address begins with http://, or start its agent with --tls-self-signed.",
            ) from error
        if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
            # Its text may quote a header, and the token with it.
            raise DeviceError(
                f"The {self.called} cannot be asked: the request is not one of HTTP.",
                hint=f"Remove it and add it again: omniforge device remove {self.name}; omniforge device add {self.url}",
            ) from None
        return str(error) or type(error).__name__

    def of_friend(self, response: httpx.Response) -> httpx.Response:
        """Return an answer to somebody whose token is right.

        Args:
            response: The answer.

        Raises:
            DeviceError: The token is wrong.
        """
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise DeviceError(
                f"The {self.called} does not take the token.",
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


def _check(stopped: Stopped) -> None:
    if stopped():
        raise MeasurementError("The measurement was cancelled.")


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

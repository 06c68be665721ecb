"""The gRPC server: Katib's suggestion service and the health check that Kubernetes probes. Not what it answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...errors import InputError, MissingDependencyError, SpecError
from ...search.strategy import strategy
from .messages import API, HEALTH, message, number
from .service import SuggestionService

log = logging.getLogger(__name__)

DEFAULT_PORT = 6789
_LARGEST_MESSAGE_BYTES = 256 * 1024 * 1024


class SuggestionServer:
    """Serve ``api.v1.beta1.Suggestion`` and ``grpc.health.v1.Health``; a context manager.

    There is no authentication, as Katib has none: bind it to an address that only Katib reaches.

    Args:
        host: The address to bind; ``0.0.0.0`` inside a pod.
        port: From 0 to 65535; 0 takes a free one.
        answer_within_s: See `SuggestionService`.
        threads: How many requests are answered at once, at least 1; Katib repeats those beyond.
        warm_up: Whether to load what the strategies need while nothing is asked yet.

    Raises:
        MissingDependencyError: gRPC is not installed.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        answer_within_s: float = 40.0,
        threads: int = 8,
        warm_up: bool = True,
    ) -> None:
        try:
            import grpc
        except ImportError as e:
            raise MissingDependencyError(
                "The Katib service needs gRPC, which is not installed.", hint="pip install 'omniforge[katib]'"
            ) from e
        self._host, self._wanted, self._warm_up = host, port, warm_up
        self._service = SuggestionService(answer_within_s=answer_within_s)
        self._stopping = threading.Event()
        self._free = threading.BoundedSemaphore(threads)  # of threads + 1: one is always left for the probes
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=threads + 1, thread_name_prefix="omniforge-grpc"),
            options=[("grpc.max_receive_message_length", _LARGEST_MESSAGE_BYTES), ("grpc.so_reuseport", 0)],
        )
        self._server.add_generic_rpc_handlers((self._suggestion_calls(), self._health_calls()))
        self.port = 0

    def start(self) -> int:
        """Bind and begin to answer.

        Returns:
            The port.

        Raises:
            SpecError: The address is in use, or is none of this machine's.
        """
        try:
            self.port = self._server.add_insecure_port(f"{self._host}:{self._wanted}")
        except RuntimeError:
            self.port = 0
        if not self.port:
            hint = "Give a free --port and a --host of this machine, or stop what listens there."
            raise SpecError(f"Cannot listen on {self._host}:{self._wanted}.", hint=hint)
        self._server.start()
        if self._warm_up:
            threading.Thread(target=strategy("auto").warm_up, name="omniforge-warm-up", daemon=True).start()
        return self.port

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended; say whether it has."""
        return not self._server.wait_for_termination(timeout_s)

    def stop(self, grace_s: float = 10.0) -> None:
        """Say that it no longer serves, answer what was asked within ``grace_s`` seconds, and end."""
        self._stopping.set()
        self._server.stop(grace_s).wait()
        self._service.close()

    def __enter__(self) -> SuggestionServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(grace_s=1.0)

    # -------------------------------------------------------------------------------------------------------- calls

    def _suggestion_calls(self) -> Any:
        import grpc

        def get_suggestions(request: Any, context: Any) -> Any:
            if not self._free.acquire(blocking=False):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests at once; ask again")
            try:
                return self._service.get_suggestions(request, time_left_s=context.time_remaining())
            finally:
                self._free.release()

        def validate(request: Any, _: Any) -> Any:
            return self._service.validate_algorithm_settings(request)

        calls = {
            "GetSuggestions": _call(get_suggestions, "GetSuggestions"),
            "ValidateAlgorithmSettings": _call(validate, "ValidateAlgorithmSettings"),
        }
        return _service(f"{API}.Suggestion", calls)

    def _health_calls(self) -> Any:
        import grpc

        def check(_: Any, __: Any) -> Any:
            state = "NOT_SERVING" if self._stopping.is_set() else "SERVING"
            return message("HealthCheckResponse")(status=number("HealthCheckResponse.ServingStatus", state))

        handler = grpc.unary_unary_rpc_method_handler(
            check,
            request_deserializer=message("HealthCheckRequest").FromString,
            response_serializer=message("HealthCheckResponse").SerializeToString,
        )
        return _service(f"{HEALTH}.Health", {"Check": handler})


def _service(name: str, calls: dict[str, Any]) -> Any:
    import grpc

    return grpc.method_handlers_generic_handler(name, calls)


def _call(answer: Callable[[Any, Any], Any], name: str) -> Any:
    """Return the handler of a call; errors become the status that Katib shows to people."""
    import grpc

    def handle(request: Any, context: Any) -> Any:
        try:
            return answer(request, context)
        except InputError as e:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(e))
        except Exception as e:
            if context.code() is None:  # not aborted on purpose: this is the edge of the process, and Katib asks again
                log.exception("%s failed", name)
                context.abort(grpc.StatusCode.INTERNAL, f"{type(e).__name__}: {e}")
            raise

    return grpc.unary_unary_rpc_method_handler(
        handle,
        request_deserializer=message(f"{name}Request").FromString,
        response_serializer=message(f"{name}Reply").SerializeToString,
    )

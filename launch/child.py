"""What a workload's process does: leave its server behind, take on its surroundings, call the entry, end with a cause.

``python -m omniforge.launch.child REQUEST_FD STATUS_FD`` does it in a fresh interpreter; a fork server does it in
every fork.
"""

from __future__ import annotations

import atexit
import faulthandler
import io
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from ..errors import LaunchError
from ..registry import resolve
from .processes import adopt_orphans, data_bytes, die_with_parent, flush_c_streams, volunteer_for_oom_kill

_THREAD_VARIABLE = "OMP_NUM_THREADS"
_SLACK_BYTES = 64 * 2**20
_SLACK_PER_CPU_BYTES = 16 * 2**20
_MESSAGE_CHARS = 2000


def detach(server_pid: int, log_fd: int, *, death_signal: signal.Signals) -> None:
    """Make a forked process the leader of its own session and group, with the log as its output.

    Signals that the server blocked for the fork are let through at the end: what was sent in between ends this process.

    Args:
        server_pid: The process that forked it; its death is this process's.
        log_fd: The open log.
        death_signal: What the kernel sends when the server dies.
    """
    os.setsid()
    die_with_parent(server_pid, death_signal)
    adopt_orphans()
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log_fd, 1), (log_fd, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(log_fd)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def execute(request: Mapping[str, Any], request_fd: int, status_fd: int) -> NoReturn:
    """Replace this process by a fresh interpreter that runs the workload."""
    arguments = [sys.executable, "-P", "-m", __name__, str(request_fd), str(status_fd)]
    try:
        os.chdir(request["cwd"])
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(sys.executable, arguments, dict(request["env"]))  # noqa: S606
    except OSError as e:
        _finish(_Ending.of(LaunchError(f"Workload {request['name']!r} could not be executed: {e}.")), status_fd)


def run_forked(request: Mapping[str, Any], status_fd: int, *, server_env: Mapping[str, str]) -> NoReturn:
    """Run the workload in this process, a fork of a warm server; does not return.

    Args:
        request: What the launcher asked for.
        status_fd: The pipe that takes the cause.
        server_env: The environment in which the loaded libraries were started.
    """
    try:
        os.chdir(request["cwd"])
        apply_environment(request["env"])
        match_threads(request["env"], server_env)
        reseed()
    except (OSError, ValueError) as e:
        _finish(_Ending.of(LaunchError(f"Workload {request['name']!r} could not be set up: {e}.")), status_fd)
    run(request, status_fd)


def run(request: Mapping[str, Any], status_fd: int) -> NoReturn:
    """Call the entry with the payload under the memory limit; does not return."""
    sys.path[:] = request["sys_path"]
    sys.argv[:] = [request["entry"]]
    line_buffer()
    faulthandler.enable(file=2)  # a crash in native code leaves the Python traceback in the log
    volunteer_for_oom_kill()
    limit_data(request["memory_bytes"])
    _finish(_call(request), status_fd)


def apply_environment(env: Mapping[str, str]) -> None:
    """Make the environment of this process exactly ``env``."""
    os.environ.clear()
    os.environ.update(env)
    time.tzset()


def match_threads(env: Mapping[str, str], loaded_env: Mapping[str, str]) -> None:
    """Give libraries that are loaded already as many threads as ``OMP_NUM_THREADS`` now asks for."""
    wanted = env.get(_THREAD_VARIABLE, "")
    if wanted == loaded_env.get(_THREAD_VARIABLE, "") or not {"numpy", "torch", "lightgbm"} & sys.modules.keys():
        return
    count = int(wanted) if wanted.isdigit() and int(wanted) > 0 else len(os.sched_getaffinity(0))
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def reseed() -> None:
    """Give this fork random numbers of its own; the standard library's ``random`` does so by itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(list(os.urandom(64)))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.default_generator.seed()


def limit_data(memory_bytes: int | None) -> None:
    """Have allocations fail that go far beyond the limit, so that Python can raise a MemoryError.

    RLIMIT_DATA counts address space, touched or not, thread stacks included. So what is mapped already and some room
    for threads is added, and the server's watcher enforces the limit itself. The hard limit stays: the room that it
    leaves is needed to report the failure.
    """
    if memory_bytes is None:
        return
    slack = _SLACK_BYTES + _SLACK_PER_CPU_BYTES * len(os.sched_getaffinity(0))
    wanted = data_bytes() + memory_bytes + slack
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def line_buffer() -> None:
    """Have Python's streams reach the log line by line, whatever the text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def forget_exit_callbacks() -> None:
    """Drop, in a server, the exit callbacks that preloaded modules registered, so that no fork inherits them.

    A callback that removes a temporary folder would take it away from every other fork. CPython's own multiprocessing
    clears them in the same way. What a workload registers itself is called at its end.
    """
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        finalizer.atexit = False
    atexit._clear()
    # It registers itself when the first finalizer is made, once: that was in the server.
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    atexit.register(logging.shutdown)


class _Ending:
    """How the entry ended: the exit code, and for a failure the cause and one line about it."""

    def __init__(self, code: int, cause: str | None = None, message: str | None = None) -> None:
        self.code = code
        self.cause = cause
        self.message = message

    @classmethod
    def of(cls, error: BaseException) -> _Ending:
        """Write the traceback to the log and name the cause."""
        trace = error.__traceback__.tb_next if error.__traceback__ is not None else None  # without _call's own frame
        with suppress(OSError):  # the log's disk is full: the owner has to hear why all the same
            traceback.print_exception(type(error), error, trace)
        from ..estimators.causes import OUT_OF_MEMORY, cause_of

        cause = OUT_OF_MEMORY if cause_of(error) == OUT_OF_MEMORY else "exception"
        first_line, _, _ = str(error).partition("\n")
        name = type(error).__name__
        return cls(1, cause, (f"{name}: {first_line}" if first_line else name)[:_MESSAGE_CHARS])


def _call(request: Mapping[str, Any]) -> _Ending:
    try:
        _entry(request["entry"])(request["payload"])
    except SystemExit as e:
        return _exit_code(e.code)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as an interpreter does: end by the signal, not by a code
        os.kill(os.getpid(), signal.SIGINT)
        return _Ending(128 + signal.SIGINT)
    except BaseException as e:  # noqa: BLE001  # the boundary of the process: log and owner get the cause
        _lift_data_limit()
        return _Ending.of(e)
    return _Ending(0)


def _entry(entry: str) -> Callable[[Any], object]:
    """Return the function that an entry names.

    Raises:
        LaunchError: It does not exist.
    """
    module = entry.partition(":")[0]
    try:
        return resolve(entry)
    except ModuleNotFoundError as e:
        if e.name is not None and f"{module}.".startswith(f"{e.name}."):
            raise LaunchError(
                f"Entry {entry!r} does not exist: there is no module {e.name!r}.",
                hint="The launching process's module path is searched; is the module's folder on it?",
            ) from e
        raise
    except ValueError as e:
        raise LaunchError(f"Entry {entry!r} does not exist: {e}") from e


def _exit_code(code: object) -> _Ending:
    if code is None or code == 0:
        return _Ending(0)
    if isinstance(code, int):
        return _Ending(code & 0xFF, "exception", f"It left with exit code {code & 0xFF}.")
    sys.stderr.write(f"{code}\n")
    return _Ending(1, "exception", str(code)[:_MESSAGE_CHARS])


def _lift_data_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _finish(ending: _Ending, status_fd: int) -> NoReturn:
    """End the process as an interpreter would, without taking apart the modules that it shares with its siblings."""
    code = ending.code
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are not daemons
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        flush_c_streams()
    except OSError:
        pass  # the log's disk is full: that does not undo what the workload did
    if ending.cause is not None:
        os.write(status_fd, json.dumps({"cause": ending.cause, "message": ending.message}).encode())
    os._exit(code)


def main() -> NoReturn:
    """Run the workload that is written to the file descriptor ``argv[1]``."""
    request_fd, status_fd = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(status_fd, False)
    with os.fdopen(request_fd, "rb") as file:
        file.seek(0)
        request = json.load(file)
    run(request, status_fd)


if __name__ == "__main__":
    main()

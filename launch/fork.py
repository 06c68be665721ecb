"""Workloads as forks of a warm server: what they import is loaded once, and starting one takes milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .local import LocalLauncher
from .owner import ServerOptions


class ForkLauncher(LocalLauncher):
    """Fork each workload from a server that has the modules loaded.

    The server starts at once and loads in the background; the first launch waits for it. In a process that was itself
    forked from such a server, it is a fork of that server, ready at once when everything is loaded there already.

    Modules to preload must not start threads, use a GPU or run parallel numerical code while they are imported: none of
    that survives a fork. Threads are found and warned about, by name of the module.

    Args:
        preload: Modules that the workloads need. One that cannot be imported is passed over with a warning.
        env: Environment variables for the server, on top of this process's own, set before anything is loaded. Give
            ``OMP_NUM_THREADS`` here when all workloads want the same: setting it for each costs some milliseconds more.
        log_path: The server's own log; by default in a private folder that is removed with it.
        grace_s: Seconds between SIGTERM and SIGKILL when a workload is ended.
        start_timeout_s: How long loading may take.

    Raises:
        LaunchError: The server could not be started.
    """

    def __init__(
        self,
        preload: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        log_path: Path | None = None,
        grace_s: float = 2.0,
        start_timeout_s: float = 120.0,
    ) -> None:
        super().__init__(
            ServerOptions(
                preload=tuple(preload),
                env=dict(env or {}),
                log_path=log_path,
                grace_s=grace_s,
                start_timeout_s=start_timeout_s,
            )
        )

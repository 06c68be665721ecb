"""Workloads in fresh interpreters: nothing is shared, everything is imported anew."""

from __future__ import annotations

from pathlib import Path

from .local import LocalLauncher
from .owner import ServerOptions


class ProcessLauncher(LocalLauncher):
    """Start each workload as ``python -m omniforge.launch.child``, under the same supervision as a fork.

    For entries whose imports do not bear a fork: they start threads, or they use a GPU while they are imported.

    Args:
        log_path: The supervising server's own log; by default in a private folder that is removed with it.
        grace_s: Seconds between SIGTERM and SIGKILL when a workload is ended.

    Raises:
        LaunchError: The server could not be started.
    """

    def __init__(self, *, log_path: Path | None = None, grace_s: float = 2.0) -> None:
        super().__init__(ServerOptions(fresh=True, log_path=log_path, grace_s=grace_s))

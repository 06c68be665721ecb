"""Two warm servers in a row: one that is ready soon, and one that takes its time to load more."""

from __future__ import annotations

import dataclasses
import logging
import threading

from ..errors import LaunchError
from .handle import ServedHandle
from .local import LocalLauncher
from .owner import SERVER_VARIABLE
from .workload import Launcher, Workload

_log = logging.getLogger(__name__)


class StagedLauncher(Launcher):
    """Launch from ``first`` until ``then`` has loaded its modules, and from ``then`` after that.

    What is launched takes ``then`` for its parent server in either case: a workload that makes a launcher of its own
    gets a fork of the server that has everything. Both launchers are closed with this one.

    Args:
        first: Loads little.
        then: Loads much; already started.
    """

    def __init__(self, first: LocalLauncher, then: LocalLauncher) -> None:
        self._first = first
        self._then = then
        self._loaded = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._await, name="omniforge-staged", daemon=True).start()

    def launch(self, workload: Workload) -> ServedHandle:
        """Start a workload; see :class:`Launcher`."""
        if self._loaded.is_set():
            return self._then.launch(workload)
        path = self._then.socket_path
        env = workload.env if path is None else {**workload.env, SERVER_VARIABLE: path}
        return self._first.launch(dataclasses.replace(workload, env=env))

    def close(self) -> None:
        """Close both; closing twice is fine."""
        self._closed.set()
        self._first.close()
        self._then.close()

    def _await(self) -> None:
        try:
            self._then.ready()
        except LaunchError as e:
            if not self._closed.is_set():
                _log.warning("The second launch server is not used: %s", e.message)
        else:
            self._loaded.set()

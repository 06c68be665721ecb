from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance.launcher_suite import LauncherSuite

from omniforge.launch import ProcessLauncher


class TestProcessLauncher(LauncherSuite):
    launcher_code = "ProcessLauncher(grace_s=0.5)"

    @pytest.fixture
    def launcher(self) -> Iterator[ProcessLauncher]:
        with ProcessLauncher(grace_s=0.5) as launcher:
            yield launcher

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from omniforge.search import strategies


def test_the_algorithms_are_listed(cli: Callable[..., Any]) -> None:
    assert json.loads(cli("katib", "algorithms", "--json").out) == [
        "omniforge",
        *(f"omniforge-{s}" for s in strategies()),
    ]
    assert "omniforge-auto\n" in cli("katib", "algorithms").out


def test_a_bad_port_is_bad_input(cli: Callable[..., Any]) -> None:
    assert cli("katib", "serve", "--port", "70000").code == 2


@pytest.mark.service
def test_it_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-c", "from omniforge.cli import main; main()", "katib", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}) as server:
        assert server.stderr is not None
        said = server.stderr.readline()
        assert re.search(r"on 127\.0\.0\.1:\d+", said), said
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
        assert "Stopping" in server.stderr.read()

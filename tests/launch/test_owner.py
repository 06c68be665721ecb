from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from conformance.launcher_suite import gone

from omniforge.errors import LaunchError
from omniforge.launch.owner import OwnedServer, ServerOptions


def test_it_starts_is_ready_and_ends(tmp_path: Path) -> None:
    server = OwnedServer(ServerOptions(("decimal",), log_path=tmp_path / "deep" / "server.log"))
    folder = Path(server.socket_path).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    server.wait_ready()
    server.wait_ready()
    assert not server.is_dead()
    assert server.pid is not None
    server.close()
    server.close()
    assert server.is_dead()
    assert gone(server.pid)
    assert not folder.exists()
    assert "Ready: 1 modules" in (tmp_path / "deep" / "server.log").read_text()


def test_a_server_that_dies_while_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly_module.py").write_text("import os\nos.write(2, b'last words\\n')\nos._exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    server = OwnedServer(ServerOptions(("deadly_module",)))
    with pytest.raises(LaunchError, match=r"did not start.*closed the connection") as caught:
        server.wait_ready()
    assert "last words" in str(caught.value.hint)
    assert server.is_dead()
    server.close()


def test_a_server_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_module.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    server = OwnedServer(ServerOptions(("slow_module",), start_timeout_s=0.3, grace_s=0.3))
    with pytest.raises(LaunchError, match=r"not ready within 0\.3 s"):
        server.wait_ready()
    began_s = time.monotonic()
    server.close()
    assert time.monotonic() - began_s < 3  # it was not waited for


def test_it_is_seen_to_be_dead() -> None:
    server = OwnedServer(ServerOptions())
    server.wait_ready()
    os.kill(server.pid or 0, signal.SIGKILL)
    assert server.is_dead(within_s=10.0)
    server.close()


def test_a_long_temporary_folder_is_avoided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    server = OwnedServer(ServerOptions())
    server.wait_ready()
    assert not server.socket_path.startswith(str(long))
    server.close()


def test_a_log_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="No launch server could be started"):
        OwnedServer(ServerOptions(log_path=tmp_path))

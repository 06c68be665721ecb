from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from omniforge.adapters.katib import SuggestionServer
from omniforge.adapters.katib.messages import message
from omniforge.errors import SpecError

FAST = {"algorithm": "omniforge-sobol"}


@pytest.fixture
def server() -> Iterator[SuggestionServer]:
    with SuggestionServer(port=0, warm_up=False) as started:
        yield started


def healthy(port: int, service: str = "manager.v1beta1.Suggestion") -> int:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=message("HealthCheckRequest").SerializeToString,
            response_deserializer=message("HealthCheckResponse").FromString,
        )
        return int(check(message("HealthCheckRequest")(service=service), timeout=30).status)


@pytest.mark.slow
@pytest.mark.service
def test_katibs_own_client_runs_an_experiment(server: SuggestionServer, katib: Callable[..., Any]) -> None:
    wanted = {"algorithm": "omniforge-auto", "initial": "4", "random_state": "0"}
    trials = katib("search", server.port, rounds=9, experiment=wanted)
    assert len(trials) == 3 + 2 * 8
    assert {t["condition"] for t in trials} == {"SUCCEEDED", "FAILED", "KILLED", "EARLYSTOPPED", "RUNNING"}
    for one in trials:
        found = one["assignments"]
        assert list(found) == ["--lr", "layers", "batch", "optimizer"]
        assert 1e-4 <= float(found["--lr"]) <= 1
        assert found["layers"] in ("1", "3", "5", "7", "9")
        assert found["batch"] in ("16", "32", "064")
    assert len({tuple(t["assignments"].values()) for t in trials}) == len(trials)
    assert max(t["value"] for t in trials) > 0.8


@pytest.mark.service
def test_the_same_experiment_gets_the_same_suggestions_from_a_new_server(katib: Callable[..., Any]) -> None:
    found = []
    for _ in range(2):
        with SuggestionServer(port=0, warm_up=False) as server:
            found.append(katib("search", server.port, rounds=4, experiment=FAST))
    assert found[0] == found[1]


@pytest.mark.service
def test_additional_metrics_become_objectives_when_they_are_named(
    server: SuggestionServer, katib: Callable[..., Any]
) -> None:
    wanted = FAST | {"objectives": "latency_ms:min<=5", "random_state": "3"}
    assert len(katib("search", server.port, rounds=3, experiment=wanted)) == 7


@pytest.mark.service
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"experiment": FAST}, ["OK", ""]),
        ({"experiment": {"algorithm": "omniforge-sobl"}}, "There is no algorithm 'omniforge-sobl'"),
        ({"experiment": {"algorithm": "omniforge-auto", "initial": "0"}}, "initial is 0"),
        ({"experiment": FAST | {"size": "3"}}, "no option 'size'"),
        ({"experiment": FAST | {"objectives": "loss:min"}}, "'loss', which is none of them"),
        ({"experiment": FAST, "min": "abc"}, "'--lr': min is 'abc'"),
        ({"experiment": FAST, "min": "-1"}, "LOG_UNIFORM and min is -1"),
    ],
)
def test_settings_are_validated(server: SuggestionServer, katib: Callable[..., Any], options: Any, said: Any) -> None:
    found = katib("validate", server.port, **options)
    if isinstance(said, list):
        assert found == said
    else:
        assert found[0] == "INVALID_ARGUMENT"
        assert said in found[1]


@pytest.mark.service
def test_a_slow_strategy_does_not_make_katib_wait(katib: Callable[..., Any]) -> None:
    with SuggestionServer(port=0, answer_within_s=0.001, warm_up=False) as server:
        assert katib("wait", server.port, experiment={"algorithm": "omniforge-auto"}, timeout_s=20) == [4, 4]


def test_kubernetes_finds_it_healthy_until_it_stops() -> None:
    server = SuggestionServer(port=0)
    port = server.start()
    assert healthy(port) == 1
    assert healthy(port, service="") == 1
    server._stopping.set()
    assert healthy(port) == 2
    server.stop(grace_s=0.1)
    assert server.wait(timeout_s=5)
    with pytest.raises(grpc.RpcError):
        healthy(port)


def test_a_port_in_use_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SpecError, match="Cannot listen on 127"):
            SuggestionServer(port=taken.getsockname()[1]).start()


def test_without_grpc_the_message_says_what_to_install() -> None:
    code = """
    import sys
    sys.modules["grpc"] = None
    from omniforge.adapters.katib import SuggestionServer
    try:
        SuggestionServer()
    except ImportError as e:
        print(type(e).__name__, e.hint)
    """
    printed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert printed.stdout.split() == ["MissingDependencyError", "pip", "install", "'omniforge[katib]'"]

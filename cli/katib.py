"""``omniforge katib serve|algorithms``: the search engine as a suggestion service of Katib."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from .console import err, out, print_json

app = typer.Typer(help="Serve the search engine to Katib.", no_args_is_help=True)


@app.command("serve")
def serve(
    host: Annotated[str, typer.Option("--host", help="The address to bind; 0.0.0.0 in a pod.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.", min=0, max=65535)] = 6789,
    answer_within: Annotated[
        float,
        typer.Option(
            "--answer-within", help="Seconds until random suggestions take the place of late ones.", min=0.1, max=59
        ),
    ] = 40.0,
) -> None:
    """Answer api.v1.beta1.Suggestion and grpc.health.v1.Health until it is told to stop (SIGTERM, Ctrl-C)."""
    from ..adapters.katib import SuggestionServer

    stopped = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stopped.set())
    server = SuggestionServer(host, port, answer_within_s=answer_within)
    err().print(f"Katib suggestions on {host}:{server.start()}")
    stopped.wait()
    err().print("Stopping.")
    server.stop()


@app.command("algorithms")
def algorithms(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the algorithms that an experiment can name."""
    from ..adapters.katib.algorithm import algorithm_names

    names = algorithm_names()
    if json:
        print_json(names)
    else:
        out().print("\n".join(names))

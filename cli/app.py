"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from . import bench, device, doctor, export, init, jobs, katib, predict, run, serve, space

app = typer.Typer(
    name="omniforge",
    help="Search for the model that is best where it will run.",
    epilog="Exit codes: 0 done, 1 the work failed, 2 what was given is wrong, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"omniforge {__version__}")
        raise typer.Exit


@app.callback()
def omniforge(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Search for the model that is best where it will run."""


app.add_typer(run.app, name="run")
app.add_typer(run.compile_app, name="compile")
app.add_typer(jobs.app, name="jobs")
app.add_typer(space.app, name="space")
app.add_typer(katib.app, name="katib")
app.add_typer(device.app, name="device")
app.command("bench")(bench.bench)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("serve", hidden=True)(serve.serve)
app.command("init")(init.init)
app.command("doctor")(doctor.doctor)

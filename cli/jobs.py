"""``omniforge jobs list|show|watch|resume|cancel|edit-space``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import interruptible, out, print_json

app = typer.Typer(help="See and steer the jobs.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobId = Annotated[str, typer.Argument(help="The job's id, as `omniforge jobs list` prints it.", metavar="ID")]


@app.command("list")
def list_jobs(
    limit: Annotated[int | None, typer.Option("--limit", "-n", help="At most so many, newest first.", min=1)] = None,
    json: Json = False,
) -> None:
    """List the jobs, newest first."""
    from ..client import Client

    found = Client().jobs(limit=limit)
    if json:
        print_json(found)
        return
    if not found:
        out().print("No jobs yet. Start one: omniforge run nocode --data FILE --target COL")
        return
    from .display import jobs_table

    out().print(jobs_table(found))


@app.command("show")
def show(job_id: JobId, json: Json = False) -> None:
    """Show one job: its state, its leaderboard, its model and report."""
    from ..client import Client
    from .display import show_job

    document = Client().show(job_id)
    if json:
        print_json(document)
    else:
        show_job(document)


@app.command("watch")
def watch(job_id: JobId, json: Json = False) -> None:
    """Follow a job until it has ended."""
    from ..client import Client
    from .display import progress, show_job

    client = Client()
    first = client.show(job_id)
    last: dict[str, Any] = first
    with progress(quiet=json, trials=None, budget_s=None) as on_update:
        for document in client.watch(job_id):
            on_update(document)
            last = document
    if json:
        print_json(last)
    else:
        show_job(last)


@app.command("resume")
def resume(job_id: JobId, json: Json = False, quiet: Annotated[bool, typer.Option("--quiet", "-q")] = False) -> None:
    """Go on with a job that was interrupted, cancelled or failed."""
    from ..client import Client
    from .display import finish, progress

    client = Client()
    with interruptible(), progress(quiet=quiet, trials=None, budget_s=None) as on_update:
        document = client.resume(job_id, on_update=on_update)
    finish(document, as_json=json, home=client.settings.home)
    if document["state"] != "succeeded":
        raise typer.Exit(1)


@app.command("cancel")
def cancel(job_id: JobId, json: Json = False) -> None:
    """Cancel a job; what it found is kept, and it can be resumed."""
    from ..client import Client

    document = Client().cancel(job_id)
    if json:
        print_json(document)
    else:
        out().print(f"Job {job_id} is cancelled. Go on with it later: omniforge jobs resume {job_id}")


@app.command("edit-space")
def edit_space(
    job_id: JobId,
    space: Annotated[
        Path | None, typer.Option("--space", help="The new space (YAML), such as the report suggests.", metavar="FILE")
    ] = None,
    changed: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one key, as YAML: rate.range=[0.1, 0.9].", metavar="PARAMETER.KEY=VALUE"),
    ] = None,
    removed: Annotated[
        list[str] | None,
        typer.Option("--remove", help="Take a parameter away: it keeps its default.", metavar="PARAMETER"),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Say what it would do, and do nothing.")] = False,
    json: Json = False,
) -> None:
    """Change the search space of a job while it runs; what was found is kept, and running tasks count."""
    from ..client import Client
    from ..errors import SpecError
    from .space import load, settings_of

    if space is None and not changed and not removed:
        hint = "Give --space FILE, --set PARAMETER.KEY=VALUE or --remove PARAMETER."
        raise SpecError("There is no change of the space.", hint=hint)
    document = Client().edit_space(
        job_id,
        None if space is None else load(space),
        changes=settings_of(changed or []),
        removed=removed or [],
        preview=preview,
    )
    if json:
        print_json(document)
        return
    for change in document["changes"] or ["No difference."]:
        out().print(change, markup=False)
    if document["changed"]:
        verb = "would become" if preview else "is now"
        out().print(f"The space of {job_id} {verb} version {document['version']}.", markup=False)
        done = document["kept"] + document["outside"]
        out().print(
            f"It has room for {document['kept']} of {done} finished tasks; the others wait until it is widened."
        )

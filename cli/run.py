"""``omniforge run nocode|hpo`` and ``omniforge compile nocode|hpo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import SpecError
from .console import err, interruptible, out, print_json

app = typer.Typer(help="Run a search to its end.", no_args_is_help=True)
compile_app = typer.Typer(help="Compile a pipeline for Kubeflow.", no_args_is_help=True)

Data = Annotated[
    Path, typer.Option("--data", help="CSV (.gz), Parquet or Arrow file; .npz for images.", metavar="FILE")
]
OwnData = Annotated[
    Path | None,
    typer.Option("--data", help="As for nocode; default: the estimator's own, if it brings any.", metavar="FILE"),
]
Target = Annotated[
    str | None, typer.Option("--target", help="The column to predict; in an .npz file the array (y).", metavar="COL")
]
Task = Annotated[str, typer.Option("--task", help="auto, classification or regression.")]
Objectives = Annotated[
    list[str] | None,
    typer.Option(
        "--objective",
        metavar="METRIC[:max|min][@DEVICE][<=BOUND]",
        help="Repeat for several; the first is the primary one. Quote it when it has a bound.",
    ),
]
Trials = Annotated[int, typer.Option("--trials", help="How many candidates to evaluate.", min=1)]
TimeBudget = Annotated[str | None, typer.Option("--time-budget", help="End the search after 90s, 10m, 1.5h.")]
Workers = Annotated[int | None, typer.Option("--workers", help="Candidates at once; default: the free cores.", min=1)]
Strategy = Annotated[
    str,
    typer.Option(
        "--strategy",
        help="A name (auto, bo, evolution, random, ...), a YAML file, or a mapping: '{bo: {acquisition: mes}}'.",
        metavar="NAME|FILE|MAPPING",
    ),
]
Space = Annotated[Path | None, typer.Option("--space", help="A search space (YAML) instead of the estimator's own.")]
Seed = Annotated[int, typer.Option("--seed", help="Of everything that is random.", min=0)]
Name = Annotated[str, typer.Option("--name", help="Names the job and the model family; default: the data file.")]
Wait = Annotated[str, typer.Option("--wait", help="adaptive, sync, quantile or async: how rounds wait for stragglers.")]
Stopping = Annotated[
    str,
    typer.Option(
        "--stopping", help="auto, median, learning-curve or none: when the training of a candidate is cut short."
    ),
]
Measure = Annotated[
    str, typer.Option("--measure", help="all or promising: which candidates the devices measure, after their training.")
]
Runtimes = Annotated[
    list[str] | None,
    typer.Option("--runtime", help="Measure the winner with this runtime too; repeat for several.", metavar="NAME"),
]
Tuning = Annotated[str, typer.Option("--tuning", help="How long TVM is tuned for the winner, with --runtime tvm.")]
TrialTimeout = Annotated[str | None, typer.Option("--trial-timeout", help="End a candidate after this long.")]
MemoryMb = Annotated[int | None, typer.Option("--memory-mb", help="Memory limit of one candidate, MiB.", min=64)]
Drop = Annotated[list[str] | None, typer.Option("--drop", help="Leave a column out; repeat for several.")]
Categorical = Annotated[list[str] | None, typer.Option("--categorical", help="Read a column as categories.")]
Delimiter = Annotated[str | None, typer.Option("--delimiter", help="Of a CSV file.")]
Json = Annotated[bool, typer.Option("--json", help="Print the job as JSON at the end; progress goes to stderr.")]
JsonResult = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="The YAML file to write.", metavar="FILE")]
Kubernetes = Annotated[bool, typer.Option("--kubernetes", help="Write a PipelineVersion resource.")]
Show = Annotated[bool, typer.Option("--show", help="Print the pipeline as a tree of its tasks.")]


@app.command("nocode")
def nocode(
    data: Data,
    target: Target = None,
    task: Task = "auto",
    objective: Objectives = None,
    trials: Trials = 50,
    time_budget: TimeBudget = None,
    workers: Workers = None,
    strategy: Strategy = "auto",
    space: Space = None,
    seed: Seed = 0,
    name: Name = "",
    wait: Wait = "adaptive",
    stopping: Stopping = "auto",
    measure: Measure = "all",
    runtime: Runtimes = None,
    tuning: Tuning = "2m",
    trial_timeout: TrialTimeout = None,
    memory_mb: MemoryMb = None,
    drop: Drop = None,
    categorical: Categorical = None,
    delimiter: Delimiter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring data: find, train, measure and register the best tabular model."""
    given = dict(locals())
    _run({**_spec(given), "kind": "nocode"}, as_json=json, quiet=quiet)


@app.command("hpo")
def hpo(
    estimator: Annotated[str, typer.Option("--estimator", help="An estimator bundle's folder.", metavar="BUNDLE_DIR")],
    data: OwnData = None,
    target: Target = None,
    task: Task = "auto",
    objective: Objectives = None,
    trials: Trials = 50,
    time_budget: TimeBudget = None,
    workers: Workers = None,
    strategy: Strategy = "auto",
    space: Space = None,
    seed: Seed = 0,
    name: Name = "",
    wait: Wait = "adaptive",
    stopping: Stopping = "auto",
    measure: Measure = "all",
    runtime: Runtimes = None,
    tuning: Tuning = "2m",
    trial_timeout: TrialTimeout = None,
    memory_mb: MemoryMb = None,
    drop: Drop = None,
    categorical: Categorical = None,
    delimiter: Delimiter = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring an estimator: it is tried, its defaults are scored, then its space is searched."""
    given = dict(locals())
    _run({**_spec(given), "kind": "hpo", "estimator": _bundle(estimator)}, as_json=json, quiet=quiet)


@compile_app.command("nocode")
def compile_nocode(
    output: Output = None, kubernetes: Kubernetes = False, show: Show = False, json: JsonResult = False
) -> None:
    """Write the NoCode pipeline as Kubeflow Pipelines reads it."""
    _compile("nocode", output, kubernetes=kubernetes, show=show, as_json=json)


@compile_app.command("hpo")
def compile_hpo(
    output: Output = None, kubernetes: Kubernetes = False, show: Show = False, json: JsonResult = False
) -> None:
    """Write the HPO pipeline as Kubeflow Pipelines reads it."""
    _compile("hpo", output, kubernetes=kubernetes, show=show, as_json=json)


def _compile(name: str, output: Path | None, *, kubernetes: bool, show: bool, as_json: bool) -> None:
    from ..pipelines import compile_pipeline, describe_pipeline
    from ..pipelines.run import COMPILED

    if output is None and not show:
        raise SpecError(
            "Nothing says what becomes of the pipeline.", hint="Give -o FILE to write it, --show to read it."
        )
    result = {"pipeline": name}
    if output is not None:
        compile_pipeline(name, output, kubernetes_manifest=kubernetes)
        result["path"] = str(output.absolute())
    if show:
        result["tree"] = describe_pipeline(COMPILED / f"{name}.yaml")
    if as_json:
        print_json(result)
        return
    if show:
        out().print(result["tree"], markup=False)
    if output is not None:
        upload = f"Upload it in the Kubeflow UI, or: kfp pipeline create {output}"
        out().print(f"Wrote {output}. {f'Next: kubectl apply -f {output}' if kubernetes else upload}", markup=False)


def _bundle(estimator: str) -> str:
    folder = Path(estimator)
    return str(folder.absolute()) if folder.exists() else estimator


def _spec(given: dict[str, Any]) -> dict[str, Any]:
    """Turn the options into the fields of a JobSpec."""
    from ..components.spec import parse_duration

    fields = {
        key: given[key]
        for key in (
            "target",
            "task",
            "trials",
            "workers",
            "strategy",
            "seed",
            "name",
            "wait",
            "stopping",
            "measure",
            "memory_mb",
            "delimiter",
        )
    }
    fields["strategy"] = _strategy(given["strategy"])
    space = given["space"]
    if space is not None:
        from ..search import SearchSpace

        if not space.is_file():
            raise SpecError(f"There is no search space file {str(space)!r}.")
        fields["space"] = SearchSpace.from_yaml(space).to_dict()
    return {
        **fields,
        "data": None if given["data"] is None else str(given["data"]),
        "objectives": tuple(given["objective"] or ()),
        "drop": tuple(given["drop"] or ()),
        "categorical": tuple(given["categorical"] or ()),
        "time_budget_s": parse_duration(given["time_budget"]),
        "trial_timeout_s": parse_duration(given["trial_timeout"], name="trial timeout"),
        "runtimes": tuple(given["runtime"] or ()),
        "tuning_s": parse_duration(given["tuning"], name="tuning budget"),
    }


def _strategy(written: str) -> str | dict[str, Any]:
    """Return a strategy's name, or the mapping that a file or the text itself holds.

    Raises:
        SpecError: The file cannot be read, or it is no YAML, or no name and no mapping.
    """
    path = Path(written)
    is_file = path.suffix in (".yaml", ".yml", ".json")
    if not is_file and not written.lstrip().startswith("{"):
        return written
    import yaml

    hint = "Write a name, or one name with its options: {bo: {acquisition: logei}}."
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8") if is_file else written)
    except OSError as e:
        raise SpecError(f"Cannot read the strategy {written!r}: {e.strerror}.", hint=hint) from e
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise SpecError(f"The strategy {written!r} is not YAML: {e}.", hint=hint) from e
    if not isinstance(content, str | dict):
        raise SpecError(f"The strategy {written!r} is neither a name nor a mapping.", hint=hint)
    return content


def _run(spec: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    from ..client import Client
    from ..components.spec import JobSpec
    from .display import finish, progress

    checked = JobSpec.parse({key: value for key, value in spec.items() if value is not None})
    client = Client()
    view = progress(quiet=quiet, trials=checked.trials, budget_s=checked.time_budget_s)
    with interruptible(), view as on_update:
        document = client.run(checked, on_update=on_update)
    finish(document, as_json=as_json, home=client.settings.home)
    if document["state"] != "succeeded":
        err().print(f"Job {document['id']} was {document['state']}. Go on with: omniforge jobs resume {document['id']}")
        raise typer.Exit(1)

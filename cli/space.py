"""``omniforge space validate|show|sample|diff``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SpaceError
from .console import out, print_json

if TYPE_CHECKING:
    from rich.tree import Tree

    from ..search import SearchSpace

app = typer.Typer(help="Check, see, sample and compare search spaces.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A search space (YAML), or an estimator bundle's folder.", metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load(path: Path) -> SearchSpace:
    """Read a space from a YAML file or from a bundle's folder.

    Raises:
        SpaceError: There is no such file, or it does not parse; with the line.
    """
    from ..search import SearchSpace

    if path.is_dir() or (path.name == "estimator.yaml" and path.is_file()):
        from ..estimators.bundle import load_bundle

        return load_bundle(str(path if path.is_dir() else path.parent)).space
    if not path.is_file():
        raise SpaceError(f"There is no search space file {str(path)!r}.")
    return SearchSpace.from_yaml(path)


def settings_of(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read ``PARAMETER.KEY=VALUE`` settings, values as YAML, into keys by parameter.

    Raises:
        SpaceError: A text has another form.
    """
    from ..search.space.document import read_yaml

    out: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        path, _, key = name.strip().rpartition(".")
        if not equals or not path:
            hint = "Write, for example: --set 'learning_rate.range=[0.001, 0.5]'"
            raise SpaceError(f"{text!r} does not say which key of which parameter changes.", hint=hint)
        out.setdefault(path, {})[key] = read_yaml(value).plain() if value.strip() else None
    return out


@app.command("validate")
def validate(file: File, json: Json = False) -> None:
    """Check a search space; errors name the line."""
    space = load(file)
    facts = {"valid": True, "parameters": len(space.parameters), "size": str(space.size()), "hash": space.hash}
    if json:
        print_json(facts)
    else:
        out().print(f"{file}: valid, {facts['parameters']} parameters, {_size(space)} configurations")


@app.command("show")
def show(file: File, json: Json = False) -> None:
    """Show a search space as a tree."""
    space = load(file)
    if json:
        print_json({"space": space.to_dict(), "hash": space.hash, "size": str(space.size())})
        return
    out().print(_tree(space, title=str(file)))


@app.command("sample")
def sample(
    file: File,
    count: Annotated[int, typer.Option("--count", "-n", help="How many configurations.", min=1)] = 1,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same configurations.", min=0)] = 0,
    json: Json = False,
) -> None:
    """Draw configurations uniformly over the conditional tree."""
    import numpy as np

    space = load(file)
    configs = space.sample_many(count, np.random.default_rng(seed))
    if json:
        print_json(configs)
        return
    import yaml

    out().print(yaml.safe_dump_all(configs, sort_keys=False).rstrip(), markup=False)


@app.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(help="The earlier space.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="The later space.", metavar="NEW")],
    json: Json = False,
) -> None:
    """Say what changed between two search spaces."""
    difference = load(old).diff(load(new))
    if json:
        print_json({"changed": bool(difference.changes), "changes": [str(change) for change in difference.changes]})
    else:
        out().print(str(difference) or "No difference.", markup=False)


def _tree(space: SearchSpace, *, title: str) -> Tree:
    """Return the declarations as a tree; what repeats under an int parent is shown once."""
    from rich.markup import escape
    from rich.tree import Tree

    root = Tree(f"[bold]{escape(title)}[/]  {_size(space)} configurations")
    nodes: dict[tuple[str, str], Tree] = {}
    for parameter in space.parameters.values():
        if (parameter.template, "") in nodes:
            continue
        above = root
        if parameter.parent is not None:
            parent = space.parameters[parameter.parent]
            above = nodes[(parent.template, "")]
            if parameter.index is not None:
                label = f"[dim]once for each of {escape(parent.name)}[/]"
            else:
                label = f"[green]{escape(str(parameter.branch))}[/]"
            if (parent.template, label) not in nodes:
                nodes[(parent.template, label)] = above.add(label)
            above = nodes[(parent.template, label)]
        described = ", ".join(f"{key} {value}" for key, value in parameter.declaration.own().items())
        nodes[(parameter.template, "")] = above.add(f"[bold]{escape(parameter.name)}[/]: {escape(described)}")
    return root


def _size(space: SearchSpace) -> str:
    size = space.size()
    return "infinitely many" if size == float("inf") else f"{size:,}"

"""``estimator.yaml``: its schema, and errors that say the line and the field. What a bundle *does* is in ``bundle``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import BundleError

FILE_NAME = "estimator.yaml"

_Cpu = Annotated[float, Field(gt=0)]
_MemoryMb = Annotated[int, Field(gt=0)]
_Count = Annotated[int, Field(ge=1)]
_CountOrNone = Annotated[int, Field(ge=0)]
_PositiveOrNone = Annotated[float, Field(gt=0)] | None
_EntryPoint = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
_Strict = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Fidelity:
    """How much training a candidate gets, as one number.

    Args:
        max: The full training; at least ``min``.
        min: The least that still says something.
        default: What a search uses when it does not vary it; ``None``: ``max``.
        unit: What is counted, for people: ``"epochs"``, ``"trees"``, ``"percent"``.
        name: The argument that carries it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _Strict

    max: _Count
    min: _Count = 1
    default: _Count | None = None
    unit: str = "epochs"
    name: Literal["run_epochs"] = "run_epochs"

    @property
    def default_value(self) -> int:
        """What a search uses when it does not vary the fidelity."""
        return self.max if self.default is None else self.default


@dataclass(frozen=True)
class Resources:
    """What one training needs."""

    __pydantic_config__: ClassVar[ConfigDict] = _Strict

    cpu: _Cpu = 1.0
    memory_mb: _MemoryMb = 1024
    gpu: _CountOrNone = 0
    time_limit_s: _PositiveOrNone = None


@dataclass(frozen=True)
class Inference:
    """What batch inference needs: how many devices, and the resources of each (OmniForce, section 3.2.2)."""

    __pydantic_config__: ClassVar[ConfigDict] = _Strict

    devices: _Count = 1
    cpu: _Cpu = 1.0
    memory_mb: _MemoryMb = 1024
    gpu: _CountOrNone = 0
    batch_rows: _Count = 4096


@dataclass(frozen=True)
class Deployment:
    """Where and with what the model is served, and how fast one sample should be (OmniForce, section 3.2.2)."""

    __pydantic_config__: ClassVar[ConfigDict] = _Strict

    devices: tuple[str, ...] = ("local",)
    cpu: _Cpu = 1.0
    memory_mb: _MemoryMb = 512
    gpu: _CountOrNone = 0
    latency_ms: _PositiveOrNone = None


@dataclass(frozen=True)
class Data:
    """What the estimator reads, and the data that it brings along.

    Args:
        reads: ``table``, ``tensor`` (images, sequences, tokens), or ``any``: it finds out itself.
        load: ``"module:function"`` in the bundle: it returns a data frame, or arrays by name as an ``.npz`` file of
            tensors has them; ``None``: the bundle brings no data.
        target: The column or array to predict of that data.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _Strict

    reads: Literal["table", "tensor", "any"] = "any"
    load: _EntryPoint | None = None
    target: str = "y"


class Manifest(BaseModel):
    """The fields of ``estimator.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?$")
    description: str = ""
    tasks: list[str] = Field(min_length=1)
    entry_point: _EntryPoint
    preload: list[str] = []
    space: Any
    metrics: dict[str, Literal["max", "min"]] = Field(min_length=1)
    primary: Any = None
    data: Data = Data()
    fidelity: Fidelity | None = None
    resources: Resources = Resources()
    inference: Inference = Inference()
    deployment: Deployment = Deployment()

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if not isinstance(self.space, str | dict) or not self.space:
            raise ValueError("space: expected the name of a YAML file in the bundle, or the parameters themselves")
        if self.primary is not None and not isinstance(self.primary, str | dict):
            raise ValueError(f"primary: expected a metric, or a metric by task, not {self.primary!r}")
        for metric in self.primary_by_task().values():
            if metric not in self.metrics:
                raise ValueError(f"primary: {metric!r} is not one of metrics ({', '.join(self.metrics)})")
        unknown = sorted(set(self.primary_by_task()) - set(self.tasks))
        if unknown:
            raise ValueError(f"primary: {unknown[0]!r} is not one of tasks ({', '.join(self.tasks)})")
        if self.fidelity and not self.fidelity.min <= self.fidelity.default_value <= self.fidelity.max:
            raise ValueError("fidelity: expected min <= default <= max")
        return self

    def primary_by_task(self) -> dict[str, str]:
        """The metric that each task optimizes by default."""
        if isinstance(self.primary, dict):
            return dict.fromkeys(self.tasks, next(iter(self.metrics))) | self.primary
        return {task: self.primary or next(iter(self.metrics)) for task in self.tasks}


def read_manifest(path: Path) -> Manifest:
    """Read and check an ``estimator.yaml``.

    Args:
        path: The file.

    Raises:
        BundleError: It cannot be read, is no YAML, or a field is missing, unknown or wrong; each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as e:
        raise BundleError(f"{path} cannot be read: {e}.") from e
    except yaml.YAMLError as e:
        raise BundleError(f"{path} is not YAML: {' '.join(str(e).split())}.") from e
    if not isinstance(content, dict) or not isinstance(root, yaml.MappingNode):
        raise BundleError(f"{path}: expected fields such as 'name: ...', not {type(content).__name__}.")
    problems = list(_duplicates(root))
    if not problems:
        try:
            return Manifest.model_validate(content)
        except ValidationError as e:
            problems = [_describe(error, root) for error in e.errors()]
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise BundleError(f"{path}: {count}.", hint="\n".join(problems))


def _duplicates(node: yaml.MappingNode) -> Iterator[str]:
    """Yield fields that stand twice on the top level: YAML itself lets the last one win without a word."""
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen:
            yield f"line {key.start_mark.line + 1}: field {key.value!r} stands twice."
        seen.add(key.value)


def _describe(error: Any, root: yaml.MappingNode) -> str:
    """Say one problem in one line: where, which field, what is wrong, what was expected."""
    location: tuple[str | int, ...] = error["loc"]
    field = ".".join(str(part) for part in location)
    where = f"line {_line(root, location)}: "
    if error["type"] == "missing":
        return f"{where}field {field!r} is missing."
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _known_fields(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."
        return f"{where}unknown field {field!r}; {hint}"
    message = error["msg"].removeprefix("Value error, ")
    if not location:
        return f"line {_line(root, (message.partition(':')[0],))}: {message}."
    return f"{where}field {field!r} = {error['input']!r}: {message[0].lower()}{message[1:]}."


def _known_fields(location: Sequence[str | int]) -> list[str]:
    """Return the fields that the part of the manifest at ``location`` knows."""
    parts: dict[str, type] = {
        "data": Data,
        "fidelity": Fidelity,
        "resources": Resources,
        "inference": Inference,
        "deployment": Deployment,
    }
    if not location:
        return list(Manifest.model_fields)
    return list(parts[str(location[0])].__dataclass_fields__) if location[0] in parts else []  # type: ignore[attr-defined]


def _line(root: yaml.Node, location: Sequence[str | int]) -> int:
    """Return the line (from 1) of the deepest part of ``location`` that stands in the file."""
    node, line = root, root.start_mark.line
    for part in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        elif isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
    return line + 1

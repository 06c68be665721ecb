"""What this runner cannot do, found in the compiled pipeline before anything starts.

A local run executes lightweight Python components in this environment. What needs a container (another image, a
command, an importer, a volume) belongs to a cluster, and a pipeline that has it is refused with the names of the
tasks; what only tunes a container (CPU and memory of the pod, node selectors, secrets) is logged and left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from ...errors import SpecError
from .condition import parse_condition
from .ir import Json, PipelineIR, PythonComponent, definitions_of, inputs_of, is_loop, tasks_of
from .values import placeholders

logger = logging.getLogger(__name__)

NAMES = frozenset(
    {
        "pipeline_job_name",
        "pipeline_job_resource_name",
        "pipeline_job_uuid",
        "pipeline_job_create_time_utc",
        "pipeline_job_schedule_time_utc",
        "pipeline_root",
        "pipeline_task_name",
        "pipeline_task_uuid",
    }
)
"""The placeholders ``{{$.NAME}}`` that have a meaning here."""

TIMEOUT = "activeDeadlineSeconds"
"""The one Kubernetes setting that is honoured: ``kfp.kubernetes.set_timeout``."""


def check_supported(ir: PipelineIR) -> None:
    """Refuse a pipeline that cannot run here, and log the settings that have no effect here.

    Raises:
        SpecError: It uses what this runner does not support; the message names every such task and feature.
    """
    problems = list(_root_problems(ir))
    for name, task, outer in ir.walk():
        problems += [f"task {name!r} {problem}" for problem in _task_problems(ir, task, outer)]
    if problems:
        raise SpecError(
            f"Pipeline {ir.name!r} cannot run locally: {'; '.join(problems)}.",
            hint="The local runner runs lightweight Python components in this environment; a cluster runs the rest.",
        )
    ignored = {label: sorted(set(settings) - {TIMEOUT}) for label, settings in ir.kubernetes.items()}
    for label, settings in sorted(ignored.items()):
        if settings:
            logger.warning(
                "%s: Kubernetes settings without effect in a local run: %s. Set the variables and paths that they "
                "provide in the environment of the run.",
                label.removeprefix("exec-"),
                ", ".join(settings),
            )


def _root_problems(ir: PipelineIR) -> Iterator[str]:
    if not tasks_of(ir.root):
        yield "it has no tasks"
    for name, definition in definitions_of(ir.root, kind="artifacts").items():
        if not definition.get("isOptional"):
            yield f"its parameter {name!r} is an artifact"


def _task_problems(ir: PipelineIR, task: Json, outer: Json) -> Iterator[str]:
    if task.get("componentRef", {}).get("name") not in ir.components:
        yield f"runs a component that is not in the document: {task.get('componentRef', {}).get('name')!r}"
        return
    component = ir.component(task)
    if "dag" not in component:
        if is_loop(task):
            yield "repeats a component that is not a DAG"
        yield from _executor_problems(ir, component)
    condition = task.get("triggerPolicy", {}).get("condition")
    if condition:
        try:
            parse_condition(condition)
        except SpecError as e:
            yield f"has a condition that cannot be evaluated: {e.message}"
    yield from _input_problems(task, outer)


def _executor_problems(ir: PipelineIR, component: Json) -> Iterator[str]:
    executor = ir.executors.get(ir.executor_label(component), {})
    if "importer" in executor:
        yield "imports an artifact (dsl.importer)"
    elif "container" not in executor:
        yield f"has no container to run but {', '.join(sorted(executor)) or 'nothing'}"
    else:
        python = ir.python_component(component)
        if python is not None:
            yield from _requirement_problems(python)
        elif any("kfp.dsl.executor_main" in part for part in executor["container"].get("command", ())):
            yield "is a containerized Python component (target_image)"
        else:
            yield "is a container component"


def _requirement_problems(python: PythonComponent) -> Iterator[str]:
    import importlib.metadata

    from packaging.requirements import InvalidRequirement, Requirement

    for text in python.requirements:
        try:
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue
            version = importlib.metadata.version(requirement.name)
        except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
            yield f"needs the package {text!r}, which is not installed here"
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            yield f"needs the package {text!r}, but {version} is installed here"


def _input_problems(task: Json, outer: Json) -> Iterator[str]:
    item = task.get("parameterIterator", task.get("artifactIterator", {})).get("itemInput")
    for kind, reference in (("parameters", "componentInputParameter"), ("artifacts", "componentInputArtifact")):
        known = definitions_of(outer, kind=kind)
        for name, source in inputs_of(task, kind).items():
            wanted = source.get(reference)
            if wanted is not None and wanted not in known and wanted != item:
                # kfp compiles a loop over static mappings inside dsl.ExitHandler to such a reference.
                yield f"reads {wanted!r} for its input {name!r}, which the pipeline around it does not have"
            unknown = placeholders(source.get("runtimeValue", {}).get("constant")) - NAMES
            if unknown:
                yield f"uses {', '.join(f'{{{{$.{other}}}}}' for other in sorted(unknown))} in its input {name!r}"

"""Compiles a pipeline to the one document that Kubeflow runs and :mod:`.local` runs: byte for byte the same every time.

kfp sorts what it writes, and a component's source is its text, so that neither the machine nor the folder shows in the
bytes; the one thing that differs from process to process, the numbers in the names of nested components, is made
canonical here. What does belong to the bytes: the version of kfp (``sdkVersion``) and the image (``OMNIFORGE_IMAGE``).
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..errors import SpecError
from .canonical import canonical

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

_SUFFIXES = (".yaml", ".yml")


class _Dumper(yaml.SafeDumper):
    """Writes what occurs twice twice, as kfp does."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def compile_pipeline(pipeline: str | GraphComponent, path: str | Path, *, kubernetes_manifest: bool = False) -> Path:
    """Compile a pipeline to a file; the file appears whole or not at all.

    Args:
        pipeline: A name in :data:`omniforge.pipelines.PIPELINES`, or a function decorated with ``kfp.dsl.pipeline``.
        path: The file to write, ``.yaml`` or ``.yml``; its folder is created if need be.
        kubernetes_manifest: Write a ``PipelineVersion`` resource, to be applied with ``kubectl``, instead of the plain
            pipeline.

    Returns:
        The file's path.

    Raises:
        SpecError: ``path`` has another suffix or is a folder, or ``pipeline`` is not a pipeline.
        UnknownNameError: There is no pipeline of that name.
    """
    target = Path(path).expanduser()
    if target.suffix not in _SUFFIXES:
        raise SpecError(f"Output file {str(path)!r} must end with .yaml.", hint=f"Try {target.with_suffix('.yaml')}.")
    if target.is_dir():
        raise SpecError(f"Output file {str(path)!r} is a folder.")
    component = _component(pipeline)
    from kfp.compiler import Compiler

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".compile-") as folder:
            written = Path(folder) / target.name
            Compiler().compile(component, str(written), kubernetes_manifest_format=kubernetes_manifest)
            _make_canonical(written)
            written.replace(target)
    except OSError as e:
        raise SpecError(f"Output file {str(path)!r} cannot be written: {e.strerror}.") from e
    return target


def _component(pipeline: str | GraphComponent) -> Any:
    if isinstance(pipeline, str):
        from . import PIPELINES

        return PIPELINES.get(pipeline)
    if not hasattr(pipeline, "pipeline_spec"):
        raise SpecError(
            f"{getattr(pipeline, '__name__', pipeline)!r} is not a pipeline.",
            hint="Decorate the function with @kfp.dsl.pipeline.",
        )
    return pipeline


def _make_canonical(path: Path) -> None:
    """Rewrite a compiled file with canonical names; one that has them already stays as kfp wrote it."""
    text = path.read_text(encoding="utf-8")
    documents = list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    first = documents[0]
    if first.get("kind") == "PipelineVersion":
        spec = dict(first["spec"])
        spec["pipelineSpec"], platform = canonical(spec["pipelineSpec"], spec.get("platformSpec", {}))
        if platform:
            spec["platformSpec"] = platform
        renamed = [{**first, "spec": spec}]
    else:
        pipeline, platform = canonical(first, documents[1] if len(documents) > 1 else {})
        renamed = [pipeline, platform] if platform else [pipeline]
    if renamed != documents:
        comments = "".join(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
        text = yaml.dump_all(renamed, Dumper=_Dumper, sort_keys=True)
        path.write_text(comments + text, encoding="utf-8")

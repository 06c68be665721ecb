"""The registry of models: MLflow keeps families, versions, aliases, metrics and lineage; a folder keeps the asset.

``artifacts_dir/<family>/<version>`` is the asset, written whole or not at all; MLflow's record points to it. MLflow is
imported when the registry is first used (a second), and a new database takes another 1.5 s of migrations: call
:meth:`ModelRegistry.prepare` early, in the background.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SpecError, StoreError, UnknownNameError
from .asset import read_asset, replace_folder, update_asset
from .folder_lock import folder_lock
from .tracking import connect, reading_errors
from .version import ModelName, ModelVersion, check_family

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as Record

EXPERIMENT = "omniforge"
DEFAULT_ALIAS = "champion"
_PREFIX = "omniforge."
_NUMBERING_TRIES = 5
_ORIGIN = ("job_id", "task_id")

_Versions = list[ModelVersion]  # inside of the class, "list" is a method


class ModelRegistry:
    """Families of models and their versions.

    Args:
        url: Where MLflow keeps its records: ``sqlite:///FILE`` or ``postgresql://...``.
        artifacts_dir: The folder of the assets.

    Raises:
        SpecError: ``url`` is of another kind.
    """

    def __init__(self, url: str, artifacts_dir: str | Path) -> None:
        if url.partition(":")[0].partition("+")[0] not in ("sqlite", "postgresql"):
            raise SpecError(
                f"Registry URL {url!r}: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE.",
                hint="MLflow no longer keeps records in a folder; sqlite:///registry.db does the same in one file.",
            )
        self.url = url
        self.artifacts_dir = Path(artifacts_dir).absolute()
        self._connected: MlflowClient | None = None

    def prepare(self) -> None:
        """Make the database if there is none; safe in many processes at once. It takes seconds the first time.

        Raises:
            StoreUnavailableError: The database does not answer.
        """
        self._client()

    def register(
        self,
        asset_dir: str | Path,
        *,
        family: str,
        metrics: Mapping[str, float] | None = None,
        lineage: Mapping[str, Any] | None = None,
        alias: str | None = DEFAULT_ALIAS,
        better_by: tuple[str, str] | None = None,
    ) -> ModelVersion:
        """Copy an asset into the registry as the next version of a family.

        The same job's model is registered once: if a version has the same ``job_id`` and ``task_id`` in its lineage, it
        is returned (and gets the alias).

        Args:
            asset_dir: The asset.
            family: The family; made if it is new.
            metrics: Value by name; ``None``: those of the asset.
            lineage: What the model comes from; ``None``: that of the asset.
            alias: The alias that is to point to this version; ``None``: none.
            better_by: ``(metric, "max" | "min")``: move the alias only if this version is better than the one that has
                it. ``None``: always move it.

        Raises:
            SpecError: ``family``, ``alias`` or ``better_by`` is not what is expected.
            StoreError: The asset is incomplete, or cannot be copied.
            StoreUnavailableError: The database does not answer.
        """
        check_family(family)
        _check_alias(alias, better_by)
        about = read_asset(asset_dir)
        metrics = {k: float(v) for k, v in (about["metrics"] if metrics is None else metrics).items()}
        lineage = dict(about["lineage"] if lineage is None else lineage)
        client = self._client()
        home = self.artifacts_dir / family
        with folder_lock(home), reading_errors(self.url):
            self._ensure_family(client, family, about)
            known = _same_origin(self._records(client, family), lineage)
            if known is None:
                run_id = self._log_run(client, family, metrics=metrics, lineage=lineage, about=about)
                tags = _tags(about["task"], metrics=metrics, lineage=lineage)
                changes = {"family": family, "metrics": metrics, "lineage": lineage}
                known = self._add_version(client, family, Path(asset_dir), run_id=run_id, tags=tags, changes=changes)
            if alias is not None and self._deserves(client, family, known, alias=alias, better_by=better_by):
                client.set_registered_model_alias(family, alias, str(known.version))
            return self._version(known, self._aliases(client, family))

    def resolve(self, name: str) -> ModelVersion:
        """Return the version that a name means.

        Args:
            name: ``family`` (its champion, else its newest version), ``family@alias`` or ``family/version``.

        Raises:
            SpecError: ``name`` is of another form.
            UnknownNameError: There is no such family, alias or version; the hint has the nearest ones.
            StoreError: The version's folder is gone.
            StoreUnavailableError: The database does not answer.
        """
        wanted = ModelName.parse(name)
        client = self._client()
        with reading_errors(self.url):
            records = self._records(client, wanted.family)
            if not records:
                raise UnknownNameError("model", wanted.family, self._families(client))
            aliases = self._aliases(client, wanted.family)
        found = _choose(wanted, [self._version(record, aliases) for record in records])
        if not found.path.is_dir():
            raise StoreError(
                f"The folder of model {found.name} is gone: {found.path}.",
                hint="Restore it from a copy, or use another version.",
            )
        return found

    def list(self, family: str | None = None) -> _Versions:
        """Return all versions, of one family or of all, newest first.

        Raises:
            UnknownNameError: There is no such family.
            StoreUnavailableError: The database does not answer.
        """
        client = self._client()
        with reading_errors(self.url):
            families = self._families(client)
            if family is not None and family not in families:
                raise UnknownNameError("model", family, families)
            wanted = families if family is None else [family]
            found = [
                self._version(record, aliases)
                for name in wanted
                for aliases in [self._aliases(client, name)]
                for record in self._records(client, name)
            ]
        return sorted(found, key=lambda v: (v.created_at or datetime.min.replace(tzinfo=UTC), v.version), reverse=True)

    def set_alias(self, name: str, alias: str) -> ModelVersion:
        """Let ``alias`` point to the version that ``name`` means, and to no other of its family.

        Raises:
            SpecError: ``alias`` cannot be an alias.
            UnknownNameError: There is no such version.
        """
        _check_alias(alias, None)
        version = self.resolve(name)
        client = self._client()
        with reading_errors(self.url):
            client.set_registered_model_alias(version.family, alias, str(version.version))
            aliases = self._aliases(client, version.family)
        return replace(version, aliases=_pointing_to(version.version, aliases))

    def _client(self) -> MlflowClient:
        if self._connected is None:
            self._connected = connect(self.url, self.artifacts_dir)
        return self._connected

    def _families(self, client: MlflowClient) -> Sequence[str]:
        return [model.name for model in _all_pages(client.search_registered_models)]

    def _records(self, client: MlflowClient, family: str) -> Sequence[Record]:
        """Return MLflow's records of a family's versions, newest first."""
        records = _all_pages(client.search_model_versions, filter_string=f"name='{family}'")
        return sorted(records, key=lambda record: int(record.version), reverse=True)

    def _aliases(self, client: MlflowClient, family: str) -> Mapping[str, int]:
        """Return the version that each alias of a family points to."""
        return {alias: int(version) for alias, version in client.get_registered_model(family).aliases.items()}

    def _ensure_family(self, client: MlflowClient, family: str, about: Mapping[str, Any]) -> None:
        if not client.search_registered_models(f"name='{family}'", max_results=1):
            client.create_registered_model(
                family, tags={f"{_PREFIX}task": str(about["task"]), f"{_PREFIX}target": str(about["target"])}
            )

    def _log_run(
        self,
        client: MlflowClient,
        family: str,
        *,
        metrics: Mapping[str, float],
        lineage: Mapping[str, Any],
        about: Mapping[str, Any],
    ) -> str:
        """Log metrics and lineage as an MLflow run, where its pages can compare them; return the run's id."""
        from mlflow.entities import Metric, Param, RunTag

        experiment = client.get_experiment_by_name(EXPERIMENT)
        experiment_id = (
            client.create_experiment(EXPERIMENT, artifact_location=self.artifacts_dir.as_uri())
            if experiment is None
            else experiment.experiment_id
        )
        run_id: str = client.create_run(experiment_id, run_name=family).info.run_id
        now_ms = int(time.time() * 1000)
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        client.log_batch(
            run_id,
            metrics=[Metric(_metric_name(name), value, now_ms, 0) for name, value in finite.items()],
            params=[Param(name, _text(value)[:6000]) for name, value in lineage.items()],
            tags=[RunTag(f"{_PREFIX}task", about["task"]), RunTag(f"{_PREFIX}target", about["target"])],
        )
        client.set_terminated(run_id)
        return run_id

    def _add_version(
        self,
        client: MlflowClient,
        family: str,
        asset_dir: Path,
        *,
        run_id: str,
        tags: Mapping[str, str],
        changes: Mapping[str, Any],
    ) -> Record:
        """Copy the asset to the next version's folder, then record it.

        A crash in between leaves a folder without a record, which the next registration replaces. MLflow counts deleted
        versions too: where the number it gives is not the expected one, the record is taken back and the next tried.
        """
        home = self.artifacts_dir / family
        number = max((int(record.version) for record in self._records(client, family)), default=0) + 1
        folder = Path()
        try:
            staged = _stage(asset_dir, home, changes=changes)
            for _ in range(_NUMBERING_TRIES):
                folder = home / str(number)
                replace_folder(staged, folder)
                record = client.create_model_version(family, source=folder.as_uri(), run_id=run_id, tags=dict(tags))
                if int(record.version) == number:
                    return record
                client.delete_model_version(family, str(record.version))
                staged, number = folder, int(record.version) + 1
        except OSError as e:
            raise StoreError(f"The model cannot be registered in {home}: {e.strerror or e}.") from e
        shutil.rmtree(folder, ignore_errors=True)
        raise StoreError(f"Another program registers versions of {family!r} at the same time.", hint="Try again.")

    def _deserves(
        self, client: MlflowClient, family: str, record: Record, *, alias: str, better_by: tuple[str, str] | None
    ) -> bool:
        """Say whether a version is to get an alias."""
        holder = self._aliases(client, family).get(alias)
        if better_by is None or holder is None or holder == int(record.version):
            return True
        metric, goal = better_by
        theirs = client.get_model_version(family, str(holder))
        mine, its = (json.loads(r.tags.get(f"{_PREFIX}metrics", "{}")).get(metric) for r in (record, theirs))
        if mine is None or its is None:
            return mine is not None
        return bool(mine > its if goal == "max" else mine < its)

    def _version(self, record: Record, aliases: Mapping[str, int]) -> ModelVersion:
        """Return MLflow's record as a value."""
        tags = record.tags
        return ModelVersion(
            family=record.name,
            version=int(record.version),
            path=self.artifacts_dir / record.name / str(record.version),
            aliases=_pointing_to(int(record.version), aliases),
            metrics=json.loads(tags.get(f"{_PREFIX}metrics", "{}")),
            lineage=json.loads(tags.get(f"{_PREFIX}lineage", "{}")),
            task=tags.get(f"{_PREFIX}task", ""),
            created_at=datetime.fromtimestamp(record.creation_timestamp / 1000, UTC),
        )


def _pointing_to(version: int, aliases: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(alias for alias, number in aliases.items() if number == version))


def _check_alias(alias: str | None, better_by: tuple[str, str] | None) -> None:
    if alias is not None:
        ModelName.parse(f"family@{alias}")
        if alias == "latest" or alias.removeprefix("v").isdigit():
            raise SpecError(f"Alias {alias!r}: a number or 'latest' cannot be an alias.", hint="For example champion.")
    if better_by is not None and better_by[1] not in ("max", "min"):
        raise SpecError(f"better_by = {better_by!r}: expected (metric, 'max') or (metric, 'min').")


def _all_pages(search: Callable[..., Any], **arguments: Any) -> list[Any]:
    """Return every result of one of MLflow's searches, which answer in pages."""
    found, token = [], None
    while True:
        page = search(**arguments, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _same_origin(records: Sequence[Record], lineage: Mapping[str, Any]) -> Record | None:
    """Return the version that the same task of the same job has made already."""
    if any(lineage.get(key) is None for key in _ORIGIN):
        return None
    for record in records:
        theirs = json.loads(record.tags.get(f"{_PREFIX}lineage", "{}"))
        if all(theirs.get(key) == lineage[key] for key in _ORIGIN):
            return record
    return None


def _metric_name(name: str) -> str:
    """Return a metric's name as MLflow takes it: ``latency_ms at kitchen-pi`` for ``latency_ms@kitchen-pi``."""
    return re.sub(r"[^\w. /:-]", "_", name.replace("@", " at "))


def _tags(task: str, *, metrics: Mapping[str, float], lineage: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a version: what is read back as JSON, and the lineage once more for people to search."""
    shown = {f"lineage.{name}": _text(value)[:500] for name, value in lineage.items()}
    return shown | {
        f"{_PREFIX}task": task,
        f"{_PREFIX}metrics": json.dumps(dict(metrics)),
        f"{_PREFIX}lineage": json.dumps(dict(lineage)),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _stage(asset_dir: Path, home: Path, *, changes: Mapping[str, Any]) -> Path:
    """Copy an asset, with changes of its description, to a hidden folder beside the family's versions."""
    staged = Path(tempfile.mkdtemp(dir=home, prefix=".staged."))
    try:
        shutil.copytree(asset_dir, staged, dirs_exist_ok=True)
        update_asset(staged, changes)
        staged.chmod(0o755)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return staged


def _choose(wanted: ModelName, versions: _Versions) -> ModelVersion:
    """Return the version, of one family's and newest first, that a name means.

    Raises:
        UnknownNameError: It has no such alias or version.
    """
    if wanted.version is not None:
        found = next((version for version in versions if version.version == wanted.version), None)
        known = [version.name for version in versions]
        name = f"{wanted.family}/{wanted.version}"
    else:
        alias = wanted.alias or DEFAULT_ALIAS
        found = next((version for version in versions if alias in version.aliases), None)
        if found is None and wanted.alias is None:
            return versions[0]
        known = [f"{wanted.family}@{alias}" for version in versions for alias in version.aliases]
        name = f"{wanted.family}@{alias}"
    if found is None:
        raise UnknownNameError("model version", name, known)
    return found

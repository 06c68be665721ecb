"""What the ``advisor`` component does: gather, write the page, remember for the jobs to come."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files import write_text
from ...settings import load_settings
from ..formatter.knowledge import remember
from ..registry import model_registry
from .insight import Insight, gather
from .page import render
from .suggestions import as_mapping, file_name

if TYPE_CHECKING:
    from ...store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Advice:
    """The page and the figures that Kubeflow shows beside it."""

    path: Path
    metrics: dict[str, float]

    def copy_to(self, path: str) -> None:
        """Copy the page to a pipeline's artifact."""
        shutil.copyfile(self.path, path)


def advise_job(job_id: str) -> Advice:
    """Write a job's page and its suggestions, and add what it taught to the knowledge base."""
    from ...data import PreparedData
    from ...store import open_store

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = load_settings()
    folder = settings.job_path(job_id)
    with open_store(settings.resolved_store_url) as store:
        job = store.jobs.get(job_id)
        result: dict[str, Any] = dict(job.result or {})
        data = PreparedData.load((job.plan or {})["data_path"])
        model = model_registry(settings).resolve(result["model"]) if result.get("model") else None
        insight = gather(store, job, data=data, model=model)
        write_text(folder / "report.html", render(insight, folder=_shown(folder)))
        _write_spaces(insight, folder)
        suggested = [as_mapping(suggestion) for suggestion in insight.suggestions]
        write_text(folder / "suggestions.json", json.dumps(suggested, indent=2))
        if "report" not in result:
            _remember(store, insight)
        store.jobs.set_result(job_id, {**result, "report": str(folder / "report.html")})
        store.events.append(job_id, "advised", {"suggestions": len(suggested)})
    best = insight.board[0].rewards if insight.board else {}
    return Advice(folder / "report.html", {name: float(value) for name, value in best.items()})


def _shown(folder: Path) -> str:
    """Return the folder as a person would type it: relative where that is possible."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


def _write_spaces(insight: Insight, folder: Path) -> None:
    """Write every suggested space as a file that ``--space`` takes."""
    for number, suggestion in enumerate(insight.suggestions, start=1):
        if suggestion.space is not None:
            write_text(folder / file_name(number), suggestion.space.to_yaml())


def _remember(store: Store, insight: Insight) -> None:
    if not insight.board:
        return
    from ...estimators import load_bundle

    winner = insight.board[0]
    remember(
        store,
        insight.job.id,
        task_type=insight.profile.task,
        meta_features=insight.profile.meta_features(),
        bundle_name=load_bundle((insight.job.plan or {})["estimator"]).name,
        config=winner.config,
        rewards=winner.rewards,
        duration_s=winner.duration_s,
    )

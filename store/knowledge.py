"""What earlier jobs learned, found by the likeness of their data."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ..errors import SpecError
from .database import Database
from .records import KnowledgeRecord, utc
from .schema import knowledge
from .values import require_json

_MAX_COMPARED = 5000
"""The newest rows that are looked at; a scan of these takes some tens of milliseconds."""


class Knowledge:
    """The knowledge base of a store. Rows outlive the jobs that added them.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, job_id: str, *, task_type: str, meta_features: Mapping[str, float], outcome: Mapping[str, Any]
    ) -> KnowledgeRecord:
        """Keep what a job learned.

        Args:
            job_id: Who learned it.
            task_type: Such as ``"classification"``; only rows of the same type are compared.
            meta_features: Finite numbers that describe the data.
            outcome: What won, how long it took and how much memory, JSON.

        Raises:
            SpecError: A meta-feature is not a finite number, or the outcome is not JSON.
        """
        require_json(outcome, what="The outcome")
        values = {
            "job_id": job_id,
            "task_type": task_type,
            "meta_features": _finite(meta_features),
            "outcome": dict(outcome),
            "created_at": self._database.dialect.now(),
        }
        statement = sa.insert(knowledge).values(values).returning(*knowledge.c)
        rows = self._database.write(lambda session: session.rows(statement))
        return _record(rows[0], distance=0.0)

    def similar(self, task_type: str, meta_features: Mapping[str, float], k: int) -> list[KnowledgeRecord]:
        """Return the ``k`` rows of this type whose data were most alike, the nearest first, the newer of equals first.

        Raises:
            SpecError: A meta-feature is not a finite number.
        """
        asked = _finite(meta_features)
        statement = (
            sa.select(knowledge)
            .where(knowledge.c.task_type == task_type)
            .order_by(knowledge.c.id.desc())
            .limit(_MAX_COMPARED)
        )
        rows = self._database.read(lambda session: session.rows(statement))
        away = distances(asked, [row[3] for row in rows])
        records = [_record(row, distance=distance) for row, distance in zip(rows, away, strict=True)]
        near = [record for record in records if math.isfinite(record.distance)]
        return sorted(near, key=lambda record: record.distance)[:k]


def distances(asked: Mapping[str, float], rows: Sequence[Mapping[str, float]]) -> list[float]:
    """Return the distance of each row to what was asked: root mean square over the features that both have.

    Each feature is divided by its standard deviation over the rows and the question, so that the number of rows does
    not drown the share of missing values. A row without any common feature is infinitely far.
    """
    scale = {}
    for name, value in asked.items():
        spread = statistics.pstdev([value, *(row[name] for row in rows if name in row)])
        scale[name] = spread if spread > 0 else 1.0
    away = []
    for row in rows:
        squares = [((value - row[name]) / scale[name]) ** 2 for name, value in asked.items() if name in row]
        away.append(math.sqrt(statistics.fmean(squares)) if squares else math.inf)
    return away


def _finite(meta_features: Mapping[str, float]) -> dict[str, float]:
    plain = {}
    for name, value in meta_features.items():
        if not math.isfinite(value):
            raise SpecError(f"Meta-feature {name!r} is {value!r}; expected a finite number.")
        plain[name] = float(value)
    return plain


def _record(row: Any, *, distance: float) -> KnowledgeRecord:
    return KnowledgeRecord(
        id=row[0],
        job_id=row[1],
        task_type=row[2],
        meta_features=row[3],
        outcome=row[4],
        created_at=utc(row[5]),
        distance=distance,
    )

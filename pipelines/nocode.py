"""The NoCode pipeline (section 2.1.7, figure 3a): data in, a measured and registered model out."""

# No postponed annotations here: kfp reads the types of the arguments.

from typing import List  # noqa: UP035

from kfp import dsl

from ..components.advisor.component import advisor
from ..components.end.component import end
from ..components.start.component import start
from ..components.task_estimator.component import task_estimator
from .pair import search_pair, settled


@dsl.pipeline(name="omniforge-nocode", description="Search for the model that is best where it will run.")
def nocode(
    data: str,
    target: str,
    job: str = "",
    name: str = "",
    task: str = "auto",
    estimator: str = "tabular",
    objectives: List[str] = [],  # noqa: B006, UP006
    trials: int = 50,
    time_budget: str = "",
    workers: int = 0,
    strategy: str = "auto",
    space: str = "",
    wait: str = "adaptive",
    stopping: str = "auto",
    measure: str = "all",
    runtimes: List[str] = [],  # noqa: B006, UP006
    tuning: str = "",
    trial_timeout: str = "",
    memory_mb: int = 0,
    drop: List[str] = [],  # noqa: B006, UP006
    categorical: List[str] = [],  # noqa: B006, UP006
    delimiter: str = "",
    seed: int = 0,
) -> str:
    """Start; job estimator and workers at once; train the winner in full; advise; end."""
    begun = settled(
        start(
            kind="nocode", data=data, target=target, job=job, name=name, task=task, estimator=estimator,
            objectives=objectives, trials=trials, time_budget=time_budget, workers=workers, strategy=strategy,
            space=space, wait=wait, stopping=stopping, measure=measure, runtimes=runtimes, tuning=tuning,
            trial_timeout=trial_timeout, memory_mb=memory_mb, drop=drop, categorical=categorical, delimiter=delimiter,
            seed=seed,
        )
    )  # fmt: skip
    searched = search_pair(begun, phase="search")
    built = settled(task_estimator(job=begun.outputs["job"]).after(searched))
    advised = settled(advisor(job=begun.outputs["job"]).after(built))
    ended = settled(end(job=begun.outputs["job"]).after(advised))
    return ended.output  # type: ignore[no-any-return]

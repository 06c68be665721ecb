"""The HPO pipeline (section 2.1.7, figure 3b): an estimator bundle is tried, its defaults are scored, then it is searched."""

# No postponed annotations here: kfp reads the types of the arguments.

from typing import List  # noqa: UP035

from kfp import dsl

from ..components.advisor.component import advisor
from ..components.end.component import end
from ..components.start.component import start
from ..components.task_estimator.component import task_estimator
from .pair import search_pair, settled


@dsl.pipeline(name="omniforge-hpo", description="Tune an estimator, after it has shown that it runs.")
def hpo(
    estimator: str,
    data: str = "",
    target: str = "",
    job: str = "",
    name: str = "",
    task: str = "auto",
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
    """Start; a smoke pair, a pair for the default configuration, the search pair; build; advise; end."""
    begun = settled(
        start(
            kind="hpo", data=data, target=target, job=job, name=name, task=task, estimator=estimator,
            objectives=objectives, trials=trials, time_budget=time_budget, workers=workers, strategy=strategy,
            space=space, wait=wait, stopping=stopping, measure=measure, runtimes=runtimes, tuning=tuning,
            trial_timeout=trial_timeout, memory_mb=memory_mb, drop=drop, categorical=categorical, delimiter=delimiter,
            seed=seed,
        )
    )  # fmt: skip
    smoked = search_pair(begun, phase="smoke")
    compared = search_pair(begun, phase="default", after=smoked)
    searched = search_pair(begun, phase="search", after=compared)
    built = settled(task_estimator(job=begun.outputs["job"]).after(searched))
    advised = settled(advisor(job=begun.outputs["job"]).after(built))
    ended = settled(end(job=begun.outputs["job"]).after(advised))
    return ended.output  # type: ignore[no-any-return]

"""The ``start`` component as KFP runs it."""

# No postponed annotations here: kfp reads the types of the arguments.

from typing import List, NamedTuple  # noqa: UP035  # the names that kfp's generated module imports

from kfp import dsl

from ...settings import load_settings


@dsl.component(base_image=load_settings().image, install_kfp_package=False)
def start(
    kind: str,
    data: str,
    target: str,
    job: str,
    name: str,
    task: str,
    estimator: str,
    objectives: List[str],  # noqa: UP006
    trials: int,
    time_budget: str,
    workers: int,
    strategy: str,
    space: str,
    wait: str,
    stopping: str,
    measure: str,
    runtimes: List[str],  # noqa: UP006
    tuning: str,
    trial_timeout: str,
    memory_mb: int,
    drop: List[str],  # noqa: UP006
    categorical: List[str],  # noqa: UP006
    delimiter: str,
    seed: int,
) -> NamedTuple("Started", [("job", str), ("workers", List[int])]):  # type: ignore[valid-type]  # noqa: UP006
    """Check the request, profile and prepare the data, make the plan, fit it to what is free."""
    from omniforge.components.start.start import begin

    return begin(
        job,
        kind=kind,
        data=data,
        target=target,
        name=name,
        task=task,
        estimator=estimator,
        objectives=objectives,
        trials=trials,
        time_budget=time_budget,
        workers=workers,
        strategy=strategy,
        space=space,
        wait=wait,
        stopping=stopping,
        measure=measure,
        runtimes=runtimes,
        tuning=tuning,
        trial_timeout=trial_timeout,
        memory_mb=memory_mb,
        drop=drop,
        categorical=categorical,
        delimiter=delimiter,
        seed=seed,
    )

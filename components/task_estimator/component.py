"""The ``task_estimator`` component as KFP runs it."""

# No postponed annotations here: kfp reads the types of the arguments.

from kfp import dsl

from ...settings import load_settings


@dsl.component(base_image=load_settings().image, install_kfp_package=False)
def task_estimator(job: str, model: dsl.Output[dsl.Model], metrics: dsl.Output[dsl.Metrics]) -> str:
    """Train the winner in full, export, measure and register it; return ``family/version``."""
    from omniforge.components.task_estimator.build import build_model

    built = build_model(job)
    built.copy_to(model.path)
    model.metadata["model"] = built.name
    for name, value in built.metrics.items():
        metrics.log_metric(name, value)
    return built.name

"""The ``advisor`` component as KFP runs it."""

# No postponed annotations here: kfp reads the types of the arguments.

from kfp import dsl

from ...settings import load_settings


@dsl.component(base_image=load_settings().image, install_kfp_package=False)
def advisor(job: str, report: dsl.Output[dsl.HTML], metrics: dsl.Output[dsl.Metrics]) -> str:
    """Write what the search learned as one self-contained HTML page; return the page's path."""
    from omniforge.components.advisor.run import advise_job

    advice = advise_job(job)
    advice.copy_to(report.path)
    for name, value in advice.metrics.items():
        metrics.log_metric(name, value)
    return str(advice.path)

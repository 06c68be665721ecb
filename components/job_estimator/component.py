"""The ``job_estimator`` component as KFP runs it."""

# No postponed annotations here: kfp reads the types of the arguments.

from kfp import dsl

from ...settings import load_settings


@dsl.component(base_image=load_settings().image, install_kfp_package=False)
def job_estimator(job: str, phase: str, summary: dsl.Output[dsl.Metrics]) -> int:
    """Generate the tasks of a phase and learn from their rewards; return how many succeeded."""
    from omniforge.components.job_estimator.run import estimate_job

    counts = estimate_job(job, phase)
    for state, count in counts.items():
        summary.log_metric(state, count)
    return int(counts["succeeded"])

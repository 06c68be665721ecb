"""The ``worker`` component as KFP runs it."""

# No postponed annotations here: kfp reads the types of the arguments.

from kfp import dsl

from ...settings import load_settings


@dsl.component(base_image=load_settings().image, install_kfp_package=False)
def worker(job: str, phase: str, index: int) -> int:
    """Evaluate tasks until the phase is closed; return how many this worker evaluated."""
    from omniforge.components.worker.run import work

    return work(job, phase, index)

"""The ``end`` component as KFP runs it."""

# No postponed annotations here: kfp reads the types of the arguments.

from kfp import dsl

from ...settings import load_settings


@dsl.component(base_image=load_settings().image, install_kfp_package=False)
def end(job: str) -> str:
    """Mark the job as succeeded and clean up; return the model's name."""
    from omniforge.components.end.end import finish

    return finish(job)

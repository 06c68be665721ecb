"""What every task imports, for a fork server to load before it forks: ``preload=["omniforge.pipelines.local.warm"]``.

It is only for a process that runs components: kfp is loaded as a container loads it, without the compiler and the
client, and a process that wants to declare pipelines must not import kfp in this way first.
"""

from __future__ import annotations

import os

os.environ["_KFP_RUNTIME"] = "true"

import kfp.dsl.executor  # noqa: F401

from . import child  # noqa: F401

"""What a fork server loads for tasks: kfp's executor, without kfp's compiler and client."""

from __future__ import annotations

import subprocess
import sys


def test_it_loads_the_executor_and_nothing_heavy() -> None:
    wanted = ["kfp.dsl.executor", "omniforge.pipelines.local.child"]
    unwanted = ["kfp.compiler", "kfp.client", "kubernetes", "google.protobuf"]
    code = f"import sys, omniforge.pipelines.local.warm; m = sys.modules; print([n in m for n in {wanted + unwanted}])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str([True] * len(wanted) + [False] * len(unwanted))

"""Benchmarks of the search framework: problems x methods x seeds into one tidy table. Run with `python -m benchmarks.search`.

One thread, unless the environment says more: it has to be said before numpy and torch are loaded.
"""

import os

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

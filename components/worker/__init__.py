"""Reserves tasks under a lease and has them evaluated: a task estimator, its sidecar, a deployment estimator."""

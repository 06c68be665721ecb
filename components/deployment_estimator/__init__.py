"""Measures a candidate's exported model where it will run (DTE), beside the task estimator that trained it."""

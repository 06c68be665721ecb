"""Strategies without a model: uniform, quasi-random and evolutionary."""

"""Bayesian optimization in five exchangeable parts: surrogate, acquisition, its optimizer, generator and suggester.

Nothing here is imported before it is used: the parts need torch and botorch, the strategy does not until it has data.
"""

"""The search engine where others already are: an Optuna sampler and a Katib suggestion service. No search of its own.

Each adapter is a package of its own with an extra of its own, ``omniforge[optuna]`` and ``omniforge[katib]``; importing this
one loads neither.
"""

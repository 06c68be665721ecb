"""The search space language: parameters, conditions and rules as an immutable value. No search, no tensors.

A space is a YAML mapping (1.2: ``1e-4`` is a number, ``no`` is a word) from names to parameters::

    depth:     {type: int, range: [2...5]}              # also [2, 5]; step: 2; log: true; default: 3
    rate:      {type: float, range: [1e-5, 1e-1], log: true, prior: {normal: {mean: 1e-3, std: 0.5}}}
    optimizer: {type: choice, range: {sgd, adam}, weights: {adam: 3}}        # or a list; weights: [1, 3]
    size:      {type: ordinal, range: [small, medium, large]}                # values in order
    nesterov:  {type: bool, when: {optimizer: sgd}}
    classes:   {type: constant, value: 10}
    arch:      {type: cell, nodes: 4, operations: [none, skip, conv], zero: none, identity: skip}
    steps:     {type: permutation, items: [resize, crop, flip]}              # their order
    forbid:                                             # what no configuration may match
      - {optimizer: sgd, depth: {min: 5}}

Every kind but a constant takes ``default``; every kind takes ``when`` (see `conditions`) and ``description``; an int, a
choice, an ordinal or a bool takes a ``submodule``. An int repeats it once per index, ``depth[0].x``, ``depth[1].x``;
the others select the branch that is named like their value, ``optimizer.sgd.x``. A configuration is flat: the path of
each active parameter to its value; the value of a cell maps its edges to operations, ``{"0-1": "conv", ...}``, and that of a
permutation is the list of its items.

The std of a normal prior is in the parameter's own unit, on a log scale in powers of ten. ``[*]`` in a name in
``forbid`` stands for every index.
"""

from .diff import Change, SpaceDiff
from .space import SearchSpace, describe
from .tree import Parameter
from .values import Config

__all__ = ["Change", "Config", "Parameter", "SearchSpace", "SpaceDiff", "describe"]

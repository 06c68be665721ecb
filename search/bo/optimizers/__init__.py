"""How an acquisition is maximized; one module per method. The names are those of `composition.OPTIMIZERS`."""

from .evolutionary import EvolutionaryOptimizer
from .exhaustive import ExhaustiveOptimizer
from .lbfgs import GradientOptimizer
from .mixed import MixedOptimizer
from .settling import evaluate

__all__ = ["EvolutionaryOptimizer", "ExhaustiveOptimizer", "GradientOptimizer", "MixedOptimizer", "evaluate"]

"""Where the optimization of an acquisition starts; one module per idea. The names are those of `composition.GENERATORS`."""

from .draws import Prior, SobolDraws, Uniform
from .incumbents import Perturbation, Shrinking, best_rows
from .mixture import Mixture

__all__ = ["Mixture", "Perturbation", "Prior", "Shrinking", "SobolDraws", "Uniform", "best_rows"]

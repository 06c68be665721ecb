"""How several rows are chosen while others are under evaluation; one module per idea. Names: `composition.SUGGESTERS`."""

from .believing import Believer, Liar
from .fantasies import Fantasies
from .joint import Joint
from .penalized import Penalized
from .sequential import Sequential, ThompsonBatch

__all__ = ["Believer", "Fantasies", "Joint", "Liar", "Penalized", "Sequential", "ThompsonBatch"]

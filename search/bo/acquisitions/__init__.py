"""What is worth evaluating next; one module per family. The names are those of `composition.ACQUISITIONS`."""

from .automatic import Auto
from .confidence import QUCB, UCB
from .entropy import JES, MES
from .hypervolume import LogEHVI, LogNEHVI
from .improvement import EI, LogEI, LogPI, QLogEI, QLogNEI
from .knowledge import KnowledgeGradient
from .scalarized import ParEGO
from .thompson import Thompson
from .weighted import Cooled, Preferred

__all__ = [
    "EI",
    "JES",
    "MES",
    "QUCB",
    "UCB",
    "Auto",
    "Cooled",
    "KnowledgeGradient",
    "LogEHVI",
    "LogEI",
    "LogNEHVI",
    "LogPI",
    "ParEGO",
    "Preferred",
    "QLogEI",
    "QLogNEI",
    "Thompson",
]

"""One file and one card per objective; the folder is the registry and the file's name is the objective's name."""

from .base import Adam, Aligner, Build, Classifier, Embedder, Generative, Nets, Objective, RMSprop, Update
from .find import available, find, start

__all__ = [
    "Adam",
    "Aligner",
    "Build",
    "Classifier",
    "Embedder",
    "Generative",
    "Nets",
    "Objective",
    "RMSprop",
    "Update",
    "available",
    "find",
    "start",
]

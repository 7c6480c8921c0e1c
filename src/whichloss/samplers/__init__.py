"""Samplers: pure functions (callable, x, rng) -> x, info."""

from .ancestral import ancestral
from .langevin import annealed_langevin, langevin
from .ode import ode, ode_log_density, with_divergence

__all__ = [
    "ancestral",
    "annealed_langevin",
    "langevin",
    "ode",
    "ode_log_density",
    "with_divergence",
]

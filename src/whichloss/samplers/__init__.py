"""Samplers: pure functions (callable, x, rng) -> x, info."""

from .ancestral import ancestral
from .annealed import adjusted, annealed, annealed_rows
from .diagnostics import autocorrelation, doubts, e_bfmi, ess, split_rhat
from .hmc import hmc, traced_gradient
from .langevin import annealed_langevin, langevin
from .mala import mala
from .nuts import nuts
from .ode import ode, ode_log_density, with_divergence
from .partition import LogZ, annealed_importance, grid_log_z, log_z
from .tempering import tempering
from .tilt import tilted_normal

__all__ = [
    "LogZ",
    "adjusted",
    "ancestral",
    "annealed",
    "annealed_importance",
    "annealed_langevin",
    "annealed_rows",
    "autocorrelation",
    "doubts",
    "e_bfmi",
    "ess",
    "grid_log_z",
    "hmc",
    "langevin",
    "log_z",
    "mala",
    "nuts",
    "ode",
    "ode_log_density",
    "split_rhat",
    "tempering",
    "tilted_normal",
    "traced_gradient",
    "with_divergence",
]

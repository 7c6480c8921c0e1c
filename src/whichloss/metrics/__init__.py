"""How good are samples: pure functions of rows (n, d), blockwise, without gradients."""

from .c2st import TwoSample, c2st_accuracy
from .copies import CopyTest, copy_test
from .correlation import correlation_difference, correlations
from .density import kl_to_density
from .features import frechet, kid
from .mmd import Mmd, MmdReference, bandwidths, mmd
from .modes import Modes, ModeShares, mode_shares, modes
from .neighbours import Prdc, neighbours
from .shares import Groups, Shares, groups, share_difference
from .stein import Equipartition, Stein, equipartition, kernel_stein
from .transport import directions, energy_distance, exact_w2, sliced_w2, w1_columns

__all__ = [
    "CopyTest",
    "Equipartition",
    "Groups",
    "Mmd",
    "MmdReference",
    "ModeShares",
    "Modes",
    "Prdc",
    "Shares",
    "Stein",
    "TwoSample",
    "bandwidths",
    "c2st_accuracy",
    "copy_test",
    "correlation_difference",
    "correlations",
    "directions",
    "energy_distance",
    "equipartition",
    "exact_w2",
    "frechet",
    "groups",
    "kernel_stein",
    "kid",
    "kl_to_density",
    "mmd",
    "mode_shares",
    "modes",
    "neighbours",
    "share_difference",
    "sliced_w2",
    "w1_columns",
]

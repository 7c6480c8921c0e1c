"""Divergence from a known density, for d <= 3."""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.special import digamma, gammaln
from torch import Tensor

from ..errors import UserError
from .rows import checked

NEIGHBOUR = 5


@torch.no_grad()
def kl_to_density(x: Tensor, log_density: Callable[[np.ndarray], np.ndarray]) -> float:
    """KL(model || p) = -H(model) - E log p(x) in nats, H by nearest neighbours (Kozachenko & Leonenko, 1987).

        H = psi(n) - psi(k) + log V_d + d/n sum_i log r_i,   r_i the distance to the k-th neighbour, k = 5

    x: (n, d) samples, d <= 3. Biased by O(n^(-2/d)) where the density varies within r_i: read it beside the value of
    real rows at the same n. Infinite where samples fall outside the support, or coincide.
    """
    x, _ = checked(x, x, NEIGHBOUR + 1)
    n, d = x.shape
    if d > 3:
        raise UserError(f"kl_to_density takes at most 3 columns; got {d}.")
    points = x.numpy()
    r = cKDTree(points).query(points, k=NEIGHBOUR + 1)[0][:, -1]
    if (r == 0).any():
        return math.inf
    ball = d / 2 * math.log(math.pi) - float(gammaln(d / 2 + 1))
    entropy = float(digamma(n) - digamma(NEIGHBOUR)) + ball + d * float(np.log(r).mean())
    return -entropy - float(np.mean(log_density(points)))

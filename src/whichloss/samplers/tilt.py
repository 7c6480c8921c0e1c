"""Sampling a tilted normal, N(x; 0, I) exp(-U(x)) / Z: importance weights, resampling, and moves that keep the law.

What an energy on top of a normal needs: a latent energy, a tilt of a normalizing flow in the flow's noise. The number
of steps is fixed and nothing branches on a value, so it runs in lanes; it takes no gradient of U.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UserError
from ..rng import Rng
from .langevin import Info


def tilted_normal(
    tilt: Callable[[Tensor], Tensor],
    shape: tuple[int, int],
    rng: Rng,
    *,
    levels: int = 4,
    moves: int = 2,
    reach: float = 0.5,
    proposals: int = 4,
    given: Tensor | None = None,
) -> tuple[Tensor, Info]:
    """Draws `shape` = (n, d) rows of N(x; 0, I) exp(-U(x)) / Z, U = `tilt`: rows (m, d) -> (m,) or (m, 1).

    `proposals` n normal rows go through the laws N(0, I) exp(-k U / levels), k = 1 .. levels (Del Moral, Doucet &
    Jasra, 2006): at each they are resampled by exp(-U / levels), the last time down to n, and make `moves` steps
    x' = sqrt(1 - r^2) x + r xi, r = `reach`, accepted with probability min(1, exp(k (U(x) - U(x')) / levels)), which
    keep that law exactly (Neal, 1999; Cotter et al., 2013). Rows whose U is not finite have weight 0 and are never
    moved to. given (n, K), one-hot: U depends on a row's class too, row i of those it is called with being of the class
    given[i mod n]; then every class is resampled by itself, and log_z and ess are of no use. info: log_z, the
    estimate of log Z (its exponential is unbiased); ess, the smallest share of effective rows of a level; acceptance;
    refused, the share of proposed rows whose U is not finite. Raises UserError for numbers out of range.
    """
    if min(levels, moves + 1, proposals) < 1 or not 0 < reach <= 1:
        raise UserError(
            "tilted_normal needs levels >= 1, moves >= 0, proposals >= 1 and 0 < reach <= 1; "
            f"got levels = {levels}, moves = {moves}, proposals = {proposals}, reach = {reach}."
        )

    def energy(x: Tensor) -> Tensor:
        u = tilt(x).reshape(len(x))
        return torch.where(torch.isfinite(u), u, torch.inf)

    n, d = proposals * shape[0], shape[1]
    x = rng.normal("x", (n, d))
    u = energy(x)
    log_z, ess, accepted, refused = u.new_zeros(()), u.new_ones(()), u.new_zeros(()), u.isinf().to(u).mean()
    for k in range(1, levels + 1):
        log_w = -u / levels
        log_z = log_z + log_mean_exp(log_w)
        ess = torch.minimum(ess, effective(log_w) / len(x))
        n = shape[0] if k == levels else n
        kept = resample(log_w, rng[k].uniform("resample", ()), n, given)
        x, u = x[kept], u[kept]
        for j in range(moves):
            step = rng[k][j]
            new = math.sqrt(1 - reach**2) * x + reach * step.normal("xi", x.shape)
            u_new = energy(new)
            accept = step.uniform("accept", (n,)).log() < (u - u_new) * (k / levels)
            x, u = torch.where(accept[:, None], new, x), torch.where(accept, u_new, u)
            accepted = accepted + accept.to(u).mean()
            refused = refused + u_new.isinf().to(u).mean()
    info: Info = {"log_z": log_z, "ess": ess, "refused": refused / (1 + levels * moves)}
    if moves:
        info["acceptance"] = accepted / (levels * moves)
    return x, info


def resample(log_w: Tensor, u: Tensor, count: int, given: Tensor | None = None) -> Tensor:
    """Row numbers (count,), in order; row i stands floor or ceil of count w_i / sum w times: systematic resampling.

    log_w (n,), u () uniform in [0, 1): one number places all points (Kitagawa, 1996). given (b, K), one-hot: row i is
    of the class given[i mod b], n and count multiples of b; each class is drawn again by itself, in its own places.
    """
    below_one = 1 - torch.finfo(log_w.dtype).eps  # a point rounded to 1 would fall behind the last weight
    if given is None:
        edges = torch.softmax(log_w, dim=0).cumsum(dim=0)
        points = (torch.arange(count, dtype=log_w.dtype, device=log_w.device) + u) / count
        return torch.searchsorted(edges, edges[-1] * points.clamp(max=below_one), right=True)
    before, after = (given.repeat(n // len(given), 1).to(log_w.dtype).T for n in (len(log_w), count))
    edges = torch.softmax(log_w + before.log(), dim=1).cumsum(dim=1)  # (K, n): flat at rows of other classes
    points = (after.cumsum(dim=1) - 1 + u) / after.sum(dim=1, keepdim=True)  # (K, count): right at the class's places
    found = torch.searchsorted(edges, edges[:, -1:] * points.clamp(0, below_one), right=True)
    return found.gather(0, after.argmax(dim=0, keepdim=True)).squeeze(0)


def effective(log_w: Tensor) -> Tensor:
    """(sum w)^2 / sum w^2, between 1 and n: as many equal weights would be as good (Kong, 1992). log_w (n,)."""
    return torch.exp(2 * torch.logsumexp(log_w, dim=0) - torch.logsumexp(2 * log_w, dim=0))


def log_mean_exp(log_w: Tensor) -> Tensor:
    """log of the mean of exp(log_w), over the first dimension, without overflow."""
    return torch.logsumexp(log_w, dim=0) - math.log(len(log_w))


def effective_share(log_w: Tensor) -> Tensor:
    """`effective` as a share of the n rows."""
    return effective(log_w) / len(log_w)

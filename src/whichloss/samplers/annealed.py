"""Annealed sampling of an energy: sequential Monte Carlo from a normal law to exp(-E), of a fixed length.

Everything here keeps its shapes and its number of steps whatever the numbers are, so it runs inside lanes.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vjp

from ..errors import UserError
from ..rng import Rng
from .langevin import Info
from .tilt import effective_share, resample

Energy = Callable[[Tensor], Tensor]
TARGET = 0.574  # the acceptance at which an adjusted Langevin step goes furthest (Roberts & Rosenthal, 1998)
GAIN = 2.0  # of the step's length: e^(GAIN (acceptance - TARGET)) after every move
HALVINGS = 20


_At = tuple[Tensor, Tensor, Tensor]  # rows (n, d), their energies (n,) and slopes (n, d)


def annealed(
    energy: Energy,
    x: Tensor,
    rng: Rng,
    *,
    sd: float,
    temperatures: int = 32,
    moves: int = 2,
    share: float = 0.9,
    given: Tensor | None = None,
) -> tuple[Tensor, Info]:
    """Rows of exp(-E) / Z and log Z from rows x (n, d) of N(0, sd^2 I), by way of exp(-E_beta), beta from 0 to 1.

    E_beta = (1 - beta) |x|^2 / (2 sd^2) + beta E. At each of `temperatures` values rows are weighted by
    w = exp(E_beta - E_beta'), drawn again by their weights (systematic), then moved `moves` times by a Langevin step
    with an accept-reject test, which keeps exp(-E_beta'). log Z is the sum of log mean w, plus that of the start.
    The next beta is where the weights' effective sample size falls to `share` of n; the last is 1.
    given (b, K), one-hot: row i is of the class given[i mod b], on which its energy depends; then every class is drawn
    again by itself, and log Z is of no use. energy (n, d) -> (n,); rows must not mix. Infinite energies have weight 0;
    a proposal without a finite energy is refused. info: "log Z"; "ess", the least share of any weighting; "acceptance"
    and "step" at the end; "calls". Raises UserError for sd <= 0, temperatures < 1, moves < 0, share outside (0, 1).
    Del Moral, Doucet & Jasra (2006).
    """
    if not isinstance(sd, Tensor) and not sd > 0:
        raise UserError(f"annealed needs sd > 0, the width of the normal that x was drawn from; got sd = {sd}.")
    if temperatures < 1 or moves < 0:
        raise UserError(f"annealed needs temperatures >= 1 and moves >= 0; got {temperatures} and {moves}.")
    if not 0 < share < 1:
        raise UserError(f"annealed needs a share between 0 and 1, such as 0.9; got share = {share}.")
    n, d = x.shape
    slope = _with_slope(energy)
    at = (x, *slope(x))
    beta, step = torch.zeros_like(x[0, 0]), sd**2 * torch.ones_like(x[0, 0])
    log_z, least = d / 2 * torch.log(2 * math.pi * step), torch.ones_like(beta)
    acceptance = torch.ones_like(beta)
    for k in range(temperatures):
        ratio = at[0].square().sum(dim=1) / (2 * sd**2) - at[1]
        if given is not None:
            ratio = _within(ratio, given)
        gap = _gap(ratio, 1 - beta, share) if k < temperatures - 1 else 1 - beta
        log_w = gap * ratio
        log_z = log_z + torch.logsumexp(log_w, dim=0) - math.log(n)
        least = torch.minimum(least, effective_share(log_w))
        beta = beta + gap
        chosen = resample(log_w, rng[k].uniform("u", ()), n, given)
        x, e, g = at
        at = (x[chosen], e[chosen], g[chosen])
        for j in range(moves):
            at, acceptance = _move(slope, at, rng[k][j], step, beta, sd)
            step = step * torch.exp(GAIN * (acceptance - TARGET))
    return at[0], {
        "log Z": log_z,
        "ess": least,
        "acceptance": acceptance,
        "step": step,
        "calls": float(1 + temperatures * moves),
    }


def annealed_rows(
    energy: Energy,
    shape: tuple[int, ...],
    rng: Rng,
    *,
    sd: float,
    particles: int = 1024,
    temperatures: int = 32,
    given: Tensor | None = None,
) -> tuple[Tensor, Info]:
    """`shape` = (n, d) rows of exp(-E) / Z, of at least `particles` (fewer where d is large) that go together.

    Of more rows than asked for every k-th is kept, since neighbours may be copies. given (n, K): their classes. Errors,
    info: as `annealed`.
    """
    n, d = shape
    every = -(-min(particles, max(n, (1 << 20) // d)) // n)  # more of wide rows would take gigabytes
    x, info = annealed(energy, sd * rng.normal("x", (every * n, d)), rng, sd=sd, temperatures=temperatures, given=given)
    if given is None:
        return x[::every], info
    own = torch.arange(n, device=x.device)  # row i is one of those in the places i, i + n, i + 2 n ...
    return x[own % every * n + own], info


def adjusted(energy: Energy, x: Tensor, rng: Rng, *, steps: int, step: float) -> tuple[Tensor, Info]:
    """`steps` Langevin steps x - step grad E + sqrt(2 step) xi, each kept or refused so that exp(-E) stays as it is.

    The accept-reject test of Metropolis and Hastings, by torch.where, with a fixed step: it runs inside lanes
    (Roberts & Tweedie, 1996). x (n, d), energy (n, d) -> (n,). info: the mean "acceptance". Raises UserError for
    step <= 0 or steps < 1.
    """
    if not isinstance(step, Tensor) and not step > 0:
        raise UserError(f"adjusted needs step > 0; got step = {step}.")
    if steps < 1:
        raise UserError(f"adjusted needs steps >= 1; got steps = {steps}.")
    slope = _with_slope(energy)
    at = (x, *slope(x))
    kept = torch.zeros_like(x[0, 0])
    for k in range(steps):
        at, acceptance = _move(slope, at, rng[k], torch.as_tensor(step), torch.ones_like(kept), 1.0)
        kept = kept + acceptance / steps
    return at[0], {"acceptance": kept}


def _with_slope(energy: Callable[[Tensor], Tensor]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        e, pull = vjp(energy, x)  # type: ignore[misc]  # its stub counts an aux output
        return e, pull(torch.ones_like(e))[0]

    return both


def _within(ratio: Tensor, given: Tensor) -> Tensor:
    """Ratios less the mean of their class, whose constant changes no draw: classes are drawn by themselves."""
    own = given.repeat(len(ratio) // len(given), 1).to(ratio)
    return ratio - own @ (own.T @ ratio.nan_to_num(0.0, 0.0, 0.0) / own.sum(dim=0).clamp(min=1))


def _gap(ratio: Tensor, most: Tensor, share: float) -> Tensor:
    """How far beta may go, up to `most`: by bisection, and always a little."""
    low, high = torch.zeros_like(most), most
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = effective_share(middle * ratio) >= share
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return high


def _move(
    slope: Callable[[Tensor], tuple[Tensor, Tensor]], at: _At, rng: Rng, h: Tensor, beta: Tensor, sd: float
) -> tuple[_At, Tensor]:
    """One adjusted Langevin step of length h on E_beta, and the share of rows that took it."""

    def tempered(x: Tensor, e: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        e = (1 - beta) * x.square().sum(dim=1) / (2 * sd**2) + beta * e
        return e, (1 - beta) * x / sd**2 + beta * g

    xi = rng.normal("xi", at[0].shape).to(at[0])
    e, g = tempered(*at)
    x = at[0] - h * g + (2 * h).sqrt() * xi
    new = (x, *slope(x))
    e_new, g_new = tempered(*new)
    back = (at[0] - x + h * g_new).square().sum(dim=1) / (4 * h)
    log_a = e - e_new + xi.square().sum(dim=1) / 2 - back
    yes = rng.uniform("u", (len(x),)).log() < log_a  # a proposal without a finite energy compares False
    x, e, g = (torch.where(yes if a.dim() == 1 else yes[:, None], b, a) for a, b in zip(at, new, strict=True))
    return (x, e, g), yes.to(x.dtype).mean()

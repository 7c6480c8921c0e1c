"""What a sampler learns while it warms up: its step by dual averaging, its mass in Stan's windows."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UserError

FIRST, BASE, LAST = 75, 25, 50  # steps of warm-up: to reach the law, the first window of the mass, the last of the step
SHORT = 20  # no mass from fewer


def windows(warmup: int) -> list[tuple[int, int]]:
    """The first and last step of every window of a warm-up, as Stan cuts it (Carpenter et al., 2017).

    The first and the last window adapt the step alone; those between also the mass, each twice as long as the one
    before, the last of them as long as it takes. Below 150 steps: 15 %, 75 %, 10 %. Below 20: one window.
    """
    if warmup < SHORT:
        return [(0, warmup - 1)] if warmup > 0 else []
    first, size, last = FIRST, BASE, LAST
    if first + size + last > warmup:
        first, last = int(0.15 * warmup), int(0.1 * warmup)
        size = warmup - first - last
    found, at, end = [(0, first - 1)], first, warmup - last
    while at < end:
        stop = at + size if at + 3 * size <= end else end  # the next one is 2 size long: does it fit?
        found.append((at, stop - 1))
        at, size = stop, 2 * size
    return [*found, (end, warmup - 1)]


class DualAveraging:
    """x_t = centre - sqrt(t) / gamma mean(g), whose weighted average goes to where g is 0 (Nesterov, 2009).

    As a step is tuned (Hoffman & Gelman, 2014): x = log step, g = target - acceptance, centre = log(10 step).
    """

    def __init__(
        self, x: Tensor, centre: Tensor, *, t0: float = 10.0, kappa: float = 0.75, gamma: float = 0.05
    ) -> None:
        self.x, self.average, self.centre = x, x, centre
        self.t0, self.kappa, self.gamma = t0, kappa, gamma
        self.t, self.slope = 0, torch.zeros_like(x)

    def update(self, g: Tensor) -> None:
        self.t += 1
        share, weight = 1 / (self.t + self.t0), self.t**-self.kappa
        self.slope = (1 - share) * self.slope + share * g
        self.x = self.centre - self.t**0.5 / self.gamma * self.slope
        self.average = (1 - weight) * self.average + weight * self.x


class Welford:
    """Mean and variance of all rows that were added, in one pass and without cancellation (Welford, 1962)."""

    def __init__(self, like: Tensor) -> None:
        self.n, self.mean, self.squares = 0, torch.zeros_like(like).double(), torch.zeros_like(like).double()

    def add(self, rows: Tensor) -> None:
        """Rows (B, ...) at once (Chan, Golub & LeVeque, 1983)."""
        rows, old = rows.double(), self.n
        mean = rows.mean(dim=0)
        gap, self.n = mean - self.mean, old + len(rows)
        self.squares = self.squares + (rows - mean).square().sum(dim=0) + gap.square() * (old * len(rows) / self.n)
        self.mean = self.mean + gap * (len(rows) / self.n)

    def variance(self) -> Tensor:
        """n / (n + 5) of the variance and 5 / (n + 5) of .001, as Stan keeps short windows from a variance of 0."""
        return (self.squares * self.n / max(1, self.n - 1) + 5e-3) / (self.n + 5)


def reasonable_step(accept: Callable[[Tensor], Tensor], step: Tensor, share: float = 0.8) -> Tensor:
    """The first of step 2^k, up or down, where one leap's acceptance crosses `share` (Hoffman & Gelman, 2014).

    accept(step) (K,) -> (K,), for K groups of chains with a step each. Raises UserError where none of 100 does.
    """
    up = accept(step) > share
    factor, searching = torch.where(up, 2.0, 0.5).to(step), torch.ones_like(up)
    for _ in range(100):
        step = torch.where(searching, step * factor, step)
        searching = searching & ((accept(step) > share) == up)
        if not searching.any():
            return step
    says = "every step is accepted: the energy is flat" if up[searching].any() else "no step is accepted"
    raise UserError(f"the search for a step ended at {step.tolist()}: {says}. Check the energy, or give step=.")

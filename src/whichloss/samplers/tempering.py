"""Parallel tempering: chains at rising temperatures trade places, so that the cold ones cross between modes."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import UserError
from ..rng import Rng
from .hmc import Chains, Energy, Hamiltonian, Length, Moved, State
from .langevin import Info


def tempering(
    energy: Energy,
    x: Tensor,
    rng: Rng,
    *,
    draws: int,
    temperatures: Sequence[float],
    leaps: int = 1,
    step: float | None = None,
    inverse_mass: Tensor | None = None,
    temperature: float = 1.0,
    warmup: int = 0,
    target: float = 0.574,
    keep: bool = True,
    grad: Energy | None = None,
) -> tuple[Tensor, Info]:
    """Level k of K follows e^(-E / (T T_k)); after each move neighbours trade with min(1, e^((b_i - b_j)(E_i - E_j))).

    b_k = 1 / (T T_k); `temperatures` T_k rise from 1; pairs (0, 1), (2, 3), ... and (1, 2), (3, 4), ... take turns. A
    move is `leaps` leapfrogs (1: MALA) of length step sqrt(T_k); a warm-up tunes each level's step alone. x (B, ...)
    starts every level -> the coldest level's last states (B, ...), info as `hmc` returns it for that level, with
    acceptance and step (K,), swaps (K - 1,): the mean probability of a trade, and no ebfmi. Raises UserError where the
    temperatures do not rise from 1. Geyer (1991); Hukushima & Nemoto (1996); the turns: Syed et al. (2022).
    """
    ladder = [float(t) for t in temperatures]
    if len(ladder) < 2 or ladder[0] != 1 or any(not b > a for a, b in pairwise(ladder)) or ladder[-1] == math.inf:
        raise UserError(f"tempering: temperatures must rise from 1, two or more; got {ladder[:8]}.")
    if leaps < 1:
        raise UserError(f"tempering needs leaps >= 1; got leaps = {leaps}.")
    heat = torch.tensor(ladder, dtype=x.dtype, device=x.device)
    rows = heat.repeat_interleave(len(x)).reshape(-1, *[1] * (x.ndim - 1))
    law = Hamiltonian("tempering", energy, grad, temperature, rows)
    rates: list[Tensor] = []

    def move(state: State, rng: Rng, length: Length) -> tuple[State, Moved]:
        state, moved = law.propose(state, rng, length, leaps)
        state, rate = _trade(state, 1 / (temperature * heat), rng, len(rates) % 2)
        rates.append(rate)
        return state, moved

    steps = None if step is None else step * heat.sqrt()
    chains = Chains(law, draws, warmup, target, steps, inverse_mass, keep, len(ladder))
    x, info = chains.run(move, x, rng)
    del info["ebfmi"]
    return x, info | {"swaps": torch.stack(rates[-draws:]).nanmean(dim=0)}


def _trade(state: State, betas: Tensor, rng: Rng, first: int) -> tuple[State, Tensor]:
    """Levels first, first + 2, ... with the ones above them; each trade's mean probability, nan where not tried."""
    levels, chains = len(betas), len(state.e) // len(betas)
    e, place = state.e.reshape(levels, chains), torch.arange(len(state.e)).reshape(levels, chains)
    low = torch.arange(first, levels - 1, 2)
    log_ratio = (betas[low] - betas[low + 1])[:, None] * (e[low] - e[low + 1])
    trades = rng.uniform("trade", e.shape)[low].log() < log_ratio
    order = place.clone()
    order[low] = torch.where(trades, place[low + 1], place[low])
    order[low + 1] = torch.where(trades, place[low], place[low + 1])
    rate = torch.full_like(betas, math.nan)[1:]
    rate[low] = log_ratio.clamp(max=0).exp().mean(dim=1)
    return State(*(part[order.flatten()] for part in state)), rate

"""Closed forms for two laws on a line: distances, their derivatives, and the levels a loss must reach."""

import math

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import ndtr
from torch import Tensor

from whichloss.losses.adversarial import bce_critic, minimax_generator

LN2, LN4 = math.log(2), math.log(4)


def line(low: float, high: float, n: int = 20_001) -> tuple[Tensor, Tensor]:
    """Points and trapezoid weights, float64."""
    x = torch.linspace(low, high, n, dtype=torch.float64)
    weight = torch.full_like(x, float(x[1] - x[0]))
    weight[[0, -1]] /= 2
    return x, weight


def normal_log_density(x: Tensor, mean: float, std: float) -> Tensor:
    """log N(x; mean, std^2)"""
    return -0.5 * ((x - mean) / std) ** 2 - math.log(std * math.sqrt(2 * math.pi))


def js_normals(gap: float, std: float) -> tuple[float, float]:
    """(JS, dJS/dgap) of N(0, std^2) and N(gap, std^2).

    With the best critic l = log p / q, JS = log 2 - E bce_critic / 2. The critic may stand still while q moves
    (envelope theorem), so dJS/dgap = E_q [f'(l) l'] / 2 with f = minimax_generator and l' = -gap / std^2.
    """
    x, weight = line(min(0, gap) - 12 * std, max(0, gap) + 12 * std)
    log_p, log_q = normal_log_density(x, 0, std), normal_log_density(x, gap, std)
    logit = (log_p - log_q).requires_grad_()
    p, q = log_p.exp() * weight, log_q.exp() * weight
    zero = torch.zeros_like(logit)  # bce_critic(l, l') of a pair is a sum; -inf silences one half
    real, fake = bce_critic(logit, zero - math.inf), bce_critic(zero + math.inf, logit)
    js = max(0.0, LN2 - float((p * real + q * fake).sum().detach()) / 2)  # never -1e-17
    (slope,) = torch.autograd.grad((q * minimax_generator(logit)).sum(), logit)
    return js, float(slope.sum()) * (-gap / std**2) / 2


def kl_normals(gap: float, std: float) -> tuple[float, float]:
    """(KL, dKL/dgap) = (gap^2 / 2 std^2, gap / std^2), the same in both directions."""
    return gap**2 / (2 * std**2), gap / std**2


def tv_normals(gap: float, std: float) -> float:
    """Total variation of N(0, std^2) and N(gap, std^2): 2 Phi(|gap| / 2 std) - 1."""
    return float(2 * ndtr(abs(gap) / (2 * std)) - 1)


def js_uniforms(gap: float) -> tuple[float, float]:
    """(JS, dJS/dgap) of U[0, 1] and U[gap, gap + 1]: log 2 min(gap, 1); once they have parted, no slope at all."""
    return LN2 * min(abs(gap), 1.0), (LN2 * float(np.sign(gap)) if abs(gap) < 1 else 0.0)


def kl_uniforms(gap: float) -> tuple[float, float]:
    """(KL, dKL/dgap): infinite as soon as either law leaves the other's support; then it has no derivative."""
    return (0.0, 0.0) if gap == 0 else (math.inf, math.nan)


def w1_shift(gap: float) -> tuple[float, float]:
    """(W1, dW1/dgap) of a law and itself moved by gap: |gap| and its sign, whatever the law; at 0 there is a kink."""
    return abs(gap), float(np.sign(gap)) if gap else math.nan


def bce_of_modes(covered: float, modes: int) -> float:
    """The best critic's BCE loss when the generator holds `covered` of `modes` equal modes and spills nothing."""
    share = covered / modes
    return share * math.log((covered + modes) / covered) + math.log1p(share)


def modes_of_bce(loss: float, modes: int) -> float:
    """How many modes a critic's BCE loss stands for: `bce_of_modes` inverted."""
    low, high = 1e-6, float(modes)
    if loss <= bce_of_modes(low, modes):
        return 0.0
    return (
        high if loss >= bce_of_modes(high, modes) else float(brentq(lambda k: bce_of_modes(k, modes) - loss, low, high))
    )


def steepest(clip: float, width: int, hidden: int) -> float:
    """The largest slope of a ReLU network 1-width-..-1 whose weights lie in [-clip, clip]: clip^L width^(L-1)."""
    layers = hidden + 1
    return clip**layers * width ** (layers - 1)

"""The log-odds of the labelled class, m = z_y - log sum_{j != y} e^{z_j} = log(p_y / (1 - p_y)), p = softmax(z).

One number carries all that a loss of hard labels needs, for p_y = sigma(m), 1 - p_y = sigma(-m) and -log p_y =
softplus(-m), each exact to rounding however close to 0. So the multi-class losses are the binary ones at m.
Slopes are exact too, which those of torch.sigmoid near 1 and torch.expm1 near -1 are not.
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import logsigmoid


def log_odds(z: Tensor, y: Tensor) -> Tensor:
    """m = logit(p_y): (B, K), (B,) -> (B,)."""
    y = y.long().unsqueeze(1)
    others = z.scatter(1, y, torch.finfo(z.dtype).min)  # not -inf, whose gradient is nan if nothing else is left
    top = others.detach().amax(dim=1, keepdim=True)  # taken off first, else the digits of z = 1e4 swallow a log 2
    return (z.gather(1, y) - top).squeeze(1) - (others - top).logsumexp(dim=1)


def log_softmax(z: Tensor) -> Tensor:
    """log p (B, K); the likeliest class from its log-odds, as a log p near 0 is lost in log sum_j e^{z_j}."""
    top = z.detach().argmax(dim=1)
    return functional.log_softmax(z, dim=1).scatter(1, top.unsqueeze(1), logsigmoid(log_odds(z, top)).unsqueeze(1))


def sigmoid(m: Tensor) -> Tensor:
    """1 / (1 + e^-m); torch's slope s (1 - s) would lose its digits where s is close to 1."""
    return torch.where(m > 0, 1 - torch.sigmoid(-m), torch.sigmoid(m))


def one_minus_exp(x: Tensor) -> Tensor:
    """1 - e^x for x <= 0; the slope of torch.expm1, its result + 1, would lose its digits far below 0."""
    return torch.where(x < -1, 1 - x.exp(), -torch.expm1(x))


def focal_term(m: Tensor, gamma: Tensor | float) -> Tensor:
    """-(1 - p)^gamma log p at log-odds m (*): the power in logarithms, whose gradient is finite for every gamma."""
    return -(gamma * logsigmoid(-m)).exp() * logsigmoid(m)

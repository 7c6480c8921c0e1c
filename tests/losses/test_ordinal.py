"""CORN against its definition: conditional questions, the chain rule, and scipy's law of the same hazards."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from exact import assert_exact, assert_half, assert_per_example, assert_smooth, sigma
from mpmath import mp
from scipy.stats import geom
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from whichloss.errors import UserError
from whichloss.losses.ordinal import corn, corn_probabilities

K = 5
Z = 3 * torch.randn(12, K - 1, generator=torch.Generator().manual_seed(4))
Y = torch.arange(12) % K
EXTREME = torch.tensor(list(product([-1e4, 0.0, 1e4], repeat=2))).repeat_interleave(3, 0)
EXTREME_Y = torch.arange(len(EXTREME)) % 3


def questions(z, y):
    """For each threshold k that the row reaches: does it pass?"""
    return sum(-mp.log(sigma(v)) if y > k else -mp.log(sigma(-v)) for k, v in enumerate(z) if y >= k)


def test_corn_is_its_definition():
    assert_exact(corn, questions, Z, Y)
    assert_exact(corn, questions, EXTREME, EXTREME_Y)


def test_gradients_in_float64():
    assert_smooth(corn, Z[:6], Y[:6])
    assert torch.autograd.gradcheck(corn_probabilities, Z[:3].double().requires_grad_())


def test_examples_do_not_touch_each_other():
    assert_per_example(corn, Z, Y)
    assert_half(corn, EXTREME, EXTREME_Y)


def test_the_mean_of_the_paper():
    """Shi, Cao & Raschka, eq. 6: one conditional training set for each threshold, all questions weigh the same."""
    total, asked = 0.0, 0
    for k in range(K - 1):
        reached = k <= Y
        answers = (Y[reached] > k).float()
        total += binary_cross_entropy_with_logits(Z[reached, k], answers, reduction="sum")
        asked += len(answers)
    torch.testing.assert_close(corn(Z, Y).sum() / (Y + 1).clamp(max=K - 1).sum(), total / asked)


def test_corn_is_the_log_likelihood_of_its_probabilities():
    z = Z.double()
    p = corn_probabilities(z)
    torch.testing.assert_close(p.sum(1), torch.ones(12).double())
    torch.testing.assert_close(corn(z, Y), -p.log().gather(1, Y[:, None]).squeeze(1))


def test_ranks_are_consistent_and_the_chain_rule_holds():
    z = Z.double()
    beyond = 1 - corn_probabilities(z).cumsum(1)[:, :-1]  # P(y > k)
    torch.testing.assert_close(beyond, z.sigmoid().cumprod(1))
    assert (beyond.diff(dim=1) <= 0).all()


def test_equal_chances_are_the_geometric_law():
    stop = 0.3
    z = torch.full((1, 6), math.log((1 - stop) / stop), dtype=torch.float64)
    p = corn_probabilities(z)[0].numpy()
    np.testing.assert_allclose(p[:-1], geom.pmf(np.arange(1, 7), stop), rtol=1e-12)
    np.testing.assert_allclose(p[-1], geom.sf(6, stop), rtol=1e-12)


def test_two_classes_are_binary_cross_entropy():
    z, y = Z[:, :1].double(), Y % 2
    torch.testing.assert_close(corn(z, y), binary_cross_entropy_with_logits(z[:, 0], y.double(), reduction="none"))
    torch.testing.assert_close(corn(z, y), cross_entropy(torch.cat([0 * z, z], 1), y, reduction="none"))


def test_the_best_chances_are_the_conditional_shares():
    law = torch.tensor([0.1, 0.4, 0.3, 0.2], dtype=torch.float64)
    tail = law.flip(0).cumsum(0).flip(0)
    best = (tail[1:] / tail[:-1]).logit()
    torch.testing.assert_close(corn_probabilities(best[None])[0], law)
    z = best.expand(4, 3).clone().requires_grad_()
    (slope,) = torch.autograd.grad((law * corn(z, torch.arange(4))).sum(), z)
    assert slope.sum(0).abs().max() < 1e-15


def test_probabilities_of_extreme_logits_are_a_law():
    p = corn_probabilities(EXTREME)
    torch.testing.assert_close(p.sum(1), torch.ones(len(p)))
    z = torch.tensor([[30.0, -40.0, 3.0]])  # rare classes keep their digits
    assert corn_probabilities(z)[0, 2].item() == pytest.approx(math.exp(-40) / (1 + math.exp(3)), rel=5e-6)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32])
def test_integer_types_of_labels(kind):
    assert torch.equal(corn(Z, Y.to(kind)), corn(Z, Y))


REFUSED = [
    (lambda: corn(Z[0], Y), r"corn: 'z' must be \(B, K - 1\).*\(4,\)"),
    (lambda: corn(Z, Y + 1), r"corn: 'target' must lie in 0 \.\. 4.*\(12, 4\).*target\[4\] = 5"),
    (lambda: corn(Z, Y[:, None]), r"corn: 'target' must be \(12,\).*\(12, 1\)"),
    (lambda: corn(Z, Y.float()), r"corn: .*torch\.float32"),
    (lambda: corn_probabilities(Z[:, :0]), r"corn_probabilities: 'z'.*\(12, 0\)"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_wrong_is_refused_and_named(number):
    call, message = REFUSED[number]
    with pytest.raises(UserError, match=message):
        call()

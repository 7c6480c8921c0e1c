"""Multi-label losses: definitions in 60 digits, focal and cross-entropy as special cases, ZLPR's ranking."""

import math
from itertools import product

import pytest
import torch
from exact import assert_exact, assert_half, assert_per_example, assert_smooth, sigma
from mpmath import mp
from scipy.special import logsumexp

from whichloss.errors import UserError
from whichloss.losses import multi_label as M
from whichloss.losses.classification import binary_cross_entropy_with_logits, cross_entropy, focal

generator = torch.Generator().manual_seed(3)
Z = 3 * torch.randn(12, 4, generator=generator)
T = (torch.rand(12, 4, generator=generator) > 0.6).float()
T[0], T[1] = 0, 1  # no label, every label
EXTREME = torch.tensor(list(product([-1e4, 0.0, 1e4], repeat=3)))
EXTREME_T = torch.tensor(list(product([0.0, 1.0], repeat=3))).repeat(4, 1)[:27]
SCORES = torch.tensor([-1e4, -300.0, -88.0, -30.0, -5.0, -2.3, -0.7, 0.0, 0.4, 0.9, 8.0, 16.0, 29.0, 95.0, 1e4])


def side(gamma, clip=0):
    """Cost of a negative with logit z; a positive's is that of a negative with -z and no clip."""

    def cost(z):
        log_odds_against = -mp.log(sigma(-z)) if z < 1e3 else z  # -log(1 - p), beyond any number of digits
        p = sigma(z) - mp.mpf(clip)
        if p <= 0:
            return mp.mpf(0)
        return p ** mp.mpf(gamma) * (-mp.log(1 - p) if clip else log_odds_against)

    return cost


def summed(gamma_pos, gamma_neg, clip):
    pos, neg = side(gamma_pos), side(gamma_neg, clip)
    return lambda z, t: sum(b * pos(-v) + (1 - b) * neg(v) for v, b in zip(z, t, strict=True))


def asymmetric(gamma_pos, gamma_neg, clip):
    loss = lambda z, t: M.asymmetric(z, t, gamma_pos=gamma_pos, gamma_neg=gamma_neg, clip=clip)
    return loss, summed(gamma_pos, gamma_neg, clip)


ASYMMETRIC = {str(s): asymmetric(*s) for s in ((0.0, 4.0, 0.05), (1.0, 2.0, 0.0), (0.5, 0.5, 0.2), (0.0, 0.0, 0.0))}
ZLPR = (
    M.zlpr,
    lambda z, t: (
        mp.log(1 + sum(mp.exp(v) for v, b in zip(z, t, strict=True) if not b))
        + mp.log(1 + sum(mp.exp(-v) for v, b in zip(z, t, strict=True) if b))
    ),
)
LOSSES = {"zlpr": ZLPR, **ASYMMETRIC}
every = pytest.mark.parametrize("name", LOSSES)


@pytest.mark.parametrize("name", ASYMMETRIC)
@pytest.mark.parametrize("label", [0.0, 1.0, 0.3])
def test_asymmetric_is_its_definition(name, label):
    z = SCORES[:, None]
    cancels = 3e-8 if label == 0.3 else 1e-30  # the slopes of the two sides
    assert_exact(*ASYMMETRIC[name], z, torch.full_like(z, label), atol=cancels)


def test_zlpr_is_its_definition():
    assert_exact(*ZLPR, Z, T)
    assert_exact(*ZLPR, EXTREME, EXTREME_T)


@every
def test_gradients_in_float64(name):
    assert_smooth(LOSSES[name][0], Z[:5], T[:5])


@every
def test_examples_do_not_touch_each_other(name):
    assert_per_example(LOSSES[name][0], Z, T)
    assert_half(LOSSES[name][0], EXTREME, EXTREME_T)


def test_special_cases_of_asymmetric():
    z, t = Z.double(), torch.rand(12, 4, generator=generator).double()
    plain = M.asymmetric(z, t, gamma_pos=0, gamma_neg=0, clip=0)
    torch.testing.assert_close(plain, binary_cross_entropy_with_logits(z, t))
    torch.testing.assert_close(M.asymmetric(z, t, gamma_pos=2, gamma_neg=2, clip=0), focal(z, t))
    torch.testing.assert_close(M.asymmetric(z, t, clip=1e-12), M.asymmetric(z, t, clip=0), rtol=1e-9, atol=1e-9)


def test_the_slope_of_a_lost_positive_stays():
    """Where code clamps p at 1e-8 the slope of a positive at logit -20 is -4e-8; it is -1."""
    z = torch.tensor([-20.0, -1e4], requires_grad=True)
    (slope,) = torch.autograd.grad(M.asymmetric(z, torch.ones(2)).sum(), z)
    assert slope.tolist() == pytest.approx([-1, -1])


def test_easy_negatives_cost_nothing():
    z = torch.tensor([-10.0, math.log(0.05 / 0.95) - 1e-4, math.log(0.05 / 0.95) + 1e-2], requires_grad=True)
    for gamma in (0.0, 0.5, 4.0):
        loss = M.asymmetric(z, torch.zeros(3), gamma_neg=gamma)
        (slope,) = torch.autograd.grad(loss.sum(), z)
        assert loss[:2].eq(0).all() and slope[:2].eq(0).all() and loss[2] > 0


def test_zlpr_with_one_label_is_close_to_cross_entropy_with_a_threshold_class():
    """One present label: log(1 + sum e^{z_j}) + log(1 + e^{-z_y}), both cross-entropies against a class of logit 0."""
    z, y = Z.double(), torch.arange(12) % 4
    t = torch.nn.functional.one_hot(y, 4)
    zero = torch.zeros(12, 1).double()
    others = z.masked_fill(t.bool(), -torch.inf)
    below = cross_entropy(torch.cat([zero, others], 1), torch.zeros(12).long())
    above = cross_entropy(torch.cat([zero, z.gather(1, y[:, None])], 1), torch.ones(12).long())
    torch.testing.assert_close(M.zlpr(z, t), below + above)


def test_zlpr_is_the_ranking_loss_of_all_pairs_and_thresholds():
    """log(1 + sum_{neg, pos} e^{z_n - z_p} + sum_neg e^{z_n} + sum_pos e^{-z_p}): the product of the two sums."""
    for z, t in zip(Z.double().numpy(), T.bool().numpy(), strict=True):
        neg, pos = z[~t], z[t]
        terms = [0.0, *neg, *-pos, *(n - p for n in neg for p in pos)]
        got = M.zlpr(torch.tensor(z)[None], torch.tensor(t)[None]).item()
        assert got == pytest.approx(logsumexp(terms), rel=1e-12)


def test_zlpr_knows_rows_without_labels_and_the_order_of_columns_does_not_matter():
    z = Z.double()
    torch.testing.assert_close(M.zlpr(z, torch.zeros_like(z)), torch.log1p(z.exp().sum(1)))
    torch.testing.assert_close(M.zlpr(z, torch.ones_like(z)), torch.log1p((-z).exp().sum(1)))
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(M.zlpr(z[:, order], T[:, order]), M.zlpr(z, T))
    torch.testing.assert_close(M.zlpr(-z, 1 - T), M.zlpr(z, T))
    assert M.zlpr(torch.zeros(1, 6), torch.tensor([[1, 1, 0, 0, 0, 0]])).item() == pytest.approx(math.log(3 * 5))


REFUSED = [
    (lambda: M.asymmetric(Z, T[:, 0]), r"asymmetric: .*one shape; got \(12, 4\) and \(12,\)"),
    (lambda: M.asymmetric(Z, 2 * T), r"asymmetric: 'target' must lie in \[0, 1\]; got target\[1, 0\] = 2"),
    (lambda: M.asymmetric(Z, T, gamma_neg=-1), "'gamma_neg'"),
    (lambda: M.asymmetric(Z, T, gamma_pos=-1), "'gamma_pos'"),
    (lambda: M.asymmetric(Z, T, clip=1.5), "'clip'"),
    (lambda: M.zlpr(Z, T / 2), r"zlpr: 'target' must hold 0 or 1.*target\[1, 0\] = 0\.5"),
    (lambda: M.zlpr(Z, T[:, :3]), r"zlpr: .*one shape; got \(12, 4\) and \(12, 3\)"),
    (lambda: M.zlpr(Z[0], T[0]), r"zlpr: 'z' must be \(B, K\)"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_wrong_is_refused_and_named(number):
    call, message = REFUSED[number]
    with pytest.raises(UserError, match=message):
        call()

"""Long-tail losses: definitions in 60 digits, their equalities, Bayes optima, and the published margins and weights."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from exact import assert_exact, assert_half, assert_per_example, assert_smooth, softmax
from mpmath import mp
from scipy import special
from sklearn.utils.class_weight import compute_class_weight

from whichloss.errors import UserError
from whichloss.losses import long_tail as L
from whichloss.losses.classification import cross_entropy
from whichloss.losses.noisy_labels import generalised_cross_entropy, symmetric_cross_entropy

COUNTS = torch.tensor([500, 60, 3])
PRIOR = COUNTS / COUNTS.sum()
Z = 3 * torch.randn(12, 3, generator=torch.Generator().manual_seed(2))
Y = torch.arange(12) % 3
EXTREME = torch.tensor([r for r in product([-1e4, 0.0, 1e4], repeat=3) if len(set(r)) > 1]).repeat_interleave(3, 0)
EXTREME_Y = torch.arange(len(EXTREME)) % 3
LAW = [mp.mpf(float(p)) for p in PRIOR]


def shifted(z, tau=1):
    return [v + mp.mpf(tau) * mp.log(p) for v, p in zip(z, LAW, strict=True)]


def margins(z, y, margin=0.5, scale=30):
    delta = mp.mpf(margin) * (mp.mpf(3) / int(COUNTS[y])) ** mp.mpf("0.25")
    return -mp.log(softmax([scale * (v - delta * (c == y)) for c, v in enumerate(z)])[y])


LOSSES = {
    "balanced softmax": (
        lambda z, y: L.balanced_softmax(z, y, COUNTS),
        lambda z, y: (
            -mp.log(int(COUNTS[y]) * mp.exp(z[y]) / sum(int(n) * mp.exp(v) for n, v in zip(COUNTS, z, strict=True)))
        ),
    ),
    "logit adjustment": (
        lambda z, y: L.logit_adjustment(z, y, PRIOR, tau=1.5),
        lambda z, y: -mp.log(softmax(shifted(z, 1.5))[y]),
    ),
    "ldam": (lambda z, y: L.ldam(z, y, COUNTS), margins),
    "ldam of plain logits": (
        lambda z, y: L.ldam(z, y, COUNTS, margin=2.0, scale=1.0),
        lambda z, y: margins(z, y, 2, 1),
    ),
    "shift and robust core": (
        lambda z, y: generalised_cross_entropy(L.prior_shift(z, PRIOR), y),
        lambda z, y: (1 - softmax(shifted(z))[y] ** mp.mpf(0.7)) / mp.mpf(0.7),
    ),
    "shift and symmetric core": (
        lambda z, y: symmetric_cross_entropy(L.prior_shift(z, PRIOR), y),
        lambda z, y: -mp.mpf(0.1) * mp.log(softmax(shifted(z))[y]) + 4 * (1 - softmax(shifted(z))[y]),
    ),
}
every = pytest.mark.parametrize("name", LOSSES)


@every
def test_values_and_slopes_are_the_definitions(name):
    """Scaled by 30, or shifted, a logit is rounded once more; at 1e4 its digits end at 5e-4."""
    z = Z / 30 if name == "ldam" else Z
    assert_exact(*LOSSES[name], z, Y, rtol=3e-6, atol=1e-30)
    apart = EXTREME[[len(set(r)) == len(r) for r in EXTREME.tolist()]]
    assert_exact(*LOSSES[name], apart, EXTREME_Y[: len(apart)], rtol=1e-6, atol=1e-30)
    grown = EXTREME.clone().requires_grad_()
    value = LOSSES[name][0](grown, EXTREME_Y)
    assert value.isfinite().all() and torch.autograd.grad(value.sum(), grown)[0].isfinite().all()


@every
def test_gradients_in_float64(name):
    assert_smooth(LOSSES[name][0], Z[:5] / (30 if name == "ldam" else 1), Y[:5])


@every
def test_examples_do_not_touch_each_other(name):
    assert_per_example(LOSSES[name][0], Z, Y)
    assert_half(LOSSES[name][0], EXTREME, EXTREME_Y)


@every
def test_a_constant_added_to_all_logits_changes_nothing(name):
    loss, z = LOSSES[name][0], Z.double()
    torch.testing.assert_close(loss(z + 7, Y), loss(z, Y))


def test_logit_adjustment_is_balanced_softmax():
    z, prior = Z.double(), COUNTS.double() / COUNTS.sum()
    torch.testing.assert_close(L.logit_adjustment(z, Y, prior), L.balanced_softmax(z, Y, COUNTS))
    torch.testing.assert_close(L.logit_adjustment(z, Y, prior, tau=0), cross_entropy(z, Y))
    equal = torch.full((3,), 1 / 3).double()
    torch.testing.assert_close(L.logit_adjustment(z, Y, equal), cross_entropy(z, Y))
    torch.testing.assert_close(L.balanced_softmax(z, Y, 7 * COUNTS), L.balanced_softmax(z, Y, COUNTS))


def test_the_best_logits_are_those_of_equal_classes():
    """P(y | x) = prior_y f_y / sum: the loss is least where softmax(z) = f / sum f, the posterior of equal classes."""
    density = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    prior = COUNTS.double() / COUNTS.sum()
    posterior = prior * density / (prior * density).sum()
    z = density.log().expand(3, 3).clone().requires_grad_()
    (slope,) = torch.autograd.grad((posterior * L.logit_adjustment(z, torch.arange(3), prior)).sum(), z)
    assert slope.sum(0).abs().max() < 1e-15
    after = L.prior_shift(posterior.log()[None], prior, tau=-1)  # the cure at prediction ends in the same place
    np.testing.assert_allclose(special.softmax(after.numpy()), (density / density.sum())[None], rtol=1e-12)


def test_prior_shift_keeps_shape_and_type_of_the_logits():
    for prior in (PRIOR, PRIOR.double()):
        assert L.prior_shift(Z, prior).dtype == torch.float32
    assert L.prior_shift(Z, PRIOR).shape == Z.shape
    torch.testing.assert_close(L.prior_shift(L.prior_shift(Z, PRIOR, tau=2.0), PRIOR, tau=-2.0), Z)


def test_a_prior_and_a_tau_of_every_lane():
    priors, taus = torch.stack([PRIOR, torch.full((3,), 1 / 3)]), torch.tensor([1.0, 2.0])
    lanes = torch.func.vmap(lambda p, t: L.logit_adjustment(Z, Y, p, tau=t))(priors, taus)
    torch.testing.assert_close(lanes[0], L.logit_adjustment(Z, Y, PRIOR))


def test_soft_targets_are_welcome_where_cross_entropy_takes_them():
    one_hot = torch.nn.functional.one_hot(Y, 3).float()
    torch.testing.assert_close(L.logit_adjustment(Z, one_hot, PRIOR), L.logit_adjustment(Z, Y, PRIOR))
    torch.testing.assert_close(L.balanced_softmax(Z, one_hot, COUNTS), L.balanced_softmax(Z, Y, COUNTS))


def test_ldam_gives_the_rarest_class_the_whole_margin():
    """C / n^{1/4}, scaled to .5 at the rarest class (Cao et al., 2019); no margin is plain scaled cross-entropy."""
    counts = torch.tensor([10000, 625, 16, 1])
    z, y = torch.zeros(4, 4).double(), torch.arange(4)
    margin = 0.5 / torch.tensor([10.0, 5.0, 2.0, 1.0]).double()
    expected = torch.log1p(3 * (30 * margin).exp())
    torch.testing.assert_close(L.ldam(z, y, counts), expected)
    torch.testing.assert_close(L.ldam(Z, Y, COUNTS, margin=0, scale=2.0), cross_entropy(2 * Z, Y))


def test_class_balanced_weights_are_the_effective_numbers():
    counts = [5000, 50, 1]
    effective = [sum(0.99**k for k in range(n)) for n in counts]  # 1 + b + ... + b^{n - 1}
    expected = np.array([1 / e for e in effective])
    got = L.class_balanced_weights(torch.tensor(counts), beta=0.99)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, 3 * expected / expected.sum(), rtol=1e-6)


def test_class_balanced_weights_at_both_ends():
    assert L.class_balanced_weights(COUNTS, beta=0).tolist() == [1, 1, 1]
    labels = np.repeat(np.arange(3), COUNTS)
    inverse = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    for beta in (1 - 1e-12, math.nextafter(1, 0)):
        got = L.class_balanced_weights(COUNTS.double(), beta=beta)
        np.testing.assert_allclose(got, 3 * inverse / inverse.sum(), rtol=1e-8)


NO_ROWS = torch.tensor([5.0, 0.0, 2.0])
REFUSED = [
    (
        lambda: L.prior_shift(Z, NO_ROWS / 7),
        r"prior_shift: 'prior' must be finite and above 0; got prior\[1\] = 0\. A cl",
    ),
    (lambda: L.prior_shift(Z, torch.ones(3)), r"prior_shift: .*row 0 sums to 3. Divide by its sum"),
    (lambda: L.prior_shift(Z, PRIOR.log()), r"above 0; got prior\[0\] = -"),
    (lambda: L.prior_shift(Z, torch.ones(4) / 4), r"'prior' must be \(3,\).*\(12, 3\).*got \(4,\)"),
    (lambda: L.prior_shift(Z[0], PRIOR), r"prior_shift: 'z' must be \(B, K\).*\(3,\)"),
    (lambda: L.balanced_softmax(Z, Y, NO_ROWS), r"balanced_softmax: 'counts'.*counts\[1\] = 0"),
    (lambda: L.balanced_softmax(Z, Y, NO_ROWS / 0), r"counts\[0\] = inf"),
    (lambda: L.balanced_softmax(Z, Y, COUNTS[:2]), r"'counts' must be \(3,\)"),
    (lambda: L.balanced_softmax(Z, Y + 1, COUNTS), r"balanced_softmax: 'target'.*target\[2\] = 3"),
    (lambda: L.logit_adjustment(Z, Y + 1, PRIOR), r"logit_adjustment: 'target'.*target\[2\] = 3"),
    (lambda: L.logit_adjustment(Z, Y, NO_ROWS / 7), r"logit_adjustment: 'prior'.*above 0"),
    (lambda: L.ldam(Z, Y + 1, COUNTS), r"ldam: 'target'.*target\[2\] = 3"),
    (lambda: L.ldam(Z, Y, NO_ROWS), r"ldam: 'counts'.*counts\[1\] = 0"),
    (lambda: L.ldam(Z, Y, COUNTS, margin=-1), "ldam: 'margin'"),
    (lambda: L.ldam(Z, Y, COUNTS, scale=-1), "ldam: 'scale'"),
    (lambda: L.class_balanced_weights(NO_ROWS), r"class_balanced_weights: 'counts'.*counts\[1\] = 0"),
    (lambda: L.class_balanced_weights(torch.ones(2, 2)), r"'counts' must be \(K,\)"),
    (lambda: L.class_balanced_weights(COUNTS, beta=1.0), r"'beta' must lie in \[0, 1\); got 1\.0"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_wrong_is_refused_and_named(number):
    call, message = REFUSED[number]
    with pytest.raises(UserError, match=message):
        call()

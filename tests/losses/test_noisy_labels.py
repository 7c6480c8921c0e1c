"""Losses for noisy labels: definitions in 60 digits, their sums over all labels, limits, and what symmetry buys."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from exact import assert_exact, assert_half, assert_per_example, assert_smooth, softmax
from mpmath import mp
from sklearn import metrics

from whichloss.errors import UserError
from whichloss.losses import noisy_labels as N
from whichloss.losses.classification import cross_entropy

K = 4
Z = 3 * torch.randn(12, K, generator=torch.Generator().manual_seed(1))
Y = torch.arange(12) % K
EXTREME = torch.tensor([r for r in product([-1e4, 0.0, 1e4], repeat=3) if len(set(r)) > 1]).repeat_interleave(3, 0)
EXTREME_Y = torch.arange(len(EXTREME)) % 3


def absolute(z, y):
    return sum(abs(p - (c == y)) for c, p in enumerate(softmax(z)))


def reverse(floor):
    return lambda z, y: -sum(p * (0 if c == y else mp.mpf(floor)) for c, p in enumerate(softmax(z)))


def normalised(z, y):
    logs = [mp.log(p) for p in softmax(z)]
    return logs[y] / sum(logs)


LOSSES = {
    "generalised": (N.generalised_cross_entropy, lambda z, y: (1 - softmax(z)[y] ** mp.mpf(0.7)) / mp.mpf(0.7)),
    "generalised, q small": (
        lambda z, y: N.generalised_cross_entropy(z, y, q=1e-3),
        lambda z, y: (1 - softmax(z)[y] ** mp.mpf(1e-3)) / mp.mpf(1e-3),
    ),
    "absolute": (N.mean_absolute, absolute),
    "reverse": (N.reverse_cross_entropy, reverse(-4)),
    "reverse, clipped at 1e-4": (
        lambda z, y: N.reverse_cross_entropy(z, y, floor=math.log(1e-4)),
        reverse(math.log(1e-4)),
    ),
    "symmetric": (
        N.symmetric_cross_entropy,
        lambda z, y: -mp.mpf(0.1) * mp.log(softmax(z)[y]) + reverse(-4)(z, y),
    ),
    "normalised": (N.normalised_cross_entropy, normalised),
    "normalised reverse": (
        lambda z, y: N.normalised_reverse(z, y, alpha=2.0, beta=0.5),
        lambda z, y: 2 * normalised(z, y) + reverse(-4)(z, y) / 2,
    ),
}
every = pytest.mark.parametrize("name", LOSSES)


@every
def test_values_and_slopes_are_the_definitions(name):
    cancels = 3e-8 if "normalised" in name else 1e-30  # a quotient's slope is a difference
    assert_exact(*LOSSES[name], Z, Y, atol=cancels)
    assert_exact(*LOSSES[name], EXTREME, EXTREME_Y, rtol=2e-6 if "small" in name else 1e-6, atol=cancels)


@every
def test_gradients_in_float64(name):
    assert_smooth(LOSSES[name][0], Z[:5], Y[:5])


@every
def test_examples_do_not_touch_each_other(name):
    assert_per_example(LOSSES[name][0], Z, Y)
    assert_half(LOSSES[name][0], EXTREME, EXTREME_Y)


@every
def test_neither_a_shift_nor_the_names_of_the_classes_matter(name):
    loss, order = LOSSES[name][0], torch.tensor([2, 0, 3, 1])
    z = Z.double()
    torch.testing.assert_close(loss(z + 7, Y), loss(z, Y))
    torch.testing.assert_close(loss(z[:, order], order.argsort()[Y]), loss(z, Y))


SUMS = [
    (N.mean_absolute, 2 * (K - 1)),
    (N.reverse_cross_entropy, 4 * (K - 1)),
    (lambda z, y: N.reverse_cross_entropy(z, y, floor=-9.21), 9.21 * (K - 1)),
    (N.normalised_cross_entropy, 1),
    (lambda z, y: N.normalised_reverse(z, y, alpha=2, beta=0.5), 2 + 0.5 * 4 * (K - 1)),
    (lambda z, y: N.generalised_cross_entropy(z, y, q=1.0), K - 1),
]


@pytest.mark.parametrize("number", range(len(SUMS)))
def test_a_symmetric_loss_sums_to_a_constant_over_all_labels(number):
    loss, total = SUMS[number]
    sums = sum(loss(Z.double(), torch.full((12,), c)) for c in range(K))
    torch.testing.assert_close(sums, torch.full((12,), float(total)).double())


def test_cross_entropy_and_its_mixtures_are_not_symmetric():
    for loss in (cross_entropy, N.symmetric_cross_entropy, N.generalised_cross_entropy):
        assert sum(loss(Z, torch.full((12,), c)) for c in range(K)).std() > 0.1


def test_symmetric_losses_keep_their_order_under_uniform_noise():
    """Risk under noise = (1 - r K / (K - 1)) risk + r constant / (K - 1): models are ranked as by clean labels."""
    rate, z = 0.3, Z.double()
    for loss, total in SUMS[:4]:
        each = torch.stack([loss(z, torch.full((12,), c)) for c in range(K)], 1)
        clean = each.gather(1, Y[:, None]).squeeze(1)
        noisy = (1 - rate) * clean + rate / (K - 1) * (each.sum(1) - clean)
        torch.testing.assert_close(noisy, (1 - rate * K / (K - 1)) * clean + rate * total / (K - 1))


def test_generalised_cross_entropy_lies_between_cross_entropy_and_half_the_absolute_error():
    z = Z.double()
    torch.testing.assert_close(N.generalised_cross_entropy(z, Y, q=1e-9), cross_entropy(z, Y), rtol=1e-7, atol=0)
    torch.testing.assert_close(N.generalised_cross_entropy(z, Y, q=1.0), N.mean_absolute(z, Y) / 2)


def test_slope_of_generalised_cross_entropy_is_that_of_cross_entropy_times_a_power():
    z = Z.double().requires_grad_()
    a, b = (torch.autograd.grad(f(z, Y).sum(), z)[0] for f in (N.generalised_cross_entropy, cross_entropy))
    p = z.detach().softmax(1).gather(1, Y[:, None])
    torch.testing.assert_close(a, p**0.7 * b)


def test_mean_absolute_error_is_that_of_scikit_learn():
    p, one_hot = Z.double().softmax(1), torch.nn.functional.one_hot(Y, K)
    expected = K * metrics.mean_absolute_error(one_hot.T, p.T, multioutput="raw_values")
    np.testing.assert_allclose(N.mean_absolute(Z.double(), Y), expected, rtol=1e-12)


def test_reverse_is_absolute_error_and_symmetric_is_their_sum():
    z = Z.double()
    torch.testing.assert_close(N.reverse_cross_entropy(z, Y), 2 * N.mean_absolute(z, Y))  # -A/2 = 2
    expected = 0.3 * cross_entropy(z, Y) + 2 * N.reverse_cross_entropy(z, Y, floor=-5)
    torch.testing.assert_close(N.symmetric_cross_entropy(z, Y, alpha=0.3, beta=2, floor=-5), expected)
    torch.testing.assert_close(N.normalised_reverse(z, Y, beta=0), N.normalised_cross_entropy(z, Y))


def test_levels_at_equal_logits():
    z, y = torch.zeros(1, K), torch.tensor([1])
    levels = {
        N.generalised_cross_entropy: (1 - K**-0.7) / 0.7,
        N.mean_absolute: 2 - 2 / K,
        N.reverse_cross_entropy: 4 - 4 / K,
        N.symmetric_cross_entropy: 0.1 * math.log(K) + 4 - 4 / K,
        N.normalised_cross_entropy: 1 / K,
        N.normalised_reverse: 1 / K + 4 - 4 / K,
    }
    for loss, level in levels.items():
        assert loss(z, y).item() == pytest.approx(level)


def test_a_small_loss_keeps_its_digits():
    z, y = torch.tensor([[40.0, 0.0, 0.0]]), torch.tensor([0])
    for loss, factor in ((N.mean_absolute, 2), (N.reverse_cross_entropy, 4), (N.generalised_cross_entropy, 1)):
        assert loss(z, y).item() == pytest.approx(factor * 2 * math.exp(-40), rel=5e-6)


def test_q_of_every_lane():
    q = torch.tensor([0.3, 0.9])
    lanes = torch.func.vmap(lambda q: N.generalised_cross_entropy(Z, Y, q=q))(q)
    torch.testing.assert_close(lanes[1], N.generalised_cross_entropy(Z, Y, q=0.9))


REFUSED = [
    (lambda: N.generalised_cross_entropy(Z, Y, q=0.0), r"'q' must lie in \(0, 1\]; got 0\.0.*cross_entropy"),
    (lambda: N.generalised_cross_entropy(Z, Y, q=1.5), "'q'.*1.5"),
    (lambda: N.reverse_cross_entropy(Z, Y, floor=4.0), "reverse_cross_entropy: 'floor'.*4"),
    (lambda: N.symmetric_cross_entropy(Z, Y, alpha=-1.0), "symmetric_cross_entropy: 'alpha'"),
    (lambda: N.normalised_reverse(Z, Y, beta=-1.0), "normalised_reverse: 'beta'"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_settings_that_make_no_sense_are_refused(number):
    call, message = REFUSED[number]
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize(
    "name", [n for n in dir(N) if getattr(getattr(N, n), "__module__", "") == N.__name__ and n[0] != "_"]
)
def test_wrong_labels_are_refused_under_the_name_of_the_loss(name):
    loss = getattr(N, name)
    with pytest.raises(UserError, match=rf"^{name}: 'target' must lie in 0 \.\. 3.*target\[3\] = 4"):
        loss(Z, Y + 1)
    with pytest.raises(UserError, match=rf"^{name}: 'z' must be \(B, K\)"):
        loss(Z[:, :1], Y)
    with pytest.raises(UserError, match=rf"^{name}: .*argmax"):
        loss(Z, torch.nn.functional.one_hot(Y))
    with pytest.raises(UserError, match=rf"^{name}: .*got torch\.float32"):
        loss(Z, Z.softmax(1))

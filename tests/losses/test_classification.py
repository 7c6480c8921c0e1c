"""Classification losses against their definitions in 60 digits, torch.nn with every option, scipy, scikit-learn and
their identities."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from exact import assert_exact, assert_half, assert_per_example, assert_smooth, sigma, softmax
from mpmath import mp
from scipy import special, stats
from scipy.optimize import minimize_scalar
from sklearn import metrics
from torch.nn import functional as F

from whichloss.errors import UserError
from whichloss.losses import classification as C

K = 4
generator = torch.Generator().manual_seed(0)
Z = 3 * torch.randn(12, K, generator=generator)
Y = torch.arange(12) % K
SOFT = torch.rand(12, K, generator=generator).softmax(dim=1)
EXTREME = torch.tensor([r for r in product([-1e4, 0.0, 1e4], repeat=3) if len(set(r)) > 1]).repeat_interleave(3, 0)
EXTREME_Y = torch.arange(len(EXTREME)) % 3
SCORES = torch.tensor([-1e4, -300.0, -88.0, -30.0, -2.3, -0.7, 0.0, 0.4, 0.9, 8.0, 29.0, 95.0, 1e4]).repeat(3)[:, None]
LABELS = torch.tensor([0.0, 1.0, 0.3]).repeat_interleave(13)[:, None]  # the last: the probability of a positive
WEIGHT = torch.tensor([0.3, 2.0, 0.0, 1.1])
relu = lambda v: max(v, mp.mpf(0))

MULTI = {  # (loss, definition of one row)
    "cross entropy": (C.cross_entropy, lambda z, y: -mp.log(softmax(z)[y])),
    "smoothed": (
        lambda z, y: C.cross_entropy(z, y, smoothing=0.1),
        lambda z, y: -sum((0.9 * (c == y) + mp.mpf(0.1) / len(z)) * mp.log(p) for c, p in enumerate(softmax(z))),
    ),
    "weighted and smoothed": (
        lambda z, y: C.cross_entropy(z, y, smoothing=0.1, weight=torch.arange(1.0, z.shape[1] + 1)),
        lambda z, y: (
            -sum((c + 1) * (0.9 * (c == y) + mp.mpf(0.1) / len(z)) * mp.log(p) for c, p in enumerate(softmax(z)))
        ),
    ),
    "one-hot": (
        lambda z, y: C.cross_entropy(z, F.one_hot(y, z.shape[1]).to(z)),
        lambda z, y: -mp.log(softmax(z)[y]),
    ),
    "focal": (C.focal_multiclass, lambda z, y: -((1 - softmax(z)[y]) ** 2) * mp.log(softmax(z)[y])),
    "focal .5": (
        lambda z, y: C.focal_multiclass(z, y, gamma=0.5),
        lambda z, y: -mp.sqrt(1 - softmax(z)[y]) * mp.log(softmax(z)[y]),
    ),
    "poly1": (
        lambda z, y: C.poly1(z, y, epsilon=1.7),
        lambda z, y: -mp.log(softmax(z)[y]) + mp.mpf(1.7) * (1 - softmax(z)[y]),
    ),
    "multi margin": (
        lambda z, y: C.multi_margin(z, y, margin=0.75),
        lambda z, y: sum(relu(0.75 - z[y] + v) for c, v in enumerate(z) if c != y) / len(z),
    ),
    "multi margin 2": (
        lambda z, y: C.multi_margin(z, y, p=2),
        lambda z, y: sum(relu(1 - z[y] + v) ** 2 for c, v in enumerate(z) if c != y) / len(z),
    ),
    "squared": (
        lambda z, y: C.squared_one_hot(z, y, scale=3.0, weight=2.0),
        lambda z, y: (2 * (z[y] - 3) ** 2 + sum(v**2 for c, v in enumerate(z) if c != y)) / len(z),
    ),
}
SHIFTED = [n for n in MULTI if n != "squared"]


def two_sided(positive, negative):
    """t times the loss of a positive, 1 - t times that of a negative."""
    return lambda z, t: t[0] * positive(z[0]) + (1 - t[0]) * negative(z[0])


def focal_side(gamma):
    return lambda z: (-((1 - sigma(z)) ** gamma) * mp.log(sigma(z))) if z > -1e3 else -z * sigma(-z) ** gamma


BINARY = {
    "cross entropy": (
        C.binary_cross_entropy_with_logits,
        two_sided(lambda z: mp.log(1 + mp.exp(-z)), lambda z: mp.log(1 + mp.exp(z))),
    ),
    "pos_weight": (
        lambda z, t: C.binary_cross_entropy_with_logits(z, t, pos_weight=torch.tensor([2.5])),
        two_sided(lambda z: 2.5 * mp.log(1 + mp.exp(-z)), lambda z: mp.log(1 + mp.exp(z))),
    ),
    "focal 2": (C.focal, two_sided(focal_side(2), lambda z: focal_side(2)(-z))),
    "focal .5": (
        lambda z, t: C.focal(z, t, gamma=0.5, alpha=0.25),
        two_sided(lambda z: 0.25 * focal_side(0.5)(z), lambda z: 0.75 * focal_side(0.5)(-z)),
    ),
    "squared hinge": (
        C.squared_hinge,
        two_sided(lambda z: relu(1 - z) ** 2, lambda z: relu(1 + z) ** 2),
    ),
}


@pytest.mark.parametrize("name", MULTI)
def test_values_and_slopes_are_the_definitions(name):
    cancels = 3e-8 if "smoothed" in name else 1e-30  # p - t passes through 0
    assert_exact(*MULTI[name], Z, Y, atol=cancels)
    assert_exact(*MULTI[name], EXTREME, EXTREME_Y)


@pytest.mark.parametrize("name", BINARY)
def test_binary_values_and_slopes_are_the_definitions(name):
    assert_exact(*BINARY[name], SCORES[:26], LABELS[:26])
    assert_exact(*BINARY[name], SCORES[26:], LABELS[26:])


@pytest.mark.parametrize("name", MULTI)
def test_gradients_in_float64(name):
    assert_smooth(MULTI[name][0], Z[:5], Y[:5], twice=name != "multi margin 2")


@pytest.mark.parametrize("name", BINARY)
def test_binary_gradients_in_float64(name):
    assert_smooth(BINARY[name][0], SCORES[3:10], LABELS[3:10], twice=name != "squared hinge")


@pytest.mark.parametrize("name", MULTI)
def test_examples_do_not_touch_each_other(name):
    assert_per_example(MULTI[name][0], Z, Y)
    assert_half(MULTI[name][0], EXTREME, EXTREME_Y) if name != "squared" else None


@pytest.mark.parametrize("name", BINARY)
def test_binary_examples_do_not_touch_each_other(name):
    assert_per_example(BINARY[name][0], Z, Y[:, None].gt(0).float().expand(-1, K))
    assert_half(BINARY[name][0], SCORES, LABELS.bfloat16())


@pytest.mark.parametrize("name", SHIFTED)
def test_a_constant_added_to_all_logits_changes_nothing(name):
    loss = MULTI[name][0]
    torch.testing.assert_close(loss(Z.double() + 7, Y), loss(Z.double(), Y))


@pytest.mark.parametrize("name", [n for n in MULTI if "weighted" not in n])
def test_the_names_of_the_classes_do_not_matter(name):
    loss, order = MULTI[name][0], torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(loss(Z[:, order], order.argsort()[Y]), loss(Z, Y))


def test_a_small_loss_keeps_its_digits():
    """log sum exp of all classes is 30 here, and the loss lost in its last digit."""
    z = torch.tensor([[30.0, 0.0, 1.0], [60.0, 0.0, 0.0]])
    y = torch.tensor([0, 0])
    assert F.cross_entropy(z, y, reduction="none").tolist() == [0, 0]
    expected = [math.log1p(math.exp(-30) + math.exp(-29)), 2 * math.exp(-60)]
    for target in (y, F.one_hot(y, 3).float()):
        assert C.cross_entropy(z, target).tolist() == pytest.approx(expected, rel=1e-5)
    assert F.binary_cross_entropy_with_logits(torch.tensor(-30.0), torch.tensor(0.0)) == 0
    small = C.binary_cross_entropy_with_logits(torch.tensor(-30.0), torch.tensor(0.0))
    assert small.item() == pytest.approx(math.exp(-30), rel=1e-6)


# torch.nn


def same(ours, theirs, z, atol=2e-6):
    """Equal values, and equal slopes in z."""
    z = z.clone().requires_grad_()
    a, b = ours(z), theirs(z)
    torch.testing.assert_close(a, b, rtol=1e-6, atol=atol)
    torch.testing.assert_close(*(torch.autograd.grad(v.sum(), z)[0] for v in (a, b)), rtol=1e-6, atol=atol)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("ignore", [-100, 1, -1])
@pytest.mark.parametrize("z", [Z.double(), Z, 1e3 * Z])
def test_cross_entropy_is_that_of_torch(weight, smoothing, ignore, z):
    y = torch.where(torch.arange(12) % 5 == 0, ignore, Y)
    weight = weight if weight is None else weight.to(z)
    ours = {"weight": weight, "ignore_index": ignore, "smoothing": smoothing}
    theirs = {"weight": weight, "ignore_index": ignore, "label_smoothing": smoothing}
    same(
        lambda z: C.cross_entropy(z, y, **ours),
        lambda z: F.cross_entropy(z, y, reduction="none", **theirs),
        z,
        atol=1e-12 if z.dtype == torch.float64 else 2e-6,
    )
    each = C.example_weights(y, weight=weight, ignore_index=ignore)
    torch.testing.assert_close(C.cross_entropy(z, y, **ours).sum() / each.sum(), F.cross_entropy(z, y, **theirs))


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_probabilities_is_that_of_torch(weight, smoothing):
    same(
        lambda z: C.cross_entropy(z, SOFT, weight=weight, smoothing=smoothing),
        lambda z: F.cross_entropy(z, SOFT, weight=weight, label_smoothing=smoothing, reduction="none"),
        Z,
    )
    mean = C.cross_entropy(Z, SOFT, weight=weight).sum() / C.example_weights(SOFT, weight=weight).sum()
    torch.testing.assert_close(mean, F.cross_entropy(Z, SOFT, weight=weight))


def test_all_ignored_is_zero_for_each_and_nan_in_the_mean_of_torch():
    y = torch.full((12,), -100)
    z = Z.clone().fill_(torch.inf).requires_grad_()  # whatever stands there
    loss = C.cross_entropy(z, y, smoothing=0.1)
    (slope,) = torch.autograd.grad(loss.sum(), z)
    assert loss.eq(0).all() and slope.eq(0).all()
    assert C.example_weights(y).sum() == 0 and F.cross_entropy(Z, y).isnan()


def test_a_class_masked_by_minus_infinity_is_left_out():
    z = torch.tensor([[1.0, -torch.inf, 2.0], [-torch.inf, 0.5, -torch.inf]], requires_grad=True)
    y = torch.tensor([0, 1])
    same(lambda z: C.cross_entropy(z, y), lambda z: F.cross_entropy(z, y, reduction="none"), z.detach())


@pytest.mark.parametrize("weight", [None, torch.tensor([0.3, 2.0, 0.0, 1.1]), torch.rand(12, 1), torch.rand(12, K)])
@pytest.mark.parametrize("pos_weight", [None, torch.tensor([3.0, 0.5, 1.0, 0.0]), torch.tensor([2.0])])
def test_binary_cross_entropy_with_logits_is_that_of_torch(weight, pos_weight):
    options = {"weight": weight, "pos_weight": pos_weight}
    for t in (SOFT, F.one_hot(Y, K).float()):
        same(
            lambda z, t=t: C.binary_cross_entropy_with_logits(z, t, **options),
            lambda z, t=t: F.binary_cross_entropy_with_logits(z, t, reduction="none", **options),
            Z,
        )
        ours = C.binary_cross_entropy_with_logits(Z, t, **options)
        torch.testing.assert_close(ours.mean(), F.binary_cross_entropy_with_logits(Z, t, **options))


@pytest.mark.parametrize("weight", [None, torch.rand(12, 1), torch.rand(K)])
def test_binary_cross_entropy_is_that_of_torch(weight):
    p = torch.rand(12, K)
    p[0], p[1, 0] = torch.tensor([0.0, 1.0, 0.0, 1e-30]), 1.0
    for t in (SOFT, F.one_hot(Y, K).float()):
        same(
            lambda p, t=t: C.binary_cross_entropy(p, t, weight=weight),
            lambda p, t=t: F.binary_cross_entropy(p, t, weight=weight, reduction="none"),
            p,
        )


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("margin", [0.5, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_multi_margin_is_that_of_torch(p, margin, weight):
    options = {"p": p, "margin": margin, "weight": weight}
    same(
        lambda z: C.multi_margin(z, Y, **options),
        lambda z: F.multi_margin_loss(z, Y, reduction="none", **options),
        Z,
    )
    torch.testing.assert_close(C.multi_margin(Z, Y, **options).mean(), F.multi_margin_loss(Z, Y, **options))


def test_integer_types_of_labels():
    for kind in (torch.uint8, torch.int16, torch.int32):
        assert torch.equal(C.cross_entropy(Z, Y.to(kind)), C.cross_entropy(Z, Y))
    bits = Y > 1
    assert torch.equal(C.focal(Z[:, 0], bits), C.focal(Z[:, 0], bits.float()))


# scipy and scikit-learn


def test_log_loss_of_scikit_learn():
    p = Z.double().softmax(1)
    expected = metrics.log_loss(Y, p)
    assert C.cross_entropy(Z.double(), Y).mean().item() == pytest.approx(expected, rel=1e-12)
    for target in (Y, F.one_hot(Y, K)):
        assert C.categorical_cross_entropy(p, target).mean().item() == pytest.approx(expected, rel=1e-12)
    weight = WEIGHT.double()
    got = C.cross_entropy(Z.double(), Y, weight=weight).sum() / C.example_weights(Y, weight=weight).sum()
    assert got.item() == pytest.approx(metrics.log_loss(Y, p, sample_weight=weight[Y]), rel=1e-12)
    got = C.binary_cross_entropy(p[:, 0], Y == 0).mean().item()
    assert got == pytest.approx(metrics.log_loss(Y == 0, p[:, 0]), rel=1e-12)


def test_hinge_loss_of_scikit_learn():
    """Its multi-class hinge takes the worst class, ours the mean; with two classes they differ by a factor of 2."""
    z, y = Z[:, :2].double(), Y % 2
    got = 2 * C.multi_margin(z, y).mean()
    assert got.item() == pytest.approx(metrics.hinge_loss(y, z[:, 1] - z[:, 0]), rel=1e-12)
    z = Z.double().flatten()
    t = (torch.arange(len(z)) % 2).double()
    beside = {1: ([1, -1], -9), 0: ([-1, 1], 9)}  # a second example, of the other label, which costs nothing
    pairs = [(a.item(), *beside[int(b)]) for a, b in zip(z, t, strict=True)]
    hinge = [2 * metrics.hinge_loss(labels, [a, other]) for a, labels, other in pairs]
    np.testing.assert_allclose(C.squared_hinge(z, t), np.square(hinge), rtol=1e-12)


def test_helpers_are_those_of_scipy():
    p, z = SOFT.double(), Z.double()
    np.testing.assert_allclose(C.logit(p), special.logit(p.numpy()), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(C.sigmoid(z), special.expit(z.numpy()), rtol=1e-12)
    np.testing.assert_allclose(C.softmax(z), special.softmax(z.numpy(), axis=-1), rtol=1e-12)
    assert C.odds(torch.tensor([0.0, 0.5, 0.75, 1.0])).tolist() == [0, 1, 3, math.inf]
    torch.testing.assert_close(C.odds(p).log(), C.logit(p))
    torch.testing.assert_close(C.sigmoid(C.logit(p)), p)
    for helper in (C.sigmoid, C.softmax):
        assert helper(torch.tensor([1e4, -1e4])).tolist() == [1, 0]
    for helper, at in ((C.odds, p), (C.logit, p), (C.sigmoid, z), (C.softmax, z)):
        assert torch.autograd.gradcheck(helper, at[:3].clone().requires_grad_())


def test_the_logit_is_log_odds_not_a_log_probability():
    z = torch.tensor([0.0, math.log(3)])
    assert C.sigmoid(z).tolist() == pytest.approx([0.5, 0.75])
    torch.testing.assert_close(C.softmax(torch.stack([0 * z, z], 1))[:, 1], C.sigmoid(z))


def test_cross_entropy_is_entropy_plus_divergence():
    p, q = SOFT.double() / SOFT.double().sum(1, keepdim=True), Z.double().softmax(1)
    expected = stats.entropy(p, axis=1) + stats.entropy(p, q, axis=1)
    np.testing.assert_allclose(C.cross_entropy(Z.double(), p), expected, rtol=1e-12)


# identities


def test_slopes_of_cross_entropy():
    z = Z.double().requires_grad_()
    for target, law in ((Y, F.one_hot(Y, K)), (SOFT.double(), SOFT.double())):
        (slope,) = torch.autograd.grad(C.cross_entropy(z, target).sum(), z)
        torch.testing.assert_close(slope, z.softmax(1) - law)
    (slope,) = torch.autograd.grad(C.binary_cross_entropy_with_logits(z, SOFT.double()).sum(), z)
    torch.testing.assert_close(slope, z.sigmoid() - SOFT.double())


def test_levels_at_equal_logits():
    z, y, log = torch.zeros(1, K), torch.tensor([2]), math.log(K)
    levels = {
        C.cross_entropy: log,
        C.focal_multiclass: (1 - 1 / K) ** 2 * log,
        C.poly1: log + 1 - 1 / K,
        C.multi_margin: 1 - 1 / K,
        C.squared_one_hot: 1 / K,
    }
    for loss, level in levels.items():
        assert loss(z, y).item() == pytest.approx(level)
    assert C.focal(torch.zeros(1), torch.ones(1)).item() == pytest.approx(math.log(2) / 4)
    assert C.squared_hinge(torch.zeros(1), torch.ones(1)).item() == 1


def test_two_classes_are_the_binary_loss_of_the_difference():
    z = Z[:, :1].double()
    pair, t = torch.cat([0 * z, z], 1), (Y % 2).double()
    z = z.squeeze(1)
    torch.testing.assert_close(C.cross_entropy(pair, Y % 2), C.binary_cross_entropy_with_logits(z, t))
    torch.testing.assert_close(C.focal_multiclass(pair, Y % 2), C.focal(z, t))
    p = torch.tensor([0.0, 1e-30, 0.2, 1.0], dtype=torch.float64)
    for label in (torch.zeros(4).long(), torch.ones(4).long()):
        expected = C.binary_cross_entropy(p, label)
        torch.testing.assert_close(C.categorical_cross_entropy(torch.stack([1 - p, p], 1), label), expected)
        one_hot = F.one_hot(label, 2)
        torch.testing.assert_close(C.categorical_cross_entropy(torch.stack([1 - p, p], 1), one_hot), expected)


def test_categorical_cross_entropy_is_cross_entropy_of_logits():
    for target in (Y, F.one_hot(Y, K), SOFT):
        z = Z.clone().requires_grad_()
        ours = C.categorical_cross_entropy(z.softmax(1), target)
        other = C.cross_entropy(z, target if target.dtype != torch.int64 or target.ndim == 1 else target.float())
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(*(torch.autograd.grad(v.sum(), z)[0] for v in (ours, other)))
    p = SOFT.double()[:3].requires_grad_()
    assert torch.autograd.gradcheck(lambda p: C.categorical_cross_entropy(p, Y[:3]), p)
    assert torch.autograd.gradcheck(lambda p: C.categorical_cross_entropy(p, SOFT[:3]), p)
    assert torch.autograd.gradcheck(lambda p: C.binary_cross_entropy(p, SOFT[:3]), p)


def test_a_probability_of_zero_stays_finite():
    p = torch.tensor([[0.0, 1.0]], requires_grad=True)
    for target in (torch.tensor([0]), torch.tensor([[1.0, 0.0]])):
        loss = C.categorical_cross_entropy(p, target)
        (slope,) = torch.autograd.grad(loss.sum(), p)
        assert loss.item() == 100 and slope.isfinite().all() and slope[0, 0] < -1e11
    sure = torch.tensor([[1.0, 0.0]])
    assert C.categorical_cross_entropy(sure, sure).item() == 0


def test_label_smoothing_is_a_soft_target_and_a_divergence_from_uniform():
    z, e, soft = Z.double(), 0.1, 0.9 * F.one_hot(Y, K).double() + 0.1 / K
    smooth = C.cross_entropy(z, Y, smoothing=e)
    torch.testing.assert_close(smooth, C.cross_entropy(z, soft))
    divergence = torch.tensor(stats.entropy(np.full((12, K), 1 / K), z.softmax(1), axis=1))
    torch.testing.assert_close(smooth, (1 - e) * C.cross_entropy(z, Y) + e * (divergence + math.log(K)))


def test_pos_weight_copies_the_positives():
    """Under a sum; the best logit of rows alike moves by log k."""
    z, t = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([1.0, 0.0, 1.0])
    copies = torch.tensor([0, 0, 0, 1, 2, 2, 2])
    weighted = C.binary_cross_entropy_with_logits(z, t, pos_weight=torch.tensor(3.0))
    plain = C.binary_cross_entropy_with_logits(z[copies], t[copies])
    torch.testing.assert_close(weighted.sum(), plain.sum())
    assert not torch.isclose(weighted.mean(), plain.mean())
    best = torch.tensor(math.log(0.2 / 0.8) + math.log(3.0), requires_grad=True)
    loss = C.binary_cross_entropy_with_logits(best, torch.tensor(0.2), pos_weight=torch.tensor(3.0))
    assert abs(torch.autograd.grad(loss, best)[0].item()) < 1e-6


def test_focal_without_focus_is_cross_entropy():
    z, t = Z.double(), SOFT.double()
    torch.testing.assert_close(C.focal(z, t, gamma=0), C.binary_cross_entropy_with_logits(z, t))
    torch.testing.assert_close(C.focal_multiclass(z, Y, gamma=0), C.cross_entropy(z, Y))
    half = 0.5 * C.binary_cross_entropy_with_logits(z, t)
    torch.testing.assert_close(C.focal(z, t, gamma=0, alpha=0.5), half)


@pytest.mark.parametrize(("gamma", "best"), [(0, 0.8), (1, 0.686), (2, 0.627), (5, 0.562)])
def test_focal_is_improper(gamma, best):
    """Of a label that is 1 with probability .8 the least loss lies at another p."""
    t = torch.tensor(0.8, dtype=torch.float64)
    risk = lambda z: C.focal(torch.tensor(z, dtype=torch.float64), t, gamma=gamma).item()
    z = minimize_scalar(risk, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9}).x
    assert special.expit(z) == pytest.approx(best, abs=5e-4)


def test_poly1_without_its_term_is_cross_entropy_and_at_minus_one_starts_at_the_second():
    z = Z.double()
    torch.testing.assert_close(C.poly1(z, Y, epsilon=0), C.cross_entropy(z, Y))
    miss = 1 - z.softmax(1).gather(1, Y[:, None]).squeeze(1)
    series = sum(miss**j / j for j in range(2, 4000))
    near = miss < 0.95
    torch.testing.assert_close(C.poly1(z, Y, epsilon=-1)[near], series[near])


def test_best_scores_of_the_squared_losses():
    """E of a label: probabilities for the one-hot loss, 2 P - 1 for the hinge."""
    law = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    z = law.expand(3, 3).clone().requires_grad_()
    (slope,) = torch.autograd.grad((law * C.squared_one_hot(z, torch.arange(3))).sum(), z)
    assert slope.sum(0).abs().max() < 1e-15
    best = torch.tensor(2 * 0.8 - 1, requires_grad=True)
    assert abs(torch.autograd.grad(C.squared_hinge(best, torch.tensor(0.8)), best)[0].item()) < 1e-6


def test_settings_may_be_tensors_one_for_each_lane():
    gammas = torch.tensor([0.0, 2.0])
    lanes = torch.func.vmap(lambda z, y, g: C.focal_multiclass(z, y, gamma=g), (None, None, 0))(Z, Y, gammas)
    torch.testing.assert_close(lanes[1], C.focal_multiclass(Z, Y))
    lanes = torch.func.vmap(lambda e: C.cross_entropy(Z, Y, smoothing=e))(torch.tensor([0.0, 0.1]))
    torch.testing.assert_close(lanes, torch.stack([C.cross_entropy(Z, Y, smoothing=e) for e in (0.0, 0.1)]))


def test_a_loss_can_be_traced():
    from torch.fx.experimental.proxy_tensor import make_fx

    step = lambda z, y: torch.func.grad(lambda z: C.cross_entropy(z, y, smoothing=0.1).mean())(z)
    torch.testing.assert_close(make_fx(step)(Z, Y)(2 * Z, Y), step(2 * Z, Y))


# what is refused

BAD = torch.tensor([0, 1, 7, 2])
REFUSED = [
    (lambda: C.cross_entropy(torch.zeros(4), BAD), r"cross_entropy: 'z' must be \(B, K\).*\(4,\)"),
    (
        lambda: C.cross_entropy(torch.zeros(4, 1), BAD),
        r"cross_entropy: 'z'.*\(4, 1\).*binary_cross_entropy_with_logits",
    ),
    (lambda: C.cross_entropy(torch.zeros(4, 3, 2), BAD), r"cross_entropy: 'z'.*\(4, 3, 2\).*movedim"),
    (lambda: C.cross_entropy(torch.zeros(4, 3), BAD), r"'target' must lie in 0 \.\. 2 .*target\[2\] = 7"),
    (lambda: C.cross_entropy(torch.zeros(4, 3), BAD - 3), r"target\[0\] = -3"),
    (lambda: C.cross_entropy(torch.zeros(4, 3), BAD[:, None]), r"'target' must be \(4,\).*\(4, 1\).*squeeze"),
    (lambda: C.cross_entropy(torch.zeros(4, 3), torch.zeros(4)), r"probabilities.*\(4, 3\).*\(4,\).*target\.long\(\)"),
    (lambda: C.cross_entropy(torch.zeros(4, 3), torch.zeros(4, 3)), r"row 0 sums to 0"),
    (lambda: C.cross_entropy(torch.zeros(1, 3), torch.tensor([[2.0, -1, 0]])), r"target\[0, 1\] = -1"),
    (lambda: C.cross_entropy(torch.zeros(1, 3), torch.tensor([[math.nan, 1, 0]])), r"target\[0, 0\] = nan"),
    (lambda: C.cross_entropy(Z, SOFT, ignore_index=3), "ignore_index = 3"),
    (lambda: C.cross_entropy(Z, Y, weight=torch.ones(3)), r"'weight' must be \(4,\).*\(3,\)"),
    (lambda: C.cross_entropy(Z, SOFT, weight=torch.ones(3)), r"'weight' must be \(4,\).*\(3,\)"),
    (lambda: C.cross_entropy(Z, Y, smoothing=1.1), r"'smoothing' must lie in \[0, 1\]; got 1\.1"),
    (lambda: C.cross_entropy(Z, Y > 1), r"class numbers as integers; got torch\.bool"),
    (lambda: C.focal_multiclass(Z, Y.float()), r"focal_multiclass: .*integers; got torch\.float32"),
    (lambda: C.focal_multiclass(Z, Y, gamma=-1), "'gamma'.*-1"),
    (lambda: C.focal(Z, Y), r"focal: .*one shape; got \(12, 4\) and \(12,\)"),
    (lambda: C.focal(Z[:, 0], Y), r"focal: 'target' must lie in \[0, 1\]; got target\[2\] = 2"),
    (lambda: C.focal(Z[:, 0], Y > 1, alpha=2), "'alpha'"),
    (lambda: C.binary_cross_entropy_with_logits(Z[:, :1], Y > 1), r"one shape; got \(12, 1\) and \(12,\)"),
    (lambda: C.binary_cross_entropy_with_logits(Z, SOFT - 1), r"target\[0, 0\] = -.*\+-1 are \(labels \+ 1\) / 2"),
    (lambda: C.binary_cross_entropy_with_logits(Z, SOFT, weight=torch.ones(12)), r"'weight' must broadcast.*\(12,\)"),
    (
        lambda: C.binary_cross_entropy_with_logits(Z, SOFT, pos_weight=torch.ones(1, 1, 4)),
        "'pos_weight' must broadcast",
    ),
    (lambda: C.binary_cross_entropy(Z, SOFT), r"'p' must lie in \[0, 1\].*binary_cross_entropy_with_logits"),
    (lambda: C.binary_cross_entropy(SOFT, SOFT[:, 0]), "one shape"),
    (lambda: C.binary_cross_entropy(SOFT, SOFT, weight=torch.ones(3)), "'weight' must broadcast"),
    (lambda: C.categorical_cross_entropy(Z, Y), r"categorical_cross_entropy: 'p'.*Apply softmax first"),
    (lambda: C.categorical_cross_entropy(SOFT, Y + 1), r"target\[3\] = 4"),
    (lambda: C.categorical_cross_entropy(SOFT, SOFT[:, :3]), r"\(12, 4\); got \(12, 3\)"),
    (lambda: C.categorical_cross_entropy(SOFT, 2 * SOFT), "row 0 sums to 2"),
    (lambda: C.categorical_cross_entropy(Y[:, None].expand(-1, 4), Y), r"floating-point type; got torch\.int64"),
    (lambda: C.poly1(Z, Y, epsilon=-2), "'epsilon'.*-2"),
    (lambda: C.poly1(Z, Y + 1), r"poly1: 'target'.*target\[3\] = 4"),
    (lambda: C.multi_margin(Z, Y, p=3), "'p' must be 1 or 2; got 3"),
    (lambda: C.multi_margin(Z, Y, weight=torch.ones(5)), "'weight'"),
    (lambda: C.multi_margin(Z, Y[:5]), r"multi_margin: 'target' must be \(12,\)"),
    (lambda: C.squared_hinge(torch.zeros(2), torch.tensor([-1, 1])), r"squared_hinge: .*labels \+ 1"),
    (lambda: C.squared_one_hot(Z, Y, weight=-1), "'weight'"),
    (lambda: C.squared_one_hot(Z, Y + 1), r"squared_one_hot: .*target\[3\] = 4"),
    (lambda: C.odds(torch.tensor([1.5])), r"odds: 'p'.*p\[0\] = 1\.5"),
    (lambda: C.logit(torch.tensor(-0.1)), "logit: 'p'"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_wrong_is_refused_and_named(number):
    call, message = REFUSED[number]
    with pytest.raises(UserError, match=message):
        call()

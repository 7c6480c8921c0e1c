"""Closed forms of the examples against quadrature, differences, sums and the numbers of the literature."""

import math

import numpy as np
import pytest
from replay.laws import (
    LN2,
    bce_of_modes,
    js_normals,
    js_uniforms,
    kl_normals,
    kl_uniforms,
    modes_of_bce,
    steepest,
    tv_normals,
    w1_shift,
)
from scipy.integrate import quad
from scipy.stats import entropy, norm, wasserstein_distance


@pytest.mark.parametrize("gap", [0.3, 1.0, 2.5])
def test_divergences_of_normals_are_their_integrals(gap: float) -> None:
    p, q = norm(0, 0.5), norm(gap, 0.5)
    ends = (-6, gap + 6)

    def js(x: float) -> float:
        half = (p.pdf(x) + q.pdf(x)) / 2
        return 0.5 * sum(d.pdf(x) * (d.logpdf(x) - math.log(half)) for d in (p, q)) if half > 0 else 0.0

    assert js_normals(gap, 0.5)[0] == pytest.approx(quad(js, *ends, limit=300, points=(0, gap))[0], abs=1e-7)
    kl = quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), *ends, points=(0, gap))[0]
    assert kl_normals(gap, 0.5)[0] == pytest.approx(kl, rel=1e-6)
    tv = quad(lambda x: abs(p.pdf(x) - q.pdf(x)) / 2, *ends, points=(0, gap / 2, gap), limit=300)[0]
    assert tv_normals(gap, 0.5) == pytest.approx(tv, abs=1e-6)


@pytest.mark.parametrize("gap", [0.3, 1.0, 1.5, 2.5])
def test_slopes_are_differences(gap: float) -> None:
    h = 1e-4
    forms = [lambda d: js_normals(d, 0.5), lambda d: kl_normals(d, 0.5), js_uniforms, w1_shift]
    for form in forms if gap != 1.0 else forms[:2] + forms[3:]:  # JS of uniforms has a kink at 1
        difference = (form(gap + h)[0] - form(gap - h)[0]) / (2 * h)
        assert form(gap)[1] == pytest.approx(difference, abs=1e-5)


@pytest.mark.parametrize("gap", [0.25, 0.5, 1.0, 2.0])
def test_distances_of_uniforms_are_sums(gap: float) -> None:
    x = np.arange(4000) / 1000 + 0.0005
    p, q = ((x > 0) & (x < 1)) / 1000, ((x > gap) & (x < gap + 1)) / 1000
    half = (p + q) / 2
    assert js_uniforms(gap)[0] == pytest.approx((entropy(p, half) + entropy(q, half)) / 2, abs=1e-3)
    assert np.isinf(entropy(p, q)) and kl_uniforms(gap)[0] == math.inf
    assert w1_shift(gap)[0] == pytest.approx(wasserstein_distance(x, x, p, q), abs=1e-3)


def test_js_saturates_where_w1_does_not() -> None:
    value, slope = js_normals(6.0, 0.5)
    assert value == pytest.approx(LN2, abs=1e-8) and abs(slope) < 1e-7
    assert js_uniforms(3.0) == (LN2, 0.0)
    assert w1_shift(6.0) == (6.0, 1.0)


@pytest.mark.parametrize(
    ("modes", "covered", "loss"),
    [(8, 1, 0.3924), (8, 2, 0.6255), (8, 4, 0.9548), (8, 7, 1.2955), (8, 8, 1.3863), (25, 1, 0.1695), (25, 24, 1.3582)],
)
def test_loss_of_lost_modes_and_back(modes: int, covered: int, loss: float) -> None:
    # the best critic of two discrete laws: p uniform on all modes, q uniform on those covered
    p, q = np.full(modes, 1 / modes), np.r_[np.full(covered, 1 / covered), np.zeros(modes - covered)]
    best = -(p * np.log(p / (p + q))).sum() - (q[q > 0] * np.log(q[q > 0] / (p + q)[q > 0])).sum()
    assert bce_of_modes(covered, modes) == pytest.approx(best, abs=1e-12)
    assert best == pytest.approx(loss, abs=5e-5)
    assert modes_of_bce(best, modes) == pytest.approx(covered, abs=1e-6)


def test_losses_beyond_the_levels_are_no_and_all_modes() -> None:
    assert modes_of_bce(-0.1, 8) == 0.0
    assert modes_of_bce(1.5, 8) == 8.0


def test_steepest_slope_is_reached_by_weights_at_the_clip() -> None:
    clip, width = 0.1, 32
    layers = [np.full((width, 1), clip), np.full((width, width), clip), np.full((1, width), clip)]
    rise = (layers[2] @ layers[1] @ layers[0]).item()  # all weights positive: a ReLU network is linear for x > 0
    assert steepest(clip, width, 2) == pytest.approx(rise)
    assert steepest(0.01, 64, 1) == pytest.approx(0.0064)

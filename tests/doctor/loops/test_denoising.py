"""Denoisers: what they explain, whether they look at the noise level, and what is in their input."""

import numpy as np
import pytest

from .case import Case, found
from .traces import denoiser, flat, having, noised, normal


def wanted(change):
    """The same inputs, another target."""
    x, level, noise, error, late = noised(end=0.5)
    return x, level, change(noise.astype(np.float64)), error, late


def exactly(mean=0.0, variance=1.0):
    """A change of noise to these moments."""
    return lambda noise: (noise - noise.mean()) / noise.std() * variance**0.5 + mean


def mixed(share):
    """A change of noise to a mixture with signs, whose kurtosis is 3 - 2 share^2."""
    signs = np.sign(np.random.default_rng(0).normal(size=(1000, 32)))
    return lambda noise: exactly()(noise) * (1 - share) ** 0.5 + signs * share**0.5


def first(n, parts=None):
    """As many rows, spread over the levels, late ones."""
    return tuple(part[:: 1000 // n // 2 * 2][:n] for part in parts or noised(end=0.5))


def left(more, share=1.0, late=True):
    """The network leaves so much more than a line in a share of the noisiest fifth's rows, or only early on."""
    x, level, noise, error, new = noised()
    fifth = level > 0.8
    line = np.polynomial.Polynomial.fit(x[fifth].ravel(), noise[fifth].ravel(), 1)
    unknown = ((noise[fifth] - line(x[fifth])) ** 2).mean() / (noise[fifth] ** 2).mean()
    some = fifth & (new == late) & (np.arange(len(x)) % round(1 / share) == 0)
    error = np.where(some[:, None], noise * np.sqrt((unknown + more) / share), error)
    return x, level, noise, error, new


def sized(size, **how):
    """Data of another variance, in the input alone."""
    return noised(size=size**0.5, **how)


LINE = "worse than a line at some levels"
NOTHING, CUT_SHORT = "denoiser explains nothing", "schedule ends before the noise"
CASES = [
    Case("given_away", "contract: target in the input", denoiser, "loss: fact given away", 1.0, 0.0),
    Case("denoiser", NOTHING, denoiser, "loss: explained", 0.0499, 0.05, window=0.25),
    Case("denoiser", NOTHING, denoiser, "loss: fact given away", 0.0, 1.0, {"loss: explained": 0.0}),
    Case("denoiser", NOTHING, denoiser, "loss: denoised", noised(), (), {"loss: explained": 0.0}),
    Case("denoiser", "noise level ignored", denoiser, "loss: change with level", 9.9e-4, 1e-3),
    Case("denoiser", LINE, denoiser, "loss: denoised", left(0.17), left(0.13)),
    Case("denoiser", LINE, denoiser, "loss: denoised", left(0.3), left(0.3, late=False)),  # what was early is past
    Case("denoiser", LINE, denoiser, "loss: denoised", left(0.3), left(0.3, share=0.02)),  # two rows show nothing
    Case("denoiser", LINE, denoiser, "loss: denoised", first(100, left(0.5)), first(99, left(0.5))),
    Case("denoiser", CUT_SHORT, denoiser, "loss: denoised", noised(end=0.07), noised(end=0.03)),
    Case("denoiser", CUT_SHORT, denoiser, "loss: denoised", wanted(exactly(mean=0.099)), wanted(exactly(mean=0.101))),
    Case("denoiser", CUT_SHORT, denoiser, "loss: denoised", wanted(exactly(mean=-0.09)), wanted(exactly(mean=-0.11))),
    Case("denoiser", CUT_SHORT, denoiser, "loss: denoised", wanted(exactly(variance=1.14)),
         wanted(exactly(variance=1.16))),
    Case("denoiser", CUT_SHORT, denoiser, "loss: denoised", wanted(exactly(variance=0.86)),
         wanted(exactly(variance=0.84))),
    Case("denoiser", CUT_SHORT, denoiser, "loss: denoised", wanted(mixed(0.45)), wanted(mixed(0.55))),  # its kurtosis
    Case("denoiser", CUT_SHORT, denoiser, "loss: denoised", first(400), first(399)),
    Case("denoiser", "scale of noised data", denoiser, "loss: denoised", sized(2.0), sized(1.55)),
    Case("denoiser", "scale of noised data", denoiser, "loss: denoised", sized(4, end=0.3), sized(4, end=0.4),
         also={CUT_SHORT}),  # too little noise at either end to tell
]  # fmt: skip


def test_noise_that_grows_until_it_covers_everything_has_its_scale():
    """x + sigma eps, sigma from .01 to 10: told by the noisiest input, whichever end of the levels that is."""
    _, level, noise, error, late = noised()
    data = np.sign(normal(*noise.shape, seed=7))
    for levels, most, said in ((level, 10, {}), (1 - level, 10, {}), (level, 1, {CUT_SHORT, "scale of noised data"})):
        x = data + most * levels[:, None] ** 2 * noise
        loss = having(denoiser(), {"loss: denoised": (x, level, noise, error, late)})
        assert set(found("denoiser", loss)) - {LINE} == set(said)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_finding_starts_at_its_threshold(case):
    case.check()


def test_levels_may_run_either_way():
    """Noise levels count up or down: the noisier end is the one that tells."""
    x, level, noise, error, late = noised()
    assert found("denoiser", having(denoiser(), {"loss: denoised": (x, -level, noise, error, late)})) == {}


def test_equal_variances_of_any_size_are_no_change_of_scale():
    x, level, noise, error, late = noised()
    assert found("denoiser", having(denoiser(), {"loss: denoised": (1.4 * x, level, noise, error, late)})) == {}
    small = x * np.sqrt(0.5 + 0.5 * level)[:, None]  # from half to 1: the ratio alone is not it
    assert found("denoiser", having(denoiser(), {"loss: denoised": (small, level, noise, error, late)})) == {}


def test_a_target_of_another_width_than_the_input_is_not_compared_with_it():
    """Where a condition is put beside the noised row."""
    x, level, noise, error, late = noised(end=0.5)
    beside = np.concatenate([x, x], axis=1)
    assert found("denoiser", having(denoiser(), {"loss: denoised": (beside, level, noise, error, late)})) == {}


def test_curves_that_are_missing_say_nothing():
    for name in ("explained", "change with level"):
        assert found("denoiser", having(denoiser(), {f"loss: {name}": flat(float("nan"))})) == {}

"""Diagnostics against published numbers, autoregressions, and the sums of the paper written out."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from whichloss.errors import UserError
from whichloss.samplers import autocorrelation, doubts, e_bfmi, ess, split_rhat
from whichloss.samplers.diagnostics import _geyer, _rhat


def autoregression(rho, n, chains, seed=0):
    """x_i = rho x_{i-1} + sqrt(1 - rho^2) z_i, from its own law: autocorrelation rho^k."""
    z = np.random.default_rng(seed).normal(size=(n, chains))
    x = z.copy()
    for i in range(1, n):
        x[i] = rho * x[i - 1] + math.sqrt(1 - rho**2) * z[i]
    return torch.from_numpy(x)


def plain_ess(x):
    """Stan's sums, lag by lag, of chains (n, m)."""
    n, m = x.shape
    mean = x.mean(axis=0)
    within = x.var(axis=0, ddof=1).mean()
    pooled = within * (n - 1) / n + (mean.var(ddof=1) if m > 1 else 0)

    def rho(k):
        covariance = ((x[: n - k] - mean) * (x[k:] - mean)).sum(axis=0) / n
        return 1 - (within - covariance.mean() * n / (n - 1)) / pooled

    pairs, k = [1 + rho(1)], 2
    while k + 1 < n and (pair := rho(k) + rho(k + 1)) > 0:
        pairs.append(min(pairs[-1], pair))
        k += 2
    return n * m / max(2 * sum(pairs) - 1, 1 / math.log10(n * m))


def halves(x):
    n = len(x) // 2
    return np.concatenate([x[:n], x[-n:]], axis=1)


def scores(x):
    return stats.norm.ppf((stats.rankdata(x).reshape(x.shape) - 3 / 8) / (x.size + 1 / 4))


def plain_rhat(x):
    n = len(x)
    within = x.var(axis=0, ddof=1).mean()
    return math.sqrt((n - 1) / n + x.mean(axis=0).var(ddof=1) / within)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_published_numbers(dtype):
    """Those that numpyro's tests hold its own diagnostics to (there without the split)."""
    x, close = torch.arange(1000.0, dtype=dtype).reshape(100, 10).T, 1e-6 if dtype == torch.float64 else 1e-3
    assert float(_geyer(x, unbiased=True)) == pytest.approx(52.640186, abs=close)
    two = torch.stack([torch.arange(10.0), torch.arange(1.0, 11.0)], dim=1).to(dtype)
    assert float(_rhat(two)) == pytest.approx(0.977008, abs=1e-6)
    rho = autocorrelation(torch.arange(10.0, dtype=dtype)[:, None])[:, 0]
    assert rho[:5].tolist() == pytest.approx([1, 0.7778, 0.5152, 0.2121, -0.1313], abs=5e-5)
    assert float(rho[9]) == pytest.approx(-2.4545, abs=5e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.9])
def test_ess_of_an_autoregression(rho, dtype):
    """S (1 - rho) / (1 + rho), one column and two; at rho = .9 finite chains are known to give some percent less."""
    x = autoregression(rho, 4000, 8).to(dtype).reshape(4000, 4, 2)
    for draws in (x, x[..., 0]):
        for kind in ("mean", "bulk"):
            found = ess(draws, kind).reshape(-1).tolist()
            assert found == pytest.approx([16_000 * (1 - rho) / (1 + rho)] * len(found), rel=0.2)
    for k in (1, 3):
        torch.testing.assert_close(autocorrelation(x)[k].mean(0), torch.full((2,), rho**k).double(), rtol=0, atol=0.05)


@pytest.mark.parametrize(("n", "chains", "rho"), [(100, 4, 0.6), (101, 1, 0.3), (37, 3, -0.7), (8, 2, 0.0)])
def test_against_the_sums_written_out(n, chains, rho):
    x = autoregression(rho, n, chains, seed=n).numpy()
    x[n // 2 :: 3] = x[n // 3]  # ties, as refusals make them
    mine, split = torch.from_numpy(x), halves(x)
    folded = np.abs(split - np.median(split))
    tails = [plain_ess(halves((x <= np.quantile(x, q)).astype(float))) for q in (0.05, 0.95)]
    assert float(ess(mine, "mean")) == pytest.approx(plain_ess(split), rel=1e-9)
    assert float(ess(mine, "bulk")) == pytest.approx(plain_ess(scores(split)), rel=1e-9)
    assert float(ess(mine, "tail")) == pytest.approx(min(tails), rel=1e-9)
    assert float(split_rhat(mine, "plain")) == pytest.approx(plain_rhat(split), rel=1e-9)
    ranked = max(plain_rhat(scores(split)), plain_rhat(scores(folded)))
    assert float(split_rhat(mine)) == pytest.approx(ranked, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("d", [1, 2])
def test_rhat_of_a_shifted_chain(d, dtype):
    """One of four chains shifted by 1: sqrt(1 + B / W), B = 1/4 over whole chains, 1.5 / 7 over their halves."""
    x = autoregression(0.0, 20_000, 4 * d).to(dtype).reshape(20_000, 4, d)
    assert split_rhat(x, "plain").tolist() == pytest.approx([1] * d, abs=2e-3)
    x[:, 0] += 1
    assert split_rhat(x, "plain").tolist() == pytest.approx([math.sqrt(1 + 1.5 / 7)] * d, abs=6e-3)
    for k in range(d):
        assert float(_rhat(x[..., k].double())) == pytest.approx(math.sqrt(1.25), abs=6e-3)  # 1.118


def test_only_the_folded_ranks_see_a_chain_of_another_width():
    x = autoregression(0.0, 2000, 4)
    x[:, 0] *= 4
    assert float(split_rhat(x, "plain")) < 1.01 < 1.1 < float(split_rhat(x))


def test_heavy_tails_and_monotone_maps_leave_ranks_alone():
    x = autoregression(0.5, 500, 4)
    for kind in ("bulk", "tail"):
        assert torch.equal(ess(x, kind), ess(x.exp() ** 3, kind))
    cauchy = torch.tan(math.pi * (torch.special.ndtr(x) - 0.5))
    assert torch.equal(ess(cauchy, "bulk"), ess(x, "bulk"))
    assert float(split_rhat(cauchy)) < 1.05


def test_a_drift_is_seen_in_one_chain_and_a_stuck_chain_is_no_number():
    x = autoregression(0.0, 200, 1) + torch.linspace(0, 5, 200)[:, None]
    assert float(split_rhat(x)) > 1.5
    assert ess(torch.ones(50, 3)).isnan() and split_rhat(torch.ones(50, 3)).isnan()
    assert autocorrelation(torch.ones(5, 1)).isnan().all()


def test_every_coordinate_by_itself_in_any_shape_and_precision():
    x = autoregression(0.3, 60, 24).reshape(60, 4, 3, 2)
    for measure in (ess, split_rhat):
        whole = measure(x)
        assert whole.shape == (3, 2) and whole.dtype == torch.float64
        assert torch.equal(whole[1, 0], measure(x[:, :, 1, 0]))
        torch.testing.assert_close(measure(x.float()), whole, rtol=2e-3, atol=0)
    assert autocorrelation(x).shape == x.shape


def test_e_bfmi():
    """Independent energies: 2 (1 - 1 / n); an autoregression: 2 (1 - rho)."""
    assert e_bfmi(autoregression(0.0, 20_000, 3)).tolist() == pytest.approx([2] * 3, abs=0.06)
    assert e_bfmi(autoregression(0.9, 20_000, 3)).tolist() == pytest.approx([0.2] * 3, abs=0.03)
    assert e_bfmi(torch.tensor([[0.0], [1.0], [0.0], [1.0]])).item() == 3


@pytest.mark.parametrize("draws", [torch.zeros(3, 2), torch.zeros(10)])
def test_too_few_draws_are_refused(draws):
    with pytest.raises(UserError, match=r"n >= 4; got shape"):
        ess(draws)
    with pytest.raises(UserError, match="split_rhat needs"):
        split_rhat(draws)


def test_unknown_kinds_are_refused():
    with pytest.raises(UserError, match="got 'median'"):
        ess(torch.zeros(9, 2), "median")
    with pytest.raises(UserError, match="got 'bulk'"):
        split_rhat(torch.zeros(9, 2), "bulk")


def test_chains_that_never_moved_have_no_effective_draws():
    stuck = torch.randn(1, 8, 2).expand(100, 8, 2)
    assert ess(stuck, "bulk").isnan().all() and ess(stuck, "mean").isnan().all()


def test_doubts_name_what_speaks_against_draws():
    good = {"divergences": 0.0, "rhat": 1.003, "ess_bulk": 900.0, "ess_tail": 500.0, "ebfmi": 1.0}
    assert doubts(good) == [] == doubts({})
    for name, value, says in (
        ("divergences", 3.0, "3 proposals diverged"),
        ("rhat", 1.04, "1.04, not below 1.01"),
        ("rhat", math.nan, "have not mixed"),
        ("ess_bulk", 66.0, "ess_bulk is 66"),
        ("ess_tail", math.nan, "the tails"),
        ("ebfmi", 0.1, "momenta"),
    ):
        (said,) = doubts(good | {name: value})
        assert says in said

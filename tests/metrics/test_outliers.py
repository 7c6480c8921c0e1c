"""Scores of rows and of outliers: ranks, closed forms for Gaussians, scikit-learn."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sklearn

from whichloss.errors import UserError
from whichloss.metrics.outliers import auroc_error, detection, free_energy


def both(m=300, n=70, seed=0, gap=0.7):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=m)), torch.from_numpy(gap + 1.3 * rng.normal(size=n))


@pytest.mark.parametrize("rounded", [False, True])
def test_all_agree_with_scikit_learn_ties_included(rounded):
    inside, outside = (x.round(decimals=1) if rounded else x for x in both())
    found = detection(inside, outside)
    y, s = np.repeat([0, 1], [len(inside), len(outside)]), torch.cat([inside, outside]).numpy()
    assert found["outlier AUROC"] == pytest.approx(sklearn.roc_auc_score(y, s), abs=1e-12)
    assert found["outlier average precision"] == pytest.approx(sklearn.average_precision_score(y, s), abs=1e-12)
    false, true, _ = sklearn.roc_curve(y, s, drop_intermediate=False)
    assert found["outlier false alarms"] == pytest.approx(false[true >= 0.95].min(), abs=1e-12)
    assert found["outlier share"] == pytest.approx(70 / 370)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("d", "c", "known"), [(2, 1.5, 1.5 / 2.5), (2, 0.5, 0.5 / 1.5), (10, 1.5, 0.7334), (100, 0.5, 0.0003)]
)
def test_energies_of_a_wider_or_narrower_gaussian(d, c, known, dtype):
    """E = |x|^2 / 2 under N(0, I_d) against N(0, c I_d): AUROC = F_{d,d}(c), c / (1 + c) in two dimensions, near 0 in
    many where the outliers are narrower: they are likelier than the rows themselves."""
    rng = np.random.default_rng(d)
    inside, outside = rng.normal(size=(20_000, d)), c**0.5 * rng.normal(size=(20_000, d))
    found = detection(*(torch.from_numpy((x**2).sum(1) / 2).to(dtype) for x in (inside, outside)))
    assert stats.f.cdf(c, d, d) == pytest.approx(known, abs=5e-5)
    error = 4.5 * (known * (1 - known) / 20_000) ** 0.5  # an upper bound: sqrt(2) less where the laws are alike
    assert found["outlier AUROC"] == pytest.approx(stats.f.cdf(c, d, d), abs=error)


def test_only_the_order_of_scores_counts():
    inside, outside = both()
    stretched = detection(1e30 * inside.sinh(), 1e30 * outside.sinh())
    assert stretched == detection(inside, outside)
    assert detection(-inside, -outside)["outlier AUROC"] == pytest.approx(1 - stretched["outlier AUROC"])


def test_the_share_of_outliers_moves_average_precision_alone():
    inside, outside = both(m=20_000, n=20_000)
    many, few = detection(inside, outside), detection(inside, outside[:1000])
    assert many["outlier AUROC"] == pytest.approx(few["outlier AUROC"], abs=0.03)
    assert many["outlier average precision"] > few["outlier average precision"] + 0.3


def test_the_error_is_that_of_delong_by_the_bootstrap():
    inside, outside = both()
    found, rng = auroc_error(inside, outside), np.random.default_rng(1)
    draws = [auroc_error(inside[rng.integers(0, 300, 300)], outside[rng.integers(0, 70, 70)]).value for _ in range(300)]
    assert found.se == pytest.approx(np.std(draws), rel=0.2)
    assert len(found.influence) == 370


@pytest.mark.parametrize(
    ("inside", "outside", "says"),
    [
        (torch.zeros(0), torch.ones(3), "none empty"),
        (torch.zeros(2, 2), torch.ones(3), r"\(2, 2\)"),
        (torch.zeros(2), torch.tensor([1.0, torch.nan]), "1 of 4 scores are not finite"),
    ],
)
def test_what_cannot_be_ranked(inside, outside, says):
    with pytest.raises(UserError, match=says):
        detection(inside, outside)


def test_free_energy_is_minus_the_log_of_the_joint_model_s_marginal():
    """exp z_c = p(x, y = c) Z of two Gaussians, so that -free energy = log p(x) + log Z (Grathwohl et al., 2020)."""
    x, means = torch.linspace(-4, 4, 9).double(), torch.tensor([-1.0, 2.0]).double()
    z = -0.5 * (x[:, None] - means) ** 2
    p = (torch.exp(z) / (2 * torch.pi) ** 0.5).sum(1)
    assert torch.allclose(-free_energy(z), p.log() + 0.5 * np.log(2 * np.pi))
    assert torch.allclose(free_energy(z, several=True), -torch.log1p(z.exp()).sum(1))


def test_log_probabilities_have_no_energy():
    with pytest.raises(UserError, match="log-probabilities"):
        free_energy(torch.randn(5, 3).log_softmax(1))

"""Contrastive losses: values at collapse, the least values that bounded logits allow, torch and plain formulas."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.autograd import gradcheck
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, cross_entropy, normalize

from whichloss.errors import UserError
from whichloss.losses.contrastive import cosine_bce, cosine_bce_least, info_nce

sp = lambda x: math.log1p(math.exp(x))


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- cosine BCE ---


def test_cosine_bce_is_bce_of_the_cosine():
    a, b = normal(20, 5), normal(20, 5, seed=1)
    target = torch.arange(20).remainder(2)
    expected = binary_cross_entropy_with_logits(cosine_similarity(a, b), target.double(), reduction="none")
    torch.testing.assert_close(cosine_bce(a, b, target), expected)
    torch.testing.assert_close(cosine_bce(100 * a, b / 7, target), expected)  # lengths do not count
    torch.testing.assert_close(cosine_bce(b, a, target), expected)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(cosine_bce(a[order], b[order], target[order]), expected[order])


def test_cosine_bce_levels():
    u, v = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    one, zero = torch.ones(1), torch.zeros(1)
    assert cosine_bce(u, 3 * u, one).item() == pytest.approx(sp(-1)) == pytest.approx(0.3132617)
    assert cosine_bce(u, -u, zero).item() == pytest.approx(sp(-1))
    assert cosine_bce(u, v, one).item() == cosine_bce(u, v, zero).item() == pytest.approx(math.log(2))
    collapse = (cosine_bce(u, u, one) + cosine_bce(u, u, zero)) / 2
    assert collapse.item() == pytest.approx(0.81326, abs=1e-5)


def test_a_positive_pair_is_never_done():
    """|dL/dc| >= sigma(-1) = .2689 at t = 1, even at the best cosine."""
    cosine = torch.linspace(-1, 1, 21, dtype=torch.float64)
    a = torch.stack([cosine, (1 - cosine**2).sqrt()], dim=1)
    value = cosine_bce(a, torch.tensor([[1.0, 0.0]]).double().expand_as(a), torch.ones(21))
    torch.testing.assert_close(value, torch.nn.functional.softplus(-cosine))
    assert (torch.sigmoid(-cosine) >= 0.2689).all()
    assert value.min() == pytest.approx(cosine_bce_least())


@pytest.mark.parametrize(
    ("classes", "value"), [(2, 0.3133), (8, 0.4688), (10, 0.4762), (100, 0.5007), (10**9, (sp(-1) + math.log(2)) / 2)]
)
def test_least_with_as_many_positives_as_negatives(classes, value):
    assert cosine_bce_least(classes) == pytest.approx(value, abs=5e-5)


def test_least_over_all_pairs_of_two_encoders_is_collapse():
    """The share of positives is 1 / N: every cosine -1 is the optimum, so nothing is learned."""
    n = 256
    assert cosine_bce_least(n, 1 / n, encoders=2) == pytest.approx((sp(1) + (n - 1) * sp(-1)) / n, abs=1e-9)
    assert cosine_bce_least(n, 1 / n, encoders=2) == pytest.approx(0.3172, abs=1e-4)
    assert cosine_bce_least(n, 1 / n) == pytest.approx(sp(-1) / n + (1 - 1 / n) * sp(-1 / (n - 1)))


@pytest.mark.parametrize(("classes", "positives"), [(3, 0.5), (5, 0.2), (5, 0.4), (4, 0.05), (2, 0.3), (6, 1.0)])
@pytest.mark.parametrize("encoders", [1, 2])
def test_least_is_what_free_embeddings_reach(classes, positives, encoders):
    """Any embedding at all, optimised: no value below, and the value itself is reached."""
    dim = classes + 1
    alike = torch.eye(classes, dtype=torch.bool)

    def mean(flat):
        rows = torch.tensor(flat, requires_grad=True)
        a = rows.reshape(encoders, classes, dim)
        left, right = (t.flatten(0, 1) for t in (a[0][:, None].expand(-1, classes, -1), a[-1].expand(classes, -1, -1)))
        loss = cosine_bce(left, right, alike.flatten()).reshape(classes, classes)
        value = positives * loss[alike].mean() + (1 - positives) * loss[~alike].mean()
        value.backward()
        return value.item(), rows.grad.numpy()

    starts = [normal(encoders * classes * dim, seed=s).numpy() for s in range(4)]
    starts.append(torch.cat([k * torch.ones(classes, dim) for k in (1.0, -1.0)[:encoders]]).double().flatten().numpy())
    rng = np.random.default_rng(0)
    starts[-1] = starts[-1] + 0.1 * rng.standard_normal(starts[-1].shape)
    found = min(minimize(mean, s, jac=True, options={"gtol": 1e-9}).fun for s in starts)
    assert found == pytest.approx(cosine_bce_least(classes, positives, encoders=encoders), abs=1e-7)


def test_least_refuses_what_has_no_meaning():
    for given in ({"classes": 1}, {"positives": 1.5}, {"encoders": 3}):
        with pytest.raises(UserError, match="needs 2 classes or more"):
            cosine_bce_least(**given)


# --- InfoNCE ---


@pytest.mark.parametrize("n", [2, 64])
@pytest.mark.parametrize("temperature", [1.0, 0.07, 1e-4])
def test_info_nce_of_identical_embeddings_is_log_n(n, temperature):
    a = normal(1, 8, dtype=torch.float32).expand(n, 8)
    torch.testing.assert_close(info_nce(a, 2 * a, temperature), torch.full((n,), math.log(n)))


def test_info_nce_is_the_mean_of_two_cross_entropies():
    a, b = normal(12, 5), normal(12, 5, seed=1)
    s = normalize(a, dim=1) @ normalize(b, dim=1).T / 0.2
    y = torch.arange(12)
    expected = (cross_entropy(s, y, reduction="none") + cross_entropy(s.T, y, reduction="none")) / 2
    found = info_nce(a, b, 0.2)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(info_nce(b, a, 0.2), found)
    torch.testing.assert_close(info_nce(5 * a, b / 9, torch.tensor(0.2)), found)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(info_nce(a[order], b[order], 0.2), found[order])


def test_info_nce_gradient_is_the_softmax_minus_the_identity():
    """With unit rows A, B: dL/dA = G B / T, less its part along A, G = (P_row + P_col) / 2 - I."""
    a, b = (normalize(normal(6, 4, seed=s), dim=1) for s in (0, 1))
    a.requires_grad_()
    (found,) = torch.autograd.grad(info_nce(a, b, 0.5).sum(), a)
    s = a.detach() @ b.T / 0.5
    g = (s.softmax(1) + s.softmax(0)) / 2 - torch.eye(6)
    expected = g @ b / 0.5
    expected = expected - (expected * a.detach()).sum(1, keepdim=True) * a.detach()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close((found * a).sum(1), torch.zeros(6, dtype=torch.float64))


def test_info_nce_keeps_its_digits_where_pairs_are_solved():
    a = torch.eye(8)
    exact = math.log1p(7 * math.exp(-20.0))
    torch.testing.assert_close(info_nce(a, a, 0.05), torch.full((8,), exact), rtol=1e-5, atol=0)
    hard = info_nce(a, a.roll(1, 0), 1e-4)  # every positive orthogonal, a negative at cosine 1
    torch.testing.assert_close(hard, torch.full((8,), 1e4))


def test_info_nce_bounds():
    """With m different b among N, the mean loss is at least that of guessing among equals."""
    a, captions = torch.eye(4).double().repeat_interleave(3, 0), torch.eye(4).double().repeat_interleave(3, 0)
    assert info_nce(a, captions, 1e-3).mean().item() == pytest.approx(math.log(3))
    assert (info_nce(normal(9, 3), normal(9, 3, seed=1), 1.0) >= math.log1p(8 * math.exp(-2))).all()


@pytest.mark.parametrize("temperature", [0.5, 0.05])
def test_gradcheck(temperature):
    a, b = normal(5, 3).requires_grad_(), normal(5, 3, seed=1).requires_grad_()
    t = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    assert gradcheck(info_nce, (a, b, t))
    assert gradcheck(lambda a, b: cosine_bce(a, b, torch.tensor([1.0, 0, 1, 0, 0.3])), (a, b))


@pytest.mark.parametrize("loss", [lambda a, b: cosine_bce(a, b, torch.ones(4)), lambda a, b: info_nce(a, b, 1e-4)])
@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_float32_extremes_are_the_float64_values(loss, size):
    a, b = (size * normal(4, 3, seed=s, dtype=torch.float32) for s in (0, 1))
    a.requires_grad_()
    value = loss(a, b)
    (gradient,) = torch.autograd.grad(value.sum(), a)
    assert gradient.isfinite().all()
    torch.testing.assert_close(value, loss(a.double(), b.double()).float(), rtol=2e-6, atol=5e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cosine_bce(torch.ones(3, 2), torch.ones(2, 2), torch.ones(3)), r"\(3, 2\) and \(2, 2\)"),
        (lambda: cosine_bce(torch.ones(3, 2), torch.ones(3, 2), torch.ones(3, 1)), r"'target' must be \(3,\)"),
        (lambda: info_nce(torch.ones(3), torch.ones(3), 1.0), "pair by pair"),
        (lambda: info_nce(torch.ones(1, 3), torch.ones(1, 3), 1.0), "a single pair has no negatives"),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()

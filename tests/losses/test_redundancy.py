"""VICReg, Barlow Twins, alignment and uniformity: closed forms, invariances, what each part sees."""

import math

import pytest
import torch
from torch.autograd import gradgradcheck
from torch.func import grad, vmap

from whichloss.errors import UserError
from whichloss.losses.redundancy import alignment, barlow_parts, barlow_twins, uniformity, vicreg, vicreg_parts


def drawn(n=40, d=3, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whitened(n=40, d=3):
    """Columns of mean 0, variance 1 (by n) and no correlation."""
    z = drawn(n, d)
    q, _ = torch.linalg.qr(z - z.mean(0))
    return q * math.sqrt(n)


def test_white_columns_have_nothing_to_lose():
    z = 2 * whitened()
    parts = vicreg_parts(z, z)
    assert parts.invariance.abs().max() == 0 and parts.variance == 0 and parts.covariance < 1e-28
    assert barlow_twins(z, z).item() == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(vicreg(z, z + 1), torch.full((40,), 25.0).double(), atol=1e-9, rtol=0)


def test_what_each_part_sees():
    z = whitened(d=4)
    one = z[:, :1].expand(-1, 4)  # one column four times: dimensional collapse
    assert vicreg_parts(2 * one, 2 * one).variance == 0
    assert vicreg_parts(one, one).covariance.item() == pytest.approx(2 * 12 * (40 / 39) ** 2 / 4)
    assert barlow_parts(one, one).redundancy.item() == pytest.approx(12, rel=1e-4)
    assert barlow_parts(z, -z).invariance.item() == pytest.approx(16, rel=1e-4)  # correlations of -1
    flat = 0.5 * z
    short = 1 - math.sqrt(0.25 * 40 / 39 + 1e-4)  # of the deviation: not of the variance, which would be 1 - .256
    assert vicreg_parts(flat, flat).variance.item() == pytest.approx(short)


def test_vicreg_is_its_parts_and_its_sides_are_alike():
    a, b = drawn(), drawn(seed=1)
    parts = vicreg_parts(a, b)
    torch.testing.assert_close(
        vicreg(a, b, 2.0, 3.0, 5.0), 2 * parts.invariance + 3 * parts.variance + 5 * parts.covariance
    )
    torch.testing.assert_close(vicreg(b, a), vicreg(a, b))
    torch.testing.assert_close(vicreg(a + 7, b + 7), vicreg(a, b))
    assert parts.invariance.shape == (40,) and parts.variance.shape == parts.covariance.shape == ()


def test_barlow_does_not_see_shifts_and_scales_of_columns():
    a, b = drawn(), drawn(seed=1)
    moved = 1e3 * a * torch.tensor([1.0, 5.0, 9.0]) + 4
    torch.testing.assert_close(barlow_twins(moved, b), barlow_twins(1e3 * a, b), rtol=1e-6, atol=0)
    torch.testing.assert_close(barlow_twins(b, a), barlow_twins(a, b))


def test_alignment_and_uniformity():
    a, b = drawn(), drawn(seed=1)
    cosine = torch.nn.functional.cosine_similarity(a, b)
    torch.testing.assert_close(alignment(3 * a, b), 2 - 2 * cosine)
    u = torch.nn.functional.normalize(a, dim=1)
    torch.testing.assert_close(uniformity(a, 2.0), torch.pdist(u).square().mul(-2).exp().mean().log())
    assert uniformity(a[:1].expand(9, 3)).abs() < 1e-12  # collapse: the highest value
    two = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert uniformity(two, 2.0).item() == pytest.approx(-8)
    many = torch.randn(512, 64, generator=torch.Generator().manual_seed(0))
    assert uniformity(many).item() == pytest.approx(-3.877, abs=0.01)


LOSSES = {
    "vicreg": lambda z: vicreg(z, z.roll(1, 0)),
    "barlow": lambda z: barlow_twins(z, z.roll(1, 0)),
    "alignment": lambda z: alignment(z, z.roll(1, 0)),
    "uniformity": uniformity,
}


@pytest.mark.parametrize("name", LOSSES)
def test_second_derivatives_lanes_and_collapse(name):
    assert gradgradcheck(LOSSES[name], (drawn(6).requires_grad_(),))
    slope = grad(lambda z: LOSSES[name](z).sum())
    z = torch.stack([drawn(6, seed=s) for s in range(3)])
    torch.testing.assert_close(vmap(slope)(z), torch.stack([slope(x) for x in z]))
    assert slope(torch.ones(6, 3)).isfinite().all() and slope(1e4 * z[0].float()).isfinite().all()


def test_wrong_shapes_are_refused():
    z = torch.ones(1, 3)
    for call in (lambda: vicreg(z, z), lambda: barlow_twins(z, z)):
        with pytest.raises(UserError, match="2 pairs or more"):
            call()
    with pytest.raises(UserError, match="'z' must be"):
        uniformity(z)
    with pytest.raises(UserError, match="alignment: 'a' and 'b'"):
        alignment(z, z[0])

"""Parallel tempering: masses of separated wells, the law kept at every temperature, trades by their probability."""

import math

import pytest
import torch

from whichloss.errors import UserError
from whichloss.rng import Rng
from whichloss.samplers import mala, tempering
from whichloss.samplers.hmc import State
from whichloss.samplers.tempering import _trade

RNG = Rng.of(4)


def square(x):
    return x.square().reshape(len(x), -1).sum(dim=1) / 2


def tilted_wells(x):
    return (8 * (x**2 - 1) ** 2 - 0.5 * x).sum(dim=1)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def right_share(temperature=1.0):
    x = torch.linspace(-3, 3, 20_001).double()
    p = (-tilted_wells(x[:, None]) / temperature).exp()
    return float(p[x > 0].sum() / p.sum())


def test_both_wells_get_their_mass_where_single_chains_fail():
    """All start in the left well; the right one holds 73 % of the mass behind a barrier of 8."""
    x = torch.full((100, 1), -1.0)
    single, _ = mala(tilted_wells, x, RNG, draws=400, step=0.02, keep=False)
    assert float((single > 0).float().mean()) < 0.5
    _, info = tempering(tilted_wells, x, RNG, draws=700, step=0.2, temperatures=[1, 2, 4, 8])
    late = info["draws"][200:]
    assert right_share() == pytest.approx(0.73, abs=0.01)
    assert float((late > 0).float().mean()) == pytest.approx(right_share(), abs=0.025)
    assert info["swaps"].min() > 0.5


@pytest.mark.parametrize("leaps", [1, 3])
def test_the_law_is_kept_from_exact_starts(leaps):
    """All levels N(0, T_k): only the coldest starts exactly, the others forget; temperature multiplies all."""
    _, info = tempering(
        square, 2**0.5 * draw(6000, 2), RNG, draws=60, step=0.9, temperatures=[1, 1.7, 3], leaps=leaps, temperature=2.0
    )
    late = info["draws"][20:]
    assert float(late.var()) == pytest.approx(2, rel=0.02)
    assert float(late.square().square().mean()) == pytest.approx(12, rel=0.05)
    assert info["calls"] == 1 + 3 * 60 * leaps and "ebfmi" not in info


def test_the_rate_of_trades_is_known():
    """N(0, T) in 2-D: E / T is exponential, so a trade of b > c has E min(1, e^((b-c)(E-E'))) = 2 c / (b + c)."""
    _, info = tempering(square, draw(4000, 2), RNG, draws=80, step=1.0, temperatures=[1, 2, 6], keep=False)
    for k, (b, c) in enumerate([(1, 1 / 2), (1 / 2, 1 / 6)]):
        assert float(info["swaps"][k]) == pytest.approx(2 * c / (b + c), abs=0.03)


def test_a_trade_is_a_permutation_within_pairs():
    """Certain trades happen, impossible ones do not, each chain for itself; energies and gradients travel along."""
    e = torch.tensor([[0.0, 1e4], [1e4, 0.0], [1e4, 0.0], [0.0, 1e4]])  # levels x chains
    x = torch.arange(8.0)[:, None]
    state, rate = _trade(State(x, e.flatten(), 10 * x), torch.tensor([1.0, 0.5, 0.2, 0.1]), RNG, 0)
    assert state.x[:, 0].reshape(4, 2).tolist() == [[0, 3], [2, 1], [6, 5], [4, 7]]
    assert torch.equal(state.g, 10 * state.x) and torch.equal(state.e, e.flatten()[state.x[:, 0].long()])
    assert rate[0] == 0.5 and rate[1].isnan() and rate[2] == 0.5
    state, rate = _trade(State(x, e.flatten(), x), torch.tensor([1.0, 0.5, 0.2, 0.1]), RNG, 1)
    assert state.x[[0, 1, 6, 7], 0].tolist() == [0, 1, 6, 7] and rate[[0, 2]].isnan().all()


def test_warm_up_gives_every_level_its_step():
    """Of N(0, 1) / T the best step grows as sqrt(T); all levels end near the target, or a little above."""
    _, info = tempering(square, draw(400, 10), RNG, draws=30, warmup=150, temperatures=[1, 4, 16], keep=False)
    assert info["acceptance"].tolist() == pytest.approx([0.65] * 3, abs=0.12)
    ratio = info["step"] / info["step"][0]
    assert ratio.tolist() == pytest.approx([1, 2, 4], rel=0.25)


@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 2, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_shape_and_precision_and_the_same_seed(shape, dtype):
    run = lambda: tempering(square, draw(*shape).to(dtype), RNG, draws=6, temperatures=[1, 3], warmup=24)
    (x, info), (again, _) = run(), run()
    assert torch.equal(x, again) and x.shape == shape and x.dtype == dtype
    assert info["draws"].shape == (6, *shape) and torch.equal(info["draws"][-1], x)
    assert info["inverse_mass"].shape == shape[1:] and info["swaps"].shape == (1,)


def test_nan_walls_hold_no_atoms():
    _, info = tempering(
        lambda x: x[:, 0] ** 1.5, 0.3 + draw(3000, 1).abs(), RNG, draws=120, step=0.7, temperatures=[1, 2]
    )
    late = info["draws"][40:]
    assert info["refused"] > 100 and float(late.min()) > 0
    assert float(late.mean()) == pytest.approx(0.659455, abs=0.012)


@pytest.mark.parametrize("ladder", [[1.0], [1, 1], [2, 3], [1, 3, 2], [1, math.nan], [1, math.inf]])
def test_temperatures_must_rise_from_one(ladder):
    with pytest.raises(UserError, match="temperatures must rise from 1"):
        tempering(square, draw(2, 2), RNG, draws=1, step=0.1, temperatures=ladder)


@pytest.mark.parametrize(
    ("says", "more"),
    [
        ("leaps >= 1", {"step": 0.1, "leaps": 0}),
        ("tempering needs a step", {}),
        ("positive step", {"step": -0.1}),
        ("tempering needs a positive temperature", {"step": 0.1, "temperature": -1.0}),
    ],
)
def test_bad_arguments_are_refused(says, more):
    with pytest.raises(UserError, match=says):
        tempering(square, draw(2, 2), RNG, draws=1, temperatures=[1, 2], **more)

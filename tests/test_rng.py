"""Keyed draws: order-free, named, distributed as they say, the same alone and in lanes, under transforms and traces."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.func import grad, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from whichloss.rng import Rng, key, mix, signed, word


def test_a_draw_depends_on_its_key_and_name_only():
    rng = Rng.of(7)
    first = rng.normal("z", (4, 3))
    rng.uniform("something else", (100,))
    torch.manual_seed(1)
    assert torch.equal(rng.normal("z", (4, 3)), first)
    assert torch.equal(Rng.of(7).normal("z", (4, 3)), first)
    for other in (Rng.of(8).normal("z", (4, 3)), rng.normal("y", (4, 3)), rng["a"].normal("z", (4, 3))):
        assert not torch.isclose(other, first).any()


def test_the_path_is_walked_in_order():
    rng = Rng.of(0)
    a, b = rng["a"]["b"].uniform("u", (9,)), rng["b"]["a"].uniform("u", (9,))
    assert not torch.equal(a, b)
    assert torch.equal(rng["a"].uniform("u", (9,)), rng["a"].uniform("u", (9,)))
    assert not torch.equal(rng["a"].uniform("u", (9,)), rng.at(3)["a"].uniform("u", (9,)))
    assert torch.equal(rng.at(3)["a"].uniform("u", (9,)), rng.at(3)["a"].uniform("u", (9,)))
    assert not torch.equal(rng.at(3, 1).uniform("u", (9,)), rng.at(1, 3).uniform("u", (9,)))


def test_the_global_generator_is_neither_read_nor_moved():
    before = torch.get_rng_state()
    Rng.of(1, 2).normal("z", (50,))
    assert torch.equal(torch.get_rng_state(), before)


def test_normal_and_uniform_numbers_follow_their_laws():
    rng = Rng.of(3)
    n = 200_000
    assert stats.kstest(rng.normal("a", (n,)).double().numpy(), "norm").pvalue > 1e-3
    u = rng.uniform("a", (n,)).double().numpy()
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert u.min() >= 0 and u.max() < 1


def test_first_numbers_over_seeds_names_and_steps_follow_their_law_too():
    """A stream's first number must be random over everything that names a stream."""
    many = 3000
    seeds = Rng.of(*range(many)).normal("z", ()).double().numpy()
    names = np.array([float(Rng.of(0).normal(f"name {i}", ())) for i in range(many)])
    steps = np.array([float(Rng.of(0).at(i).normal("z", ())) for i in range(many)])
    for first in (seeds, names, steps):
        assert stats.kstest(first, "norm").pvalue > 1e-3
        assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 4 / many**0.5
    assert abs(np.corrcoef(seeds, steps)[0, 1]) < 4 / many**0.5


def test_integers_are_uniform_and_in_range():
    found = Rng.of(5).integers("i", (70_000,), 7)
    assert found.dtype == torch.int64
    assert stats.chisquare(torch.bincount(found, minlength=7).numpy()).pvalue > 1e-3


def test_streams_of_200_seeds_are_not_correlated():
    z = Rng.of(*range(200)).normal("z", (1000,)).double()
    r = torch.corrcoef(z) - torch.eye(200)
    assert r.abs().max() < 5.5 / 1000**0.5


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_lanes_draw_what_each_seed_draws_alone(kind):
    lanes = Rng.of(11, 12, 13)
    together = getattr(lanes["a"].at(5), kind)("z", (6, 2))
    alone = [getattr(Rng.of(seed)["a"].at(5), kind)("z", (6, 2)) for seed in (11, 12, 13)]
    assert torch.equal(together, torch.stack(alone))
    mapped = vmap(lambda k: getattr(Rng(k, lanes["a"].path), kind)("z", (6, 2)))(lanes.at(5).key)
    straight = [getattr(Rng.of(seed).at(5)["a"], kind)("z", (6, 2)) for seed in (11, 12, 13)]
    assert torch.equal(mapped, torch.stack(straight))


def test_draws_stand_under_grad_and_vmap_and_are_constants_there():
    keys = Rng.of(1, 2, 3).key

    def loss(w, k):
        return (w * Rng(k).normal("z", (5,))).sum()

    slopes = vmap(grad(loss), in_dims=(None, 0))(torch.tensor(2.0), keys)
    assert torch.allclose(slopes, torch.stack([Rng(k).normal("z", (5,)).sum() for k in keys]))
    curvature = vmap(grad(grad(lambda w, k: (w**2 * Rng(k).normal("z", (5,))).sum())), in_dims=(None, 0))
    assert torch.allclose(curvature(torch.tensor(2.0), keys), 2 * slopes)


def test_a_trace_keeps_the_draw_as_an_operation_of_the_key():
    def work(k):
        return Rng(k)["eps"].normal("z", (4,)) * 2

    traced = make_fx(vmap(work))(Rng.of(1, 2).key)
    fresh = Rng.of(8, 9).key
    assert torch.equal(traced(fresh), vmap(work)(fresh))
    assert not torch.equal(traced(fresh), traced(Rng.of(1, 2).key))


def test_the_default_dtype_is_obeyed():
    torch.set_default_dtype(torch.float64)
    try:
        assert Rng.of(1).normal("z", (2,)).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert Rng.of(1).normal("z", (2,)).dtype == torch.float32


def test_words_are_the_same_on_every_machine():
    """SplitMix64's first outputs from seed 0 are published: mix(0, k) walks them."""
    assert [mix(0, k) for k in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert key("split", 7) == mix(mix(0, word("split")), 7)
    assert all(-(2**63) <= signed(word(name)) < 2**63 for name in map(str, range(100)))
    assert signed(2**64 - 1) == -1

"""Counted compute against sums done by hand: a product (m, k) (k, n) is 2 m k n operations."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn
from torch.func import grad

from whichloss.objectives.base import Adam, Generative, Update
from whichloss.rng import Rng
from whichloss.task import Task
from whichloss.train import Lanes, count, extra_flops, flops_per_step

B, D, H = 32, 3, 7


def make(objective, lanes=1):
    def build(role, inputs, outputs, *, smooth=False):
        return nn.Sequential(nn.Linear(inputs, H), nn.SiLU(), nn.Linear(H, outputs))

    data = torch.randn(lanes, 100, D)
    keys = Rng(Rng.of(0, 1, 2).key[:lanes])
    full = torch.full((lanes,), 100)
    return Lanes(objective, Task("generate", D, 100), build, keys, data, full, torch.zeros(lanes, D), batch=B)


@dataclass(frozen=True)
class Squares(Generative):
    """|f(x)|^2: one network that sees the data."""

    def networks(self, task, build):
        return {"f": build("f", task.dim, 1)}

    def updates(self):
        return [Update(("f",), self.loss, Adam(1e-3))]

    def loss(self, nets, batch, rng):
        return (nets.f(batch.x) ** 2).mean()

    def sample(self, nets, shape, rng):
        return rng.normal("x", shape)


@dataclass(frozen=True)
class Slope(Squares):
    """|grad f(x)|^2: the gradient of a gradient."""

    def loss(self, nets, batch, rng):
        return (grad(lambda x: nets.f(x).sum())(batch.x) ** 2).sum(1).mean()


@dataclass(frozen=True)
class Part(Squares):
    def updates(self):
        return [replace(update, active=(0.5, 0.75)) for update in super().updates()]


@dataclass(frozen=True)
class Thrice(Squares):
    def updates(self):
        return [Update(("f",), self.loss, Adam(1e-3), times=3)]


def test_products_are_counted_and_nothing_else():
    a, b, c = torch.randn(5, 6), torch.randn(6, 8), torch.randn(4, 6, 8)
    assert count(lambda: a @ b) == 2 * 5 * 6 * 8
    assert count(lambda: torch.bmm(a.expand(4, 5, 6), c)) == 4 * 2 * 5 * 6 * 8
    assert count(lambda: (a + 1).exp().sum()) == 0
    assert count(lambda: (a @ b, extra_flops(1000))) == 2 * 5 * 6 * 8 + 1000
    assert count(lambda: a @ b) == 2 * 5 * 6 * 8  # declared work is not carried over


def test_a_step_is_forward_and_backward():
    forward = 2 * B * D * H + 2 * B * H
    weights = forward  # each layer's weight gradient costs what its product cost
    inputs = 2 * B * H  # no gradient of the data is needed
    assert flops_per_step(make(Squares())) == forward + weights + inputs


def test_repetitions_are_counted():
    assert flops_per_step(make(Thrice())) == 3 * flops_per_step(make(Squares()))


def test_an_update_counts_for_the_part_of_the_run_in_which_it_acts():
    whole = flops_per_step(make(Squares()))
    assert flops_per_step(make(Part())) == pytest.approx(0.25 * whole)


def test_the_second_backward_of_a_penalty_is_counted():
    """Score and slope: x W, s W2, 1 W2^T, (.) W^T. Back: two products for W's second use, one for W2, one for W."""
    forward = 2 * B * D * H + 2 * B * H
    slope = 2 * B * H + 2 * B * H * D
    back = 2 * (2 * B * D * H) + 2 * B * H + 2 * B * D * H
    assert flops_per_step(make(Slope())) == forward + slope + back


def test_a_lane_costs_the_same_in_any_company():
    assert flops_per_step(make(Slope(), lanes=3)) == flops_per_step(make(Slope()))

"""Ways between pictures and what is rebuilt, on networks whose answers are known."""

import pytest
import torch
from torch import nn

from whichloss.objectives import find
from whichloss.rng import Rng
from whichloss.study.generate import strips
from whichloss.study.generate.strips import LINES, STEPS, SeveralDraws, Ways, arcs
from whichloss.task import Task
from whichloss.train import Lanes


def lanes_of(name, d=6):
    def build(role, inputs, outputs, *, smooth=False):
        torch.manual_seed(len(role))
        return nn.Linear(inputs, outputs)

    rng = Rng(Rng.of(3).key[None])
    data = torch.randn(1, 40, d)
    return Lanes(
        find(name)(), Task("generate", d, 40), build, rng, data, torch.tensor([40]), torch.zeros(1, d), batch=8
    )


def weights_of(lanes):
    return lanes.start().weights


def told(lanes, n):
    return torch.zeros(n, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arcs_keep_the_length_and_end_where_they_should(dtype):
    a, b = torch.randn(5, 7, dtype=dtype), torch.randn(5, 7, dtype=dtype)
    b = b * a.norm(dim=1, keepdim=True) / b.norm(dim=1, keepdim=True)
    way = arcs(a, b).view(5, STEPS, 7)
    assert torch.allclose(way[:, 0], a, atol=1e-5) and torch.allclose(way[:, -1], b, atol=1e-5)
    assert torch.allclose(way.norm(dim=2), a.norm(dim=1, keepdim=True).expand(5, STEPS), rtol=1e-4)
    turn = torch.cosine_similarity(way[:, 1:], way[:, :-1], dim=2).clamp(-1, 1).acos()
    assert torch.allclose(turn, turn[:, :1].expand_as(turn), atol=1e-3)  # equal steps


def test_points_in_one_direction_are_joined_straight():
    a = torch.ones(1, 3)
    for b in (a, 2 * a):
        way = arcs(a, b)
        assert way.isfinite().all() and torch.allclose(way[STEPS // 2], (a + b)[0] / 2)


def test_a_second_draw_is_refused():
    ways = Ways(Rng.of(1).key)
    shape = (LINES * STEPS, 3)
    assert ways["a"].normal("z", shape).shape == shape
    with pytest.raises(SeveralDraws):
        ways["b"].normal("z", shape)
    for draw in (lambda r: r.uniform("u", (2,)), lambda r: r.integers("i", (2,), 3)):
        with pytest.raises(SeveralDraws):
            draw(Ways(Rng.of(1).key))


@pytest.mark.parametrize("name", ["gan", "wgan-gp", "r3gan", "ebgan"])
def test_a_linear_generator_draws_its_arcs(name):
    lanes = lanes_of(name)
    weights = weights_of(lanes)
    x = torch.randn(2 * LINES, 6)
    found = strips.between(lanes, weights, x, told(lanes, 2 * LINES))
    assert list(found) == ["between"] and found["between"].shape == (LINES * STEPS, 6)
    _, nets = lanes.trained(weights)
    latent = lanes.objective.latent
    ends = Rng(lanes.draws.key, lanes.draws["between"].path).normal("z", (2 * LINES, latent))[0]
    line = found["between"].view(LINES, STEPS, 6)
    with torch.no_grad():
        assert torch.allclose(line[0, 0], nets.G(ends[:1])[0], atol=1e-5)
        assert torch.allclose(line[0, -1], nets.G(ends[LINES : LINES + 1])[0], atol=1e-5)


def test_flow_matching_goes_along_arcs_of_its_noise():
    lanes = lanes_of("flow-matching")
    assert list(strips.between(lanes, weights_of(lanes), torch.randn(8, 6), told(lanes, 8))) == ["between"]


@pytest.mark.parametrize("name", ["autoencoder", "latent-ebm"])
def test_where_several_draws_make_a_row_codes_are_joined(name):
    lanes = lanes_of(name)
    weights, x = weights_of(lanes), torch.randn(2 * LINES, 6)
    found = strips.between(lanes, weights, x, told(lanes, len(x)))["between codes"].view(LINES, STEPS, 6)
    ends = strips.rebuilt(lanes, weights, x, told(lanes, len(x)))
    assert torch.allclose(found[:, 0], ends[:LINES], atol=1e-5)
    assert torch.allclose(found[:, -1], ends[LINES:], atol=1e-5)


@pytest.mark.parametrize("name", ["ddpm"])
def test_nothing_is_drawn_where_there_is_no_way(name):
    lanes = lanes_of(name)
    assert strips.between(lanes, weights_of(lanes), torch.randn(8, 6), told(lanes, 8)) == {}
    assert not strips.rebuilds(lanes)

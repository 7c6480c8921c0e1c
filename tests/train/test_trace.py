"""A traced step replayed gives what the function transforms give, second derivatives included."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, grad_and_value, vmap
from torch.nn.functional import softplus

from whichloss.train.trace import trace

S, B, D, H = 3, 16, 2, 8


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def stacked(activation):
    nets = [
        nn.Sequential(nn.Linear(D, H), activation(), nn.Linear(H, H), activation(), nn.Linear(H, 1)) for _ in range(S)
    ]
    params = {
        n: torch.stack([dict(net.named_parameters())[n].detach() for net in nets])
        for n, _ in nets[0].named_parameters()
    }
    return nets[0], params


def losses(net):
    """First derivatives of a loss with softplus, second ones of a slope penalty, third ones of a curvature."""

    def f(params, x):
        return functional_call(net, params, (x,)).squeeze(-1)

    def slope(params, x):
        return grad(lambda x: f(params, x).sum())(x)

    def critic(params, x):
        return softplus(f(params, x)).mean()

    def penalty(params, x):
        return ((slope(params, x).norm(dim=1) - 1) ** 2).mean() + f(params, x).mean()

    def curvature(params, x):
        return grad(lambda x: (slope(params, x) ** 2).sum())(x).pow(2).mean()

    return critic, penalty, curvature


@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU, nn.Tanh, nn.Softplus, nn.GELU])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_replay_equals_the_transforms(activation, order):
    net, params = stacked(activation)
    work = vmap(grad_and_value(losses(net)[order]))
    traced = trace(work, params, torch.randn(S, B, D))
    params = {n: p + 0.1 * torch.randn(p.shape) for n, p in params.items()}  # other values, same shapes
    x = torch.randn(S, B, D)
    expected, value = work(params, x)
    found, found_value = traced(params, x)
    assert torch.allclose(found_value, value, rtol=1e-12, atol=1e-12)
    for name, g in expected.items():
        assert torch.allclose(found[name], g, rtol=1e-12, atol=1e-12), name
    again, _ = traced(params, x)
    assert all(torch.equal(again[name], found[name]) for name in found)


def test_a_replay_leaves_its_inputs_as_they_are():
    net, params = stacked(nn.ReLU)
    x = torch.randn(S, B, D)
    kept = {n: p.clone() for n, p in params.items()}, x.clone()
    trace(vmap(grad_and_value(losses(net)[0])), params, x)(params, x)
    assert torch.equal(x, kept[1]) and all(torch.equal(params[n], kept[0][n]) for n in params)


def test_a_product_that_others_read_is_not_overwritten():
    def work(x, w, b):
        y = torch.baddbmm(b, x, w)
        return y.relu().sum() + y.sum(), y

    x, w, b = torch.randn(S, B, D), torch.randn(S, D, H), torch.randn(S, 1, H)
    for found, expected in zip(trace(work, x, w, b)(x, w, b), work(x, w, b), strict=True):
        assert torch.equal(found, expected)


def test_a_bias_is_fused_only_where_that_is_the_same():
    def work(x, w, b):
        return x @ w + b, b + x @ w, torch.bmm(x, w) + 2.0

    x, w, b = torch.randn(S, B, D), torch.randn(S, D, H), torch.randn(S, B, H)
    for found, expected in zip(trace(work, x, w, b)(x, w, b), work(x, w, b), strict=True):
        assert torch.allclose(found, expected, rtol=1e-12)


def test_a_sum_with_the_strides_of_a_transpose_keeps_them():
    """What follows views it."""

    def work(x, w, a):
        return (a.transpose(1, 2) + torch.bmm(x, w)).transpose(1, 2).view(S, -1)

    x, w, a = torch.randn(S, B, D), torch.randn(S, D, H), torch.randn(S, H, B)
    assert torch.equal(trace(work, x, w, a)(x, w, a), work(x, w, a))


def test_zeros_are_not_added_and_one_lane_is_not_copied():
    def work(x):
        (slope,) = torch.autograd.grad((x[0] ** 2).sum(), x)
        return slope.detach() + torch.zeros_like(slope), x + torch.zeros(3, 1)

    x = torch.randn(1, 4, requires_grad=True)
    traced = trace(work, x)
    for found, expected in zip(traced(x), work(x), strict=True):
        assert torch.equal(found, expected)
    calls = [str(node.target) for node in traced.graph.nodes]
    assert calls.count("aten.add.Tensor") == 1 and not {"aten.select_backward.default", "aten.detach.default"} & {
        *calls
    }


def test_zeros_that_are_written_to_are_added():
    def masked(x):
        m = torch.zeros_like(x)
        m[:, 0] = 1
        return x + m

    def summed(x, z):
        s = torch.zeros_like(x)
        s = s + x
        s += z
        return s

    x, z = torch.randn(4, 3), torch.randn(4, 3)
    before = x.clone()
    assert torch.equal(trace(masked, x)(x), masked(x))
    assert torch.equal(trace(summed, x, z)(x, z), x + z)
    assert torch.equal(x, before)


def test_a_path_that_depends_on_a_value_is_refused():
    with pytest.raises(RuntimeError):
        trace(lambda x: x if x.sum() > 0 else -x, torch.ones(3))

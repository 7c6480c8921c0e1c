"""Networks for pictures: what they are follows from what goes in and out; sizes agree, lanes and slopes work."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from whichloss.nets.mlp import MLP
from whichloss.nets.pictures import Critic, Generator, UNet, builder
from whichloss.rng import Rng
from whichloss.train import count

SHAPES = [(1, 8, 8), (1, 16, 16), (1, 28, 28), (3, 32, 32), (3, 64, 64)]
ODD = [(1, 9, 9), (3, 20, 13), (1, 64, 8), (1, 8, 63)]
BATCH, LATENT, TIME = 8, 8, 16


def weights(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def made(shape, width=64):
    d, build = math.prod(shape), builder(shape, width)
    return {
        "critic": build("D", d, 1), "classifier": build("F", d, 10), "generator": build("G", LATENT, d),
        "encoder": build("Enc", d, LATENT), "decoder": build("Dec", LATENT, d),
        "U-Net": build("u", d + TIME, d), "U-Net, variance": build("eps", d + TIME, 2 * d),
    }  # fmt: skip


def second_slope(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """d |df/dx|^2 / dx."""
    return grad(lambda x: grad(lambda x: net(x).sum())(x).square().sum())(x)


def test_inputs_and_outputs_decide_the_kind():
    shape, d = (1, 12, 12), 144
    build = builder(shape, 16)
    for inputs, outputs, kind in [
        (d, 1, Critic), (d + 5, 1, Critic), (d, d - 1, Critic), (LATENT, d, Generator), (d - 1, d, Generator),
        (d, d, UNet), (d + TIME, d, UNet), (d + TIME, 2 * d, UNet), (LATENT, 1, MLP),
        (d // 2, 47 * d // 2, MLP), (d // 2, 4 * d, MLP),
    ]:  # fmt: skip
        net = build("any", inputs, outputs)
        assert type(net) is kind
        assert net(torch.randn(3, inputs)).shape == (3, outputs)
    mine = nn.Linear(d, 1)
    assert builder(shape, 16, {"D": lambda inputs, outputs: mine})("D", d, 1) is mine


@pytest.mark.parametrize("shape", SHAPES)
def test_networks_of_one_size_have_equally_many_weights(shape):
    """Within 10 % of the U-Net at the smallest width that a study uses, an autoencoder's two parts together."""
    with torch.device("meta"):
        found = {name: weights(net) for name, net in made(shape).items()}
    size = found["U-Net"]
    found["autoencoder"] = found.pop("encoder") + found.pop("decoder")
    print(shape, size, {name: round(n / size, 3) for name, n in found.items()})
    assert all(abs(n / size - 1) < 0.1 for n in found.values()), found


def test_the_quick_u_net_has_16_channels_at_the_top_and_32_below():
    net = builder((1, 28, 28), 64)("u", 784 + TIME, 784)
    assert [block.first[2].out_channels for block in net.falling] == [16, 32, 32]


@pytest.mark.parametrize("shape", [*SHAPES[:3], *ODD])
def test_no_pixel_is_lost(shape):
    """Every pixel that goes in matters, and every pixel that comes out depends on what goes in."""
    torch.manual_seed(0)
    for name, net in made(shape, 16).items():
        inputs = LATENT if name in ("generator", "decoder") else math.prod(shape) + TIME * name.startswith("U")
        x = torch.randn(2, inputs)
        out = net(x)
        if name in ("generator", "decoder"):
            assert (net(x + 1) != out).all(), name
            assert out.view(2, *shape).std(dim=0).min() > 0, name
        else:
            slope = grad(lambda x, net=net: net(x).pow(3).sum())(x)
            assert (slope != 0).all(), name


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 9, 12)])
def test_conditioning_reaches_critic_and_u_net(shape):
    d, build, rng = math.prod(shape), builder(shape, 16), Rng.of(0)
    x, a, b = rng.normal("x", (4, d)), rng.normal("a", (4, 5)), rng.normal("b", (4, 5))
    for net in (build("D", d + 5, 1), build("u", d + 5, d)):
        one, other = net(torch.cat([x, a], dim=1)), net(torch.cat([x, b], dim=1))
        assert ((one - other).norm(dim=1) > 1e-3 * one.norm(dim=1)).all()


def test_a_row_is_judged_by_itself():
    for name, net in made((1, 12, 9), 16).items():
        inputs = LATENT if name in ("generator", "decoder") else 108 + TIME * name.startswith("U")
        x = torch.randn(6, inputs, dtype=torch.float64)
        net.double()
        assert torch.allclose(net(x)[:1], net(x[:1]), rtol=1e-12, atol=1e-12), name


KINDS = [("D", 99, 1), ("D", 103, 1), ("Enc", 99, 5), ("G", 8, 99), ("Dec", 8, 99), ("u", 115, 99), ("u", 99, 198)]


@pytest.mark.parametrize(("role", "inputs", "outputs"), KINDS)
@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_lanes_under_vmap_equal_each_alone(role, inputs, outputs, smooth, dtype):
    """Values, gradients in the weights and second derivatives in the input."""
    build, tolerance = builder((1, 11, 9), 16), 1e-5 if dtype == torch.float32 else 1e-12
    nets = [build(role, inputs, outputs, smooth=smooth).to(dtype) for _ in range(2)]
    stacked, _ = stack_module_state(nets)
    x = torch.randn(2, 3, inputs, dtype=dtype)

    def value(params, x):
        return functional_call(nets[0], params, (x,))

    def learn(params, x):
        return grad(lambda params: value(params, x).square().mean())(params)

    def bend(params, x):
        return second_slope(lambda x: value(params, x).square(), x)

    for work in (value, learn, bend):
        together = vmap(work)(stacked, x)
        for k in range(2):
            alone = work({name: p[k] for name, p in stacked.items()}, x[k])
            both = zip(*(torch.utils._pytree.tree_leaves(t) for t in (together, alone)), strict=True)
            for a, b in both:
                assert torch.allclose(a[k], b, rtol=tolerance, atol=tolerance * max(1.0, float(b.detach().abs().max())))


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 32)])
def test_an_energy_bends(shape):
    """Where it is smooth its second derivative is a usable number; with LeakyReLU it is 0."""
    torch.manual_seed(0)
    d, build = math.prod(shape), builder(shape, 64)
    x = 2 * torch.rand(8, d) - 1
    slope = {smooth: grad(lambda x, s=smooth: build("E", d, 1, smooth=s)(x).sum())(x).norm(dim=1) for smooth in (0, 1)}
    assert all((s > 0.01).all() for s in slope.values())
    assert second_slope(build("E", d, 1, smooth=True), x).norm(dim=1).min() > 1e-5
    assert not second_slope(build("E", d, 1), x).any()


def test_first_and_second_derivatives_are_right():
    """Finite differences in float64."""
    energy = builder((1, 9, 8), 16)("E", 72, 1, smooth=True).double()
    x = torch.randn(2, 72, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(energy, (x,), fast_mode=True)
    assert torch.autograd.gradgradcheck(energy, (x,), fast_mode=True)


def test_compute_of_convolutions_is_counted():
    """2 MACs: forward B Ho Wo k^2 a b; backward as much for the weights, and again for the input where it is asked."""
    convolution, x = nn.Conv2d(3, 5, 4, 2, padding=1, bias=False), torch.randn(BATCH, 3, 12, 12)
    forward = 2 * BATCH * 6 * 6 * 16 * 3 * 5
    assert count(lambda: convolution(x)) == forward
    assert count(lambda: convolution(x).sum().backward()) == 2 * forward
    assert count(lambda: convolution(x.clone().requires_grad_()).sum().backward()) == 3 * forward
    d, net = 64, builder((1, 8, 8), 64)("D", 64, 1)  # 16 channels at 8 x 8, `inner` at 4 x 4
    inner = net.judge[2].in_features // 16
    by_hand = 2 * BATCH * (64 * 9 * 16 + 16 * 16 * 16 * inner + 16 * 9 * inner * inner + 16 * inner)
    assert count(lambda: net(torch.randn(BATCH, d))) == by_hand


@pytest.mark.parametrize("role", ["G", "Dec"])
@pytest.mark.parametrize("inputs", [8, 64, 100])
def test_a_picture_is_drawn_from_any_number_of_inputs(role, inputs):
    assert isinstance(builder((1, 8, 8))(role, inputs, 64), Generator)

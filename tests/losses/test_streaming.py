"""The streaming losses against the dense ones: value and every gradient, digits, tiles, memory, traces, lanes."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.func import grad, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from whichloss.errors import UserError
from whichloss.losses.contrastive import info_nce, siglip
from whichloss.losses.streaming import streaming_info_nce, streaming_siglip
from whichloss.train.count import count

N, D = 70, 16
PAIRS = {
    "info_nce": (
        lambda a, b, s, h, **o: info_nce(a, b, 1 / s),
        lambda a, b, s, h, **o: streaming_info_nce(a, b, 1 / s, **o),
    ),
    "siglip": (lambda a, b, s, h, **o: siglip(a, b, s, h), streaming_siglip),
}  # fmt: skip


def drawn(kind, near=None, n=N, seed=0):
    """Two sides, unsolved (no relation) or solved (nearly equal), and a weight per pair of either sign."""
    g = torch.Generator().manual_seed(seed)
    a, b, w = (torch.randn(shape, generator=g, dtype=torch.float64) for shape in ((n, D), (n, D), (n,)))
    return a.to(kind), (b if near is None else a + near * b).to(kind), w.to(kind)


def everything(loss, a, b, w, scale, **rest):
    """The values, then the gradients of their weighted sum by a, b, scale and bias."""
    inputs = [a.clone(), b.clone(), torch.tensor(scale, dtype=a.dtype), torch.tensor(-3.0, dtype=a.dtype)]
    for x in inputs:
        x.requires_grad_()
    value = loss(*inputs, **rest)
    slopes = torch.autograd.grad((w * value).sum(), inputs, allow_unused=True, materialize_grads=True)
    return [value.detach(), *slopes]


def off(found, truth):
    """The largest error of each, relative to its largest number."""
    return [float((x - y).abs().max() / y.abs().max().clamp(min=1e-30)) for x, y in zip(found, truth, strict=True)]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
@pytest.mark.parametrize("near", [None, 0.5, 0.05])
@pytest.mark.parametrize("tile", [512, 32, 7])
def test_as_the_dense_loss_by_value_and_gradient(name, scale, near, tile):
    dense, streaming = PAIRS[name]
    truth = everything(dense, *drawn(torch.float64, near), scale)
    assert max(off(everything(streaming, *drawn(torch.float64, near), scale, tile=tile), truth)) < 1e-12
    # float32 knows a logit to 6e-8 times the scale; of a solved pair only that difference is left, dense or not
    allowed = 1e-5 if near is None else 1e-5 + 6e-7 * scale
    assert max(off(everything(streaming, *drawn(torch.float32, near), scale, tile=tile), truth)) < allowed


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("near", [None, 0.05])
def test_scores_of_ten_thousand_stay_finite(name, near):
    dense, streaming = PAIRS[name]
    found = everything(streaming, *drawn(torch.float32, near), 1e4, tile=16)
    assert all(x.isfinite().all() for x in found)
    truth = everything(dense, *drawn(torch.float64, near), 1e4)
    torch.testing.assert_close(found[0].double(), truth[0], rtol=1e-5, atol=5e-3)


def test_solved_pairs_keep_their_digits():
    """All pairs orthogonal to all others: the loss is log(1 + (N - 1) e^-s) to float32's last digits."""
    a = torch.eye(N)
    for scale in (10.0, 40.0, 80.0):
        value, *_ = everything(PAIRS["info_nce"][1], a, a, torch.ones(N), scale, tile=32)
        exact = torch.log1p((N - 1) * torch.exp(torch.tensor(-scale, dtype=torch.float64)))
        assert exact > 0
        torch.testing.assert_close(value, exact.float().expand(N), rtol=1e-5, atol=0)


def test_one_wrong_pair_among_solved_ones_is_seen():
    """A row and a column far below all others at scale 100: a shift shared by rows or columns would lose them."""
    a = torch.eye(N)
    b = a.clone()
    b[7] = -a[7]
    for mine, theirs in zip(*(everything(f, a, b, torch.ones(N), 100.0) for f in PAIRS["info_nce"]), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_gradcheck(name):
    a, b, _ = drawn(torch.float64, n=7)
    scale, bias = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (5.0, -1.0))
    _, streaming = PAIRS[name]
    assert gradcheck(lambda *x: streaming(*x, tile=3), (a.requires_grad_(), b.requires_grad_(), scale, bias))


@pytest.mark.parametrize("name", PAIRS)
def test_a_trace_holds_whole_operators_and_lanes_are_one_by_one(name):
    streaming = PAIRS[name][1]
    a, b, scale = torch.randn(3, 10, 4), torch.randn(3, 10, 4), torch.tensor([1.0, 5.0, 20.0])
    slope = grad(lambda a, b, s: streaming(a, b, s, -1.0, tile=4).sum(), argnums=(0, 1, 2))
    alone = [torch.stack(x) for x in zip(*(slope(*lane) for lane in zip(a, b, scale, strict=True)), strict=True)]
    lanes = vmap(slope)
    for found in (lanes(a, b, scale), make_fx(lanes)(a, b, scale)(a, b, scale)):
        torch.testing.assert_close(list(found), alone)
    traced = make_fx(lanes)(a, b, scale)
    other = [torch.randn_like(x) for x in (a, b)]  # a trace replays on other numbers
    torch.testing.assert_close(traced(*other, 2 * scale), lanes(*other, 2 * scale))
    assert len([n for n in traced.graph.nodes if "whichloss" in str(n.target)]) == 2 * 3
    assert not [n for n in traced.graph.nodes if "mm" in str(n.target)]


@pytest.mark.parametrize("name", PAIRS)
def test_second_derivatives_are_refused(name):
    a, b, _ = drawn(torch.float64, n=6)
    total = lambda a: PAIRS[name][1](a, b, 5.0, -1.0).sum()
    with pytest.raises(UserError, match="no second derivatives"):
        grad(lambda a: grad(total)(a).square().sum())(a)
    a.requires_grad_()
    (slope,) = torch.autograd.grad(total(a), a, create_graph=True)
    with pytest.raises(UserError, match="no second derivatives"):
        slope.square().sum().backward()


@pytest.mark.parametrize("name", PAIRS)
def test_operations_are_counted_as_four_products(name):
    a, b, _ = drawn(torch.float32)
    work = lambda: PAIRS[name][1](a.requires_grad_(), b, 5.0, -1.0).sum().backward()
    assert count(work) == 4 * 2 * N * N * D


@pytest.mark.parametrize("name", PAIRS)
def test_no_operation_makes_n_by_n_numbers(name):
    """Of 1,500 pairs in tiles of 100, nothing larger than the embeddings is ever made."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            self.most = max(
                [self.most, *(x.numel() for x in torch.utils._pytree.tree_leaves(out) if hasattr(x, "numel"))]
            )
            return out

    from whichloss.losses import streaming as module

    a, b = torch.randn(1500, 8), torch.randn(1500, 8)
    scale, bias = torch.tensor(5.0), torch.tensor(-1.0)
    with Largest() as seen:
        if name == "info_nce":
            rows, columns, own = module._rivals(a, b, scale, 100)
            module._pull_rivals(a, b, scale, rows, columns, rows, columns, own, 100)
        else:
            others, own = module._strangers(a, b, scale, bias, 100)
            module._pull_strangers(a, b, scale, bias, others, own, 100)
    assert seen.most == a.numel()


def test_what_is_no_batch_of_pairs_is_refused():
    for loss in (lambda a, b: streaming_info_nce(a, b, 1.0), lambda a, b: streaming_siglip(a, b, 1.0, 0.0)):
        with pytest.raises(UserError, match="a single pair has no negatives"):
            loss(torch.ones(1, 3), torch.ones(1, 3))
        with pytest.raises(UserError, match="pair by pair"):
            loss(torch.ones(4, 3), torch.ones(3, 3))
    with pytest.raises(UserError, match="'tile' must be at least 1"):
        streaming_info_nce(torch.ones(4, 3), torch.ones(4, 3), 1.0, tile=0)

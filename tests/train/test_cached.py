"""The gradient through chunks is the plain one, to the last digits, and is not that of small batches."""

import pytest
import torch

from whichloss.errors import UserError
from whichloss.losses.contrastive import info_nce, sup_con
from whichloss.losses.streaming import streaming_info_nce
from whichloss.train.cached import cached_gradient

N = 23


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


WEIGHTS = {
    "A": drawn(6, 8, seed=0),
    "B": drawn(5, 8, seed=1),
    "top": drawn(8, 4, seed=2),
    "log_scale": torch.tensor(1.2).double(),
}
INPUTS = (drawn(N, 6, seed=3), drawn(N, 5, seed=4))


def encode(w, x, y):
    return torch.tanh(x @ w["A"]) @ w["top"], torch.tanh(y @ w["B"]) @ w["top"]


def loss(w, a, b):
    return info_nce(a, b, (-w["log_scale"]).exp()).mean()


def plain(loss, rows=slice(None)):
    own = {name: value.clone().requires_grad_() for name, value in WEIGHTS.items()}
    value = loss(own, *encode(own, *(x[rows] for x in INPUTS)))
    return value.detach(), dict(zip(own, torch.autograd.grad(value, list(own.values())), strict=True))


@pytest.mark.parametrize("chunk", [1, 5, N, 100])
@pytest.mark.parametrize("by", [info_nce, streaming_info_nce])
def test_it_is_the_plain_gradient(chunk, by):
    value, slopes = cached_gradient(
        encode, WEIGHTS, INPUTS, lambda w, a, b: by(a, b, (-w["log_scale"]).exp()).mean(), chunk
    )
    truth, exact = plain(loss)
    torch.testing.assert_close(value, truth, rtol=1e-12, atol=1e-12)
    for name in WEIGHTS:
        torch.testing.assert_close(slopes[name], exact[name], rtol=1e-12, atol=1e-12)


def test_the_mean_of_small_batches_is_another_gradient():
    parts = [plain(loss, slice(k, k + 5))[1]["A"] for k in range(0, 20, 5)]
    _, slopes = cached_gradient(encode, WEIGHTS, tuple(x[:20] for x in INPUTS), loss, 5)
    assert (torch.stack(parts).mean(0) - slopes["A"]).norm() > 0.1 * slopes["A"].norm()


def test_one_encoder_labels_and_weights_that_are_not_used():
    labels = torch.arange(N) % 4
    weights = WEIGHTS | {"frozen": torch.ones(3, dtype=torch.float64)}
    value, slopes = cached_gradient(
        lambda w, x: x @ w["A"], weights, INPUTS[:1], lambda w, z: sup_con(z, labels, 0.5).mean(), 4
    )
    A = WEIGHTS["A"].clone().requires_grad_()
    truth = sup_con(INPUTS[0] @ A, labels, 0.5).mean()
    torch.testing.assert_close(slopes["A"], torch.autograd.grad(truth, A)[0], rtol=1e-12, atol=1e-12)
    assert slopes["frozen"].abs().max() == slopes["B"].abs().max() == 0
    assert not value.requires_grad and not any(w.requires_grad for w in weights.values())


def test_no_graph_is_larger_than_a_chunk():
    seen = []

    def watched(w, x, y):
        seen.append((len(x), torch.is_grad_enabled()))
        return encode(w, x, y)

    cached_gradient(watched, WEIGHTS, INPUTS, loss, 5)
    assert [n for n, _ in seen] == 2 * [5, 5, 5, 5, 3]
    assert [graph for _, graph in seen] == 5 * [False] + 5 * [True]


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"got \[23, 4\] and 5"):
        cached_gradient(encode, WEIGHTS, (INPUTS[0], INPUTS[1][:4]), loss, 5)
    with pytest.raises(UserError, match="'chunk' at least 1"):
        cached_gradient(encode, WEIGHTS, INPUTS, loss, 0)
    with pytest.raises(UserError, match="a row for a row"):
        cached_gradient(lambda w, x, y: (x.mean(0, keepdim=True), y), WEIGHTS, INPUTS, loss, 5)

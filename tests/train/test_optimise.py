"""Optimisers against torch.optim, each lane at its own rate."""

import pytest
import torch

from whichloss.objectives.base import Adam, RMSprop
from whichloss.train import optimise

RATES = (1e-1, 1e-2, 1e-3)


def theirs(optimiser, w, rate):
    if isinstance(optimiser, Adam):
        if optimiser.decay:
            return torch.optim.AdamW([w], lr=rate, betas=optimiser.betas, weight_decay=optimiser.decay)
        return torch.optim.Adam([w], lr=rate, betas=optimiser.betas)
    return torch.optim.RMSprop([w], lr=rate, alpha=optimiser.smoothing)


@pytest.mark.parametrize(
    "optimiser",
    [
        Adam(0.0),
        Adam(0.0, (0.5, 0.9)),
        Adam(0.0, (0.0, 0.99)),
        Adam(0.0, decay=0.3),
        RMSprop(0.0),
        RMSprop(0.0, 0.9),
    ],
)
def test_lanes_move_as_torch_moves_each_alone(optimiser):
    torch.manual_seed(0)
    start, target = torch.randn(3, 50).double(), torch.randn(3, 50).double()
    scale = torch.logspace(-6, 3, 50).double()  # gradients of all sizes
    ours, slots = start.clone(), optimise.slots(optimiser, start)
    peers = [start[k].clone().requires_grad_() for k in range(3)]
    moved_by = [theirs(optimiser, w, rate) for w, rate in zip(peers, RATES, strict=True)]
    for _ in range(20):
        optimise.step(
            optimiser,
            ours,
            scale * (ours - target),
            slots,
            torch.tensor(RATES, dtype=torch.float64)[:, None],
            torch.ones(50),
        )
        for w, peer, goal in zip(peers, moved_by, target, strict=True):
            w.grad = scale * (w.detach() - goal)
            peer.step()
    assert torch.allclose(ours, torch.stack([w.detach() for w in peers]), rtol=1e-6, atol=1e-9)
    assert not torch.allclose(ours, start, atol=1e-3)


def test_only_marked_weights_decay_and_by_themselves():
    w, marks = torch.full((2, 3), 2.0), torch.tensor([1.0, 0.0, 1.0])
    adam, rates = Adam(0.0, decay=0.5), torch.tensor([[0.1], [0.2]])
    optimise.step(adam, w, torch.zeros(2, 3), optimise.slots(adam, w), rates, marks)
    assert torch.allclose(w, torch.tensor([[1.9, 2.0, 1.9], [1.8, 2.0, 1.8]]))


def test_a_rate_rises_and_falls_by_straight_lines():
    pace = Adam(1.0, warmup=0.2).pace
    assert [pace(p) for p in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert Adam(1.0, warmup=0.0).pace(0.0) == 1 and Adam(1.0).pace(0.9) == RMSprop(1.0).pace(0.9) == 1

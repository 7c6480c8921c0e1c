"""Optimisers against torch.optim, each lane at its own rate."""

import pytest
import torch

from whichloss.objectives.base import Adam, RMSprop
from whichloss.train import optimise

RATES = (1e-1, 1e-2, 1e-3)


def theirs(optimiser, w, rate):
    if isinstance(optimiser, Adam):
        return torch.optim.Adam([w], lr=rate, betas=optimiser.betas)
    return torch.optim.RMSprop([w], lr=rate, alpha=optimiser.smoothing)


@pytest.mark.parametrize(
    "optimiser", [Adam(0.0), Adam(0.0, (0.5, 0.9)), Adam(0.0, (0.0, 0.99)), RMSprop(0.0), RMSprop(0.0, 0.9)]
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
            optimiser, ours, scale * (ours - target), slots, torch.tensor(RATES, dtype=torch.float64)[:, None]
        )
        for w, peer, goal in zip(peers, moved_by, target, strict=True):
            w.grad = scale * (w.detach() - goal)
            peer.step()
    assert torch.allclose(ours, torch.stack([w.detach() for w in peers]), rtol=1e-6, atol=1e-9)
    assert not torch.allclose(ours, start, atol=1e-3)

"""A critic against a held generator, and how the examples say numbers."""

import numpy as np
import pytest
import torch
from replay.critics import Held, leaning, linear, look, trained, uniform
from replay.lanes import moments
from replay.oracles import Oracle, penalty_error
from replay.show import plain, spread

from whichloss.losses.adversarial import wasserstein_critic
from whichloss.objectives import Nets, find
from whichloss.rng import Rng


def test_a_held_generator_draws_its_law() -> None:
    held = Held(find("gan")(latent=1), mean=3.0, std=0.5)
    x = held.sample(Nets({"D": lambda x: x}), (20_000, 1), Rng.of(0))
    assert float(x.mean()) == pytest.approx(3.0, abs=0.02) and float(x.std()) == pytest.approx(0.5, abs=0.02)
    flat = Held(find("gan")(latent=1), mean=2.0, shape=uniform).sample(Nets({"D": lambda x: x}), (20_000, 1), Rng.of(0))
    assert 2 <= float(flat.min()) < 2.01 and 2.99 < float(flat.max()) <= 3
    assert float(flat.var()) == pytest.approx(1 / 12, abs=3e-3)


def test_a_linear_clipped_critic_gains_the_clip_times_the_gap() -> None:
    rows, clip = torch.zeros(2, 64, 1), 0.2
    held = Held(find("wgan")(latent=1, n_critic=1, clip=clip, lr=1e-2), std=0.0)
    means = torch.tensor([-1.0, 3.0])
    lanes, weights = trained(held, rows, 300, build=linear, hyper={"mean": means})
    gap = look(lanes, weights, rows, lambda nets, x, fake: -wasserstein_critic(nets.D(x), nets.D(fake)).mean())
    assert torch.allclose(gap, clip * means.abs(), atol=0.02)


def test_a_critic_that_starts_on_the_wrong_side_of_a_strong_penalty_stays_there() -> None:
    rows = torch.zeros(1, 8, 1)
    gaps = []
    for side in (-1.0, 1.0):
        held = Held(find("wgan-gp")(latent=1, n_critic=1, penalty=10.0, lr=0.02), mean=4.0, std=0.0)
        lanes, weights = trained(held, rows, 300, build=leaning(side))
        work = lambda nets, x, fake: -wasserstein_critic(nets.D(x), nets.D(fake)).mean()
        gaps.append(float(look(lanes, weights, rows, work)[0]))
    assert gaps == pytest.approx([4 + 16 / 20, -4 + 16 / 20], abs=0.02)


def test_the_shipped_penalty_is_that_of_a_linear_critic() -> None:
    assert max(penalty_error(seed) for seed in range(8)) < 1e-9


def test_an_oracle_judges_the_mean_and_a_bound_every_seed() -> None:
    seen = np.array([0.8, 1.1])
    assert Oracle("O", "", 1.0, seen, 0.1).holds and not Oracle("O", "", 1.0, seen, 0.04).holds
    assert not Oracle("O", "", 1.0, seen, 0.0, bound=True).holds and Oracle("O", "", 1.1, seen, 0.0, bound=True).holds


def test_moments_hold_the_first_and_the_last_step() -> None:
    found = moments(1000, 40)
    assert {1, 1000} <= found and len(found) <= 40 and max(found) == 1000


def test_numbers_are_said_with_their_spread_and_written_without_infinities() -> None:
    assert spread([1.0, 3.0], 2) == "2.00 ± 1.41"
    assert spread([1.0, 3.0, np.nan], 2) == "2.00 ± 1.41 (2 of 3 seeds)"
    assert plain({"a": np.array([np.inf, 1.0]), "b": (torch.tensor([0.5]), "x")}) == {
        "a": ["inf", 1.0],
        "b": [[0.5], "x"],
    }

"""The loop: order, repetition, when updates act, projection, averages, rates, and against a loop written by hand."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from whichloss.objectives.base import Adam, Generative, RMSprop, Update
from whichloss.objectives.gan import GAN
from whichloss.objectives.wgan_gp import WGANGP
from whichloss.rng import Rng
from whichloss.task import Task
from whichloss.train import Lanes, Loop, sampling_weights, train
from whichloss.train.place import PRECISION

N, D, B = 40, 2, 8


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def build(role, inputs, outputs, *, smooth=False):
    return nn.Sequential(nn.Linear(inputs, 8), nn.SiLU(), nn.Linear(8, outputs))


def make(objective, seeds=(1,), hyper=None):
    data = torch.stack([Rng.of(s)["data"].normal("x", (N, D)) for s in seeds])
    rng = Rng(Rng.of(*seeds, 0).key[:-1])
    full = torch.full((len(seeds),), N)
    return Lanes(objective, Task("generate", D, N), build, rng, data, full, torch.zeros(len(seeds), D), hyper or {}, B)


@dataclass(frozen=True)
class Two(Generative):
    """f follows the data's mean, g follows f: one number each, plain enough to compute by hand."""

    lr: float = 0.1
    times: int = 1
    active: tuple[float, float] = (0.0, 1.0)
    bound: float = 0.0
    optimiser: type = Adam
    search = {"lr": (0.1, 0.01)}

    def networks(self, task, build):
        return {role: nn.Linear(1, D, bias=False) for role in ("f", "g")}

    def updates(self):
        bound = self.bound
        project = {"f": lambda w: w.clamp(-bound, bound)} if bound else {}
        return [
            Update(("f",), self.first, self.optimiser(self.lr), self.times, project),
            Update(("g",), self.second, self.optimiser(self.lr), active=self.active),
        ]

    def first(self, nets, batch, rng):
        return ((self.at(nets.f) - batch.x) ** 2).sum(1).mean()

    def second(self, nets, batch, rng):
        return ((self.at(nets.g) - self.at(nets.f)) ** 2).sum() + batch.progress

    def at(self, net):
        return net(torch.ones(1, 1))

    def sample(self, nets, shape, rng):
        return nets.g(torch.ones(shape[0], 1))


def run(lanes, steps):
    return [(dict(losses), {r: w.clone() for r, w in state.weights.items()}) for state, losses in train(lanes, steps)]


def test_a_step_does_its_updates_in_order_each_seeing_the_last():
    lanes = make(Two(times=3))
    start = lanes.start().weights
    f, g = (torch.nn.Parameter(start[role][0].clone()) for role in ("f", "g"))
    of, og = (torch.optim.Adam([w], lr=0.1) for w in (f, g))
    number = 0
    for step, (losses, weights) in enumerate(run(lanes, 5)):
        for _ in range(3):
            of.zero_grad()
            loss = ((f - lanes.rows(number)[0]) ** 2).sum(1).mean()
            loss.backward()
            of.step()
            number += 1
        assert losses["0:f"].item() == pytest.approx(loss.item(), rel=1e-12)  # before the last of its three steps
        og.zero_grad()
        loss = ((g - f.detach()) ** 2).sum()
        loss.backward()
        og.step()
        number += 1
        assert losses["1:g"].item() == pytest.approx(loss.item() + step / 5, rel=1e-12)  # progress is read
        assert torch.allclose(weights["f"][0], f, rtol=1e-10) and torch.allclose(weights["g"][0], g, rtol=1e-10)


def test_an_update_acts_in_its_part_of_the_run_only():
    history = run(make(Two(active=(0.4, 0.8))), 10)
    assert [("1:g" in losses) for losses, _ in history] == [0.4 <= k / 10 < 0.8 for k in range(10)]
    still = [weights["g"] for _, weights in history]
    assert torch.equal(still[0], still[3]) and torch.equal(still[7], still[9]) and not torch.equal(still[3], still[4])


def test_batches_do_not_depend_on_which_updates_act():
    whole, part = run(make(Two()), 6), run(make(Two(active=(0.5, 1.0))), 6)
    assert all(torch.equal(a["f"], b["f"]) for (_, a), (_, b) in zip(whole, part, strict=True))


def test_weights_are_projected_after_every_step():
    for _, weights in run(make(Two(bound=0.05)), 5):
        assert weights["f"].abs().max() <= 0.05


@pytest.mark.parametrize("optimiser", [Adam, RMSprop])
def test_a_searched_rate_is_each_lanes_own(optimiser):
    rates = (0.1, 0.003)
    lanes = make(Two(optimiser=optimiser), (1, 1), {"lr": torch.tensor(rates)})
    together = run(lanes, 6)[-1][1]
    for lane, rate in enumerate(rates):
        alone = run(make(Two(lr=rate, optimiser=optimiser)), 6)[-1][1]
        for role in alone:
            assert torch.allclose(together[role][lane], alone[role][0], rtol=1e-12)
    assert not torch.allclose(together["f"][0], together["f"][1])


@dataclass(frozen=True)
class Averaged(Two):
    average = 0.8


def test_sampling_weights_are_the_bias_corrected_average():
    lanes, w, share = make(Averaged()), [], []
    for state, _ in train(lanes, 7):
        w.append(state.weights["f"].clone())
        share = [0.2 * 0.8 ** (len(w) - 1 - k) for k in range(len(w))]
        expected = sum(a * b for a, b in zip(share, w, strict=True)) / sum(share)
        assert torch.allclose(sampling_weights(lanes, state)["f"], expected, rtol=1e-12)
    assert sampling_weights(make(Two()), state)["f"] is state.weights["f"]


def by_hand(lanes, steps):
    """WGAN-GP as anyone writes it in PyTorch, with this package's start, rows and draws."""
    G, D = build("G", 8, 2), build("D", 2, 1)
    for role, net in (("G", G), ("D", D)):
        torch.nn.utils.vector_to_parameters(lanes.start().weights[role][0], net.parameters())
    oG, oD = (torch.optim.Adam(net.parameters(), 1e-3, betas=(0.5, 0.9)) for net in (G, D))
    draws, number = Rng(lanes.draws.key[:1]), 0
    for step in range(steps):
        for turn in range(5):
            rng, x = draws.at(step, 0, turn), lanes.rows(number)[0]
            fake = G(rng.normal("z", (B, 8))[0]).detach()
            eps = rng.uniform("eps", (B, 1))[0]
            x_hat = (eps * x + (1 - eps) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=True)
            loss = D(fake).mean() - D(x).mean() + 0.1 * ((slope.norm(dim=1) - 1) ** 2).mean()
            oD.zero_grad()
            loss.backward()
            oD.step()
            number += 1
        rng = draws.at(step, 1, 0)
        oG.zero_grad()
        (-D(G(rng.normal("z", (B, 8))[0])).mean()).backward()
        oG.step()
        number += 1
    return {role: torch.nn.utils.parameters_to_vector(net.parameters()) for role, net in (("G", G), ("D", D))}


def test_wgan_gp_equals_a_loop_written_by_hand():
    lanes = make(WGANGP(lr=1e-3, penalty=0.1, latent=8, n_critic=5))
    ours, theirs = run(lanes, 4)[-1][1], by_hand(lanes, 4)
    for role in ours:
        assert torch.allclose(ours[role][0], theirs[role], rtol=1e-7, atol=1e-9)


def test_a_run_resumes_to_the_same_bits():
    from whichloss.train import State

    lanes, kept = make(GAN(), (1, 2)), {}
    for state, _ in train(lanes, 9):
        if state.step == 4:
            kept = {name: value.clone() for name, value in state.flat().items()}
    for again, _ in train(lanes, 9, State.of(4, kept)):
        pass
    assert again.step == state.step == 9
    assert all(torch.equal(v, again.flat()[name]) for name, v in state.flat().items())


def test_a_step_takes_no_global_draws():
    before = torch.get_rng_state()
    lanes = make(GAN())
    loop = Loop(lanes, lanes.start(), 3)
    torch.set_rng_state(before)
    loop.step()
    loop.step()
    assert torch.equal(torch.get_rng_state(), before)


def test_in_bfloat16_only_products_are_shorter(monkeypatch):
    torch.set_default_dtype(torch.float32)
    lanes = make(GAN(lr=1e-2), (1, 2))
    _, exact = run(lanes, 5)[-1]
    monkeypatch.setenv(PRECISION, "bfloat16")
    _, rough = run(lanes, 5)[-1]
    for role, w in exact.items():
        assert rough[role].dtype == torch.float32
        assert not torch.equal(rough[role], w) and torch.allclose(rough[role], w, atol=0.1)


def test_matrices_decay_and_the_rate_goes_its_way():
    """Against AdamW and its schedule, by hand: f decays, its bias does not."""

    @dataclass(frozen=True)
    class Decayed(Two):
        def networks(self, task, build):
            return {"f": nn.Linear(1, D), "g": nn.Linear(1, D)}

        def updates(self):
            return [Update(("f",), self.first, Adam(self.lr, decay=0.5, warmup=0.25))]

    lanes, steps = make(Decayed()), 8
    net = nn.Linear(1, D)
    with torch.no_grad():
        parts = lanes.start().weights["f"][0].split(D)
        net.weight.copy_(parts[0][:, None]), net.bias.copy_(parts[1])
    adam = torch.optim.AdamW([{"params": [net.weight], "weight_decay": 0.5}, {"params": [net.bias]}], weight_decay=0.0)
    for k, (state, _) in enumerate(train(lanes, steps)):
        for group in adam.param_groups:
            group["lr"] = 0.1 * min((k + 0.5) / 2, (7.5 - k) / 6)
        adam.zero_grad()
        ((net(torch.ones(1, 1)) - lanes.rows(k)[0]) ** 2).sum(1).mean().backward()
        adam.step()
        torch.testing.assert_close(state.weights["f"][0], torch.cat([net.weight[:, 0], net.bias]).detach())

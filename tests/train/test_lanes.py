"""Lanes: a seed's start, batches and samples are its own, whoever trains beside it and whatever the objective."""

from dataclasses import dataclass, replace

import pytest
import torch

from whichloss.nets import builder
from whichloss.objectives import find
from whichloss.objectives.base import Adam, Generative, Update
from whichloss.objectives.gan import GAN
from whichloss.objectives.wgan_gp import WGANGP
from whichloss.rng import Rng
from whichloss.task import Task
from whichloss.train import Lanes, State, train
from whichloss.train.lanes import places

N, D, B = 60, 2, 16


def make(seeds=(1, 2, 3), objective=None, sizes=None, jitter=0.0, data=None, salt="", hyper=None):
    if data is None:
        data = torch.stack([Rng.of(s)["data"].normal("x", (N, D)) for s in seeds])
    return Lanes(
        objective or GAN(), Task("generate", D, N), builder(8, 2), Rng(Rng.of(*seeds, 0).key[:-1]), data,
        torch.tensor(sizes or [N] * len(seeds)), torch.full((len(seeds), D), jitter), hyper or {}, batch=B, salt=salt,
    )  # fmt: skip


def test_a_seed_starts_alike_in_any_company_and_under_any_objective():
    together, alone = make().start(), make((2,)).start()
    for role in ("G", "D"):
        assert torch.equal(together.weights[role][1:2], alone.weights[role])
        assert torch.equal(together.weights[role], make(objective=WGANGP()).start().weights[role])
        assert not torch.equal(together.weights[role][0], together.weights[role][1])
    assert not torch.equal(make(salt="twin").start().weights["G"], together.weights["G"])


def test_starting_leaves_the_global_generator_as_it_was():
    before = torch.get_rng_state()
    lanes = make()
    torch.set_rng_state(before)  # making the modules may draw; starting a seed may not
    lanes.start()
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_are_the_seeds_rows_and_the_same_for_every_objective_and_twin():
    lanes = make()
    for number in (0, 5):
        rows = lanes.rows(number)
        assert rows.shape == (3, B, D)
        assert torch.equal(rows[1:2], make((2,)).rows(number))
        assert torch.equal(rows, make(objective=WGANGP()).rows(number))
        assert torch.equal(rows, make(salt="twin").rows(number))
        for lane in range(3):
            assert (rows[lane][:, None] == lanes.data[lane][None]).all(-1).any(1).all()
    assert not torch.equal(lanes.rows(0), lanes.rows(1))


def test_rows_beyond_a_lanes_size_are_never_drawn():
    data = torch.zeros(2, N, D)
    data[0, 7:], data[1, 40:] = torch.nan, torch.nan
    lanes = make((1, 2), data=data, sizes=[7, 40])
    assert all(torch.isfinite(lanes.rows(i)).all() for i in range(20))


def test_every_row_is_drawn_equally_often():
    data = torch.arange(N).float()[None, :, None].expand(1, N, D).contiguous()
    lanes = make((1,), data=data)
    drawn = torch.cat([lanes.rows(i)[0, :, 0] for i in range(600)]).long()
    counts = torch.bincount(drawn, minlength=N).double()
    expected = len(drawn) / N
    assert float(((counts - expected) ** 2 / expected).sum()) < N - 1 + 4 * (2 * N) ** 0.5


def test_of_pairs_and_of_rows_to_embed_every_row_comes_once_a_round():
    lanes = replace(make(sizes=[50, 20, 5]), task=Task("embed", D, N))
    for lane, (size, rounds) in enumerate(((50, 3), (20, 1), (5, 1))):  # batches of 16 in a round; 5 rows: 3.2 rounds
        dealt = [lanes.alone(lane).rows(number)[0] for number in range(rounds)]
        counts = (torch.cat(dealt)[:, None] == lanes.data[lane]).all(-1).sum(0)
        if size > B:
            assert counts.max() == 1 and counts.sum() == rounds * B
        assert counts[size:].sum() == 0 and counts[:size].max() - counts[:size].min() <= 1
        again = lanes.rows(rounds)[lane]
        assert torch.equal(again, lanes.alone(lane).rows(rounds)[0]) and not torch.equal(again, dealt[0])
    assert not torch.equal(lanes.rows(-1), lanes.rows(0))  # those that are watched


def test_rows_of_a_unit_are_dealt_as_far_apart_as_can_be():
    units = torch.arange(N) // 4  # 15 units of 4: a batch of 15 has each once
    lanes = replace(
        make((1, 2)), task=Task("align", D, N, second=1), units=torch.stack([units, units.flip(0)]), batch=15
    )
    for lane in range(2):
        number = [int((row == lanes.data[lane]).all(1).nonzero()) for k in range(4) for row in lanes.rows(k)[lane]]
        at = torch.empty(N, dtype=torch.long)
        at[torch.tensor(number)] = torch.arange(N)
        by_unit = at[units.argsort(stable=True)].view(15, 4).sort(dim=1).values
        assert torch.equal(by_unit, by_unit[:, :1] + 15 * torch.arange(4))
    one = places(torch.zeros(1000, dtype=torch.long), Rng.of(0)).sort().values
    assert torch.allclose(one.diff(), torch.full((999,), 1e-3), atol=1e-6)
    alone = places(torch.arange(20_000), Rng.of(0))
    assert abs(alone.mean() - 0.5) < 0.01 and abs(alone.var() - 1 / 12) < 2e-3


def test_jitter_is_uniform_of_its_full_width():
    lanes = make((1,), data=torch.zeros(1, N, D), jitter=0.5)
    noise = torch.cat([lanes.rows(i)[0] for i in range(200)])
    assert noise.abs().max() <= 0.25
    assert abs(float(noise.std()) - 0.5 / 12**0.5) < 0.005


def test_a_seed_samples_and_is_watched_alike_in_any_company():
    lanes = make()
    state = lanes.start()
    rows = lanes.sample(state.weights, 9, "look")
    alone = lanes.alone(1)
    here = {role: w[1:2] for role, w in state.weights.items()}
    assert torch.allclose(rows[1:2], alone.sample(here, 9, "look"), atol=1e-6)
    assert torch.equal(rows, lanes.sample(state.weights, 9, "look"))
    assert not torch.isclose(rows, lanes.sample(state.weights, 9, "other")).any()
    seen, one = lanes.watch(state, 10), alone.watch(State(0, here, {}, {}, {}), 10)
    assert {name: v.shape for name, v in seen.items()} == {name: torch.Size([3]) for name in one}
    for name, v in one.items():
        assert torch.allclose(seen[name][1:2], v, atol=1e-6)


@pytest.mark.parametrize("objective", [GAN(), WGANGP()])
def test_a_diverged_lane_stays_nan_and_leaves_the_others_untouched(objective):
    sick = make(objective=objective)
    data = sick.data.clone()
    data[1, 0] = torch.nan  # a batch that holds this row ends the lane
    sick, sound = make(objective=objective, data=data), make(objective=objective)
    for state, losses in train(sick, 12):
        pass
    for healthy, expected in train(sound, 12):
        pass
    for role, w in state.weights.items():
        assert torch.isnan(w[1, :-1]).all()  # the last bias of a Wasserstein critic has no gradient
        assert torch.equal(w[[0, 2]], healthy.weights[role][[0, 2]])
    for name, loss in losses.items():
        assert torch.isnan(loss[1])
        assert torch.equal(loss[[0, 2]], expected[name][[0, 2]])


@dataclass(frozen=True)
class Remembering(Generative):
    """Chains that start at the data's first rows and walk; the memory's own size is not the data's."""

    lr: float = 1e-2
    average = 0.9

    def networks(self, task, build):
        return {"f": build("f", task.dim, task.dim)}

    def updates(self):
        return [Update(("f",), self.loss, Adam(self.lr))]

    def memory(self, data, rng):
        x = data.x
        return {"chains": x[:5] + rng.normal("noise", (5, x.shape[1])), "mean": x.mean(0)}

    def refresh(self, nets, batch, rng):
        return {"chains": batch.memory["chains"] + 0.1 * rng.normal("walk", (5, D))}

    def loss(self, nets, batch, rng):
        return (nets.f(batch.memory["chains"]) - batch.x.mean(0)).pow(2).mean()

    def sample(self, nets, shape, rng):
        return nets.f(rng.normal("x", shape))


def test_memory_belongs_to_the_lane_and_sees_its_own_rows_only():
    lanes = make((1, 2), objective=Remembering(), sizes=[10, N])
    memory = lanes.start().memory
    assert memory["chains"].shape == (2, 5, D)
    assert torch.allclose(memory["mean"][0], lanes.data[0, :10].mean(0))
    alone = make((2,), objective=Remembering()).start().memory
    assert torch.equal(memory["chains"][1:], alone["chains"])


def test_a_state_survives_being_flattened():
    for state, _ in train(make(objective=Remembering()), 4):
        pass
    again = State.of(state.step, state.flat())
    assert again.flat().keys() == state.flat().keys()
    for name, value in state.flat().items():
        assert torch.equal(again.flat()[name], value)
    assert again.averages.keys() == {"f"} and again.memory.keys() == {"chains", "mean"}


def test_lanes_of_pictures_read_their_bytes_by_number():
    pixels = torch.arange(5 * 6, dtype=torch.uint8).reshape(5, 6)
    numbers = torch.tensor([[[4.0, 1.0], [2.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    lanes = Lanes(
        find("cross-entropy")(), Task("classify", 6, 3, 2, "one"), builder(4, 1), Rng(Rng.of(1, 2).key[:1]), numbers,
        torch.tensor([3]), torch.zeros(1, 6), batch=200, pixels=pixels,
    )  # fmt: skip
    rows = lanes.rows(0)
    assert rows.shape == (1, 200, 7)
    seen = {(tuple(row[:6].tolist()), row[6].item()) for row in rows[0]}
    truth = {(tuple((pixels[int(k)].float() / 127.5 - 1).tolist()), y) for k, y in numbers[0].tolist()}
    assert seen == truth
    assert torch.equal(lanes.some(0), lanes.read(numbers[0])) and len(lanes.some(0, 2)) == 2

"""One group of runs: checkpoints, the best snapshot, what a record holds, lanes that cannot be stacked."""

import json
import math

import msgspec
import numpy as np
import pytest
import torch
from small_study import MINE
from torch import nn

from whichloss.data import read
from whichloss.nets import MLP
from whichloss.study import goals, work
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.nets import packed
from whichloss.study.plan import Group, Run
from whichloss.study.store import Store
from whichloss.train import Loop


@pytest.fixture
def folder(tmp_path, table_csv):
    read(str(table_csv)).save(tmp_path / "data.safetensors")
    (tmp_path / "plan.json").write_text('{"plan": {"goal": "generate", "asked": {}}}')
    goals.judge_of.cache_clear()
    return tmp_path


def group(objective, seeds=(1, 2), stage="screen", flops=2e8, **fields):
    setting = {}
    runs = [
        Run(data="d", objective=objective, code="c", setting=setting, seed=s, flops=flops, width=16, **fields)
        for s in seeds
    ]
    return Group(stage, tuple(runs))


def trainer(folder, group, nets=None):
    return work.Trainer(work.Job(str(folder), group, packed(nets)), lambda message: None)


def records(folder, group):
    return [Store(folder).read(run.id) for run in group.runs]


def plain(record):
    return json.dumps({k: v for k, v in record.items() if k != "clock"}, sort_keys=True)


def same(a, b):
    return all(
        plain(ra) == plain(rb)
        and aa.keys() == ab.keys()
        and all(np.array_equal(aa[k], ab[k], equal_nan=True) for k in aa)
        for (ra, aa), (rb, ab) in zip(a, b, strict=True)
    )


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", [1, 20, 41])
def test_a_killed_group_ends_with_the_same_bytes(folder, mine, monkeypatch, at):
    these = group(mine)
    trainer(folder, these).run()
    whole = records(folder, these)
    assert whole[0][0]["steps"] > 41
    for run in these.runs:
        Store(folder).path(run.id).unlink()
    monkeypatch.setattr(work, "PAUSE", 0.0)  # a checkpoint after every step
    step = Loop.step

    def cut(loop):
        if loop.state.step == at:
            raise Killed
        return step(loop)

    monkeypatch.setattr(Loop, "step", cut)
    with pytest.raises(Killed):
        trainer(folder, these).run()
    monkeypatch.setattr(Loop, "step", step)
    again = trainer(folder, these)
    assert again.resume().step == at
    trainer(folder, these).run()
    assert same(records(folder, these), whole)
    assert not any((folder / "partial").iterdir())


def test_a_damaged_checkpoint_means_starting_again(folder, mine):
    these = group(mine)
    trainer(folder, these).run()
    whole = records(folder, these)
    path = trainer(folder, these).checkpoint
    path.write_bytes(b"half a checkpoint")
    trainer(folder, these).run()
    assert same(records(folder, these), whole)


def test_the_best_snapshot_is_kept_and_both_are_told(folder, mine, monkeypatch):
    these = group(mine)
    t, scores = trainer(folder, these), iter([5.0, 6.0, 1.0, 7.0, 3.0, 2.0, 4.0, math.nan])
    snapshots = []
    real = SampleJudge.score

    def scripted(judge, values, seed, which):
        found = real(judge, values, seed, which)
        value = next(scores, None)
        return found if value is None else msgspec_replace(found, value)

    def msgspec_replace(found, value):
        from dataclasses import replace

        return replace(found, value=value)

    monkeypatch.setattr(SampleJudge, "score", scripted)
    look = t.look

    def looking(state):
        look(state)
        snapshots.append(state.weights["G"].clone())

    t.look = looking
    t.run()
    (first, a), (second, b) = records(folder, these)
    assert first["quarters"] == [5.0, 1.0, 3.0, 4.0]
    assert second["quarters"] == [6.0, 7.0, 2.0, None]
    assert np.array_equal(a["weights/G"], snapshots[1][0].numpy())
    assert second["failed"].startswith("diverged") and b == {}


def test_what_a_record_holds(folder):
    these = group("flow-matching")
    t = trainer(folder, these)
    t.run()
    assert t.lanes.stacked
    for (record, arrays), run in zip(records(folder, these), these.runs, strict=True):
        assert record["run"] == msgspec.to_builtins(run)
        assert record["lanes"] == [r.id for r in these.runs]
        assert record["flops"] <= run.flops < record["flops"] + t.flops
        assert record["parameters"] == {"u": sum(p.numel() for p in t.lanes.modules["u"].parameters())}
        assert set(arrays) == {"weights/u", "samples", "influence"}
        values = arrays["samples"]
        assert values.shape == (t.judge.size(run.seed), 5)
        assert record["score"] == t.judge.score(values, run.seed, "validation").value
        assert set(np.unique(values[:, 2])) <= {0, 1} and set(np.unique(values[:, 4])) <= {0, 1}
        assert np.array_equal(values[:, 3], np.round(values[:, 3]))
        assert record["loss skill"] < 1  # hardly trained: far below a trivial predictor
        assert len(record["skill by level"]) == 3 and all(skill < 0.5 for skill in record["skill by level"])
        assert record["log likelihood"] is None  # the table has discrete columns
        assert all(len(c) == len(record["curves"]["loss 0:u"]) for c in record["curves"].values())


def test_tuning_runs_are_scored_but_not_judged(folder, mine):
    these = group(mine, stage="tune")
    trainer(folder, these).run()
    record, arrays = records(folder, these)[0]
    assert len(record["quarters"]) == 4 and "score" not in record and not arrays


def test_a_lane_equals_its_seed_alone(folder, mine):
    both, alone = group(mine, (1, 2)), group(mine, (2,))
    trainer(folder, both).run()
    together = records(folder, both)[1]
    Store(folder).path(alone.runs[0].id).unlink()
    trainer(folder, alone).run()
    found = records(folder, alone)[0]
    assert np.allclose(found[1]["weights/G"], together[1]["weights/G"], atol=1e-5)


def test_fewer_rows_are_a_part_of_the_same_rows(folder, mine):
    judge = goals.judge_of(str(folder))
    _, whole = work.make_lanes(judge, group(mine).runs, None)
    encoders, half = work.make_lanes(judge, group(mine, share=0.5).runs, None)
    assert [round(n / 2) for n in whole.sizes.tolist()] == half.sizes.tolist()
    rows = {tuple(r) for r in judge.table.values[judge.split(1).train].round(6).tolist()}
    mine_rows = encoders[0].decode(half.data[0, : half.sizes[0]].numpy()).round(6)
    assert {tuple(r) for r in np.nan_to_num(mine_rows, nan=-9.0).tolist()} <= {
        tuple(np.nan_to_num(r, nan=-9.0).tolist()) for r in map(np.array, rows)
    }


class Choosy(nn.Module):
    """Data-dependent control flow: no vmap, no trace."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.first, self.last = nn.Linear(inputs, 16), nn.Linear(16, outputs)

    def forward(self, x):
        h = self.first(x).relu()
        if float(h.detach().mean()) > 1e9:  # never: so that the numbers are those of the plain network
            h = h / 2
        return self.last(h)


def plain_net(inputs, outputs):
    return MLP(inputs, outputs, width=16, depth=1)


@pytest.mark.parametrize("objective", ["gan", "wgan-gp"])
def test_networks_that_cannot_be_stacked_train_one_by_one_to_the_same_numbers(folder, objective):
    found = {}
    for name, maker in {"plain": plain_net, "choosy": Choosy}.items():
        these = group(objective, (1, 2), flops=1e7)
        t = trainer(folder, these, {"D": maker})
        assert t.lanes.stacked == (name == "plain")
        t.run()
        found[name] = records(folder, these)
        for run in these.runs:
            Store(folder).path(run.id).unlink()
    for (a, x), (b, y) in zip(found["plain"], found["choosy"], strict=True):
        assert a["flops"] == b["flops"] and not b["failed"]
        assert np.allclose(x["weights/D"], y["weights/D"], atol=1e-5)


def test_an_objective_with_a_python_if_on_a_tensor_trains_one_by_one(folder, tmp_path):
    own = tmp_path / "choosy.py"
    own.write_text(MINE.replace("return ((x.mean(0)", "x = x if x.sum() > 1e9 else x * 1\n        return ((x.mean(0)"))
    these = group(str(own))
    t = trainer(folder, these)
    assert not t.lanes.stacked
    t.run()
    assert not any(record["failed"] for record, _ in records(folder, these))


def test_log_likelihood_is_a_density_over_the_judges_space(tmp_path):
    """The same Gaussian in two encodings: log p differs by the log of the stretch, and the result must not."""
    rng = np.random.default_rng(0)
    table = read(rng.normal(size=(400, 2)) * [1.0, 30.0] + 5)
    judge = SampleJudge(table)
    train = judge.split(1).train
    from whichloss.data import Encoder

    encoder = Encoder.fit(table.schema, table.values[train[:100]])
    space = judge.place(table.values)
    low, high = space.mean(0), space.std(0)

    def log_p(x):
        """N(low, high) of the judge's space, as a density over the lane's encoding."""
        values = encoder.decode(x.numpy())
        y = judge.place(values)
        a = (encoder.encode(table.values[1:2]) - encoder.encode(table.values[:1])) / (
            judge.space.encode(table.values[1:2]) - judge.space.encode(table.values[:1])
        )
        return torch.distributions.Normal(low, high).log_prob(y).sum(1) - np.log(np.abs(a)).sum()

    y = judge.place(table.values[judge.numbers(1, "test")])
    exact = torch.distributions.Normal(low, high).log_prob(y).sum(1).mean()
    assert judge.log_likelihood(encoder, 1, "test", log_p) == pytest.approx(float(exact), abs=1e-3)

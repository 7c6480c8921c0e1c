"""The contrastive example: one change at a time, levels that are closed forms, data that is what it is called."""

import argparse
import json
import math
from dataclasses import fields

import contrastive_why
import numpy as np
import pytest
import torch
from contrastive.settings import ALIKE, FAILING, LOSSES, REMEDIES, Pairs, Setting, raw_constant
from contrastive.show import HEADING, Shown, publish
from contrastive.training import CLASSES, at, batches, make, network, pool, train
from torch.nn.functional import normalize

from whichloss.errors import UserError
from whichloss.losses.contrastive import cosine_bce_least

EACH = 16


@pytest.fixture(scope="module")
def real():
    return pool(None, EACH)


def pairs(a, b, labels_a, labels_b, classes=CLASSES):
    return Pairs(a, b, labels_a, labels_b, classes, torch.tensor([1.0, 0.5]))


@pytest.mark.parametrize("name", [name for name in REMEDIES if name != "nothing"])
def test_every_remedy_is_one_change(name):
    assert len([f for f in fields(Setting) if getattr(REMEDIES[name], f.name) != getattr(FAILING, f.name)]) == 1


@pytest.mark.parametrize("loss", LOSSES)
def test_the_constant_is_what_equal_embeddings_have_and_the_least_is_below(loss):
    labels = torch.arange(64) % CLASSES
    some = pairs(torch.ones(64, 4), torch.ones(64, 4), labels, labels)
    least, constant = LOSSES[loss].least(some), LOSSES[loss].constant(some)
    assert least < constant
    if LOSSES[loss].positives == 1:  # else a constant is a cosine below 1
        assert float(LOSSES[loss].value(some).mean()) == pytest.approx(constant, rel=1e-5)
    corners = 100 * torch.eye(CLASSES)[labels]
    if loss in ("supcon", "infonce"):  # other classes are far at T = .1: what is left is the floor of equal labels
        found = float(LOSSES[loss].value(pairs(corners, corners, labels, labels)).mean())
        assert least <= found < least + 0.01


def test_the_best_constant_cosine_is_the_base_rate_or_the_end():
    entropy = -ALIKE * math.log(ALIKE) - (1 - ALIKE) * math.log(1 - ALIKE)
    assert raw_constant(ALIKE) == pytest.approx(entropy)
    assert raw_constant(0.5) == pytest.approx(math.log(2))
    assert raw_constant(0.9) == pytest.approx(0.9 * math.log1p(math.exp(-1)) + 0.1 * math.log1p(math.e))


def test_the_raw_cosine_reaches_its_least_at_the_corners_of_a_simplex():
    corners, codes = torch.eye(CLASSES) - 1 / CLASSES, torch.arange(CLASSES)
    i, j = torch.cartesian_prod(codes, codes).T
    some = pairs(corners[i], corners[j], i, j)
    losses = LOSSES["raw"].value(some)
    mean = ALIKE * losses[i == j].mean() + (1 - ALIKE) * losses[i != j].mean()
    assert float(mean) == pytest.approx(LOSSES["raw"].least(some), rel=1e-5)
    assert LOSSES["raw"].least(some) == cosine_bce_least(CLASSES, ALIKE)


def test_data_is_what_it_is_called(real):
    noise, shuffled, true, views = (make(kind, real, EACH, 0) for kind in ("noise", "shuffled", "real", "views"))
    n = CLASSES * EACH
    assert torch.equal(shuffled.x, true.x) and not torch.equal(shuffled.y, true.y)
    for data in (noise, shuffled, true):
        assert data.x.shape == (n, 1, 8, 8) and data.classes == CLASSES and data.x.min() >= 0 and data.x.max() <= 1
        every = torch.cat([data.y, data.looks["test"].truth])
        assert every.bincount().tolist() == [2 * EACH] * CLASSES
        test = {x.numpy().tobytes() for x in data.looks["test"].asked}
        assert not test & {x.numpy().tobytes() for x in data.x}
    assert noise.x.std() == pytest.approx(12**-0.5, rel=0.02)
    known = {np.asarray(row).tobytes(): int(code) for row, code in zip(real.values, real.labels, strict=True)}
    given = [known[x.numpy().tobytes()] for x in (true.x * 255).round().byte().flatten(1)]
    assert given == true.y.tolist()
    assert views.classes == n and views.y.bincount().tolist() == [2] * n and len(views.looks["test"].truth) == n


def test_pairs_are_drawn_in_the_share_that_is_asked_for(real):
    for kind, loss in (("noise", "raw"), ("views", "raw"), ("real", "supcon")):
        data, setting = make(kind, real, EACH, 0), Setting(loss=loss, batch=len(make(kind, real, EACH, 0).y))
        drawn = batches(data, setting, torch.Generator().manual_seed(0))
        sides = [next(drawn) for _ in range(20)]
        i, j = (torch.cat(side) for side in zip(*sides, strict=True))
        share = float((data.y[i] == data.y[j]).double().mean())
        assert share == pytest.approx(LOSSES[loss].positives, abs=0.04) and not bool((i == j).any())
        assert sides[0][0].sort().values.tolist() == list(range(len(data.y)))


def test_looking_at_the_labels_finds_them_and_at_nothing_finds_chance(real):
    data = make("real", real, EACH, 0)
    codes = {x.numpy().tobytes(): int(y) for look in data.looks.values() for x, y in zip(look.asked, look.truth)}
    codes |= {x.numpy().tobytes(): int(y) for x, y in zip(data.x, data.y, strict=True)}

    class Told(torch.nn.Module):
        def forward(self, x):
            return torch.eye(CLASSES)[[codes[one.numpy().tobytes()] for one in x]] - 1 / CLASSES

    found = at(Told(), data)
    assert found["train accuracy"] > 0.9 and found["test accuracy"] == 1  # half of a class may be fewer than k
    assert found["test alike"] == pytest.approx(1, abs=1e-5)
    assert found["test other"] == pytest.approx(-1 / 7, abs=1e-5) and found["test other spread"] < 1e-5


def test_training_is_a_function_of_the_seed_and_learns_what_can_be_learnt(real):
    data, setting = make("real", real, EACH, 1), Setting(data="real", loss="scaled", lr=3e-3, epochs=60)
    one, two = (train(setting, data, 1) for _ in range(2))
    assert one == two and one["test accuracy"] > 0.7 and one["least"] < one["loss"] < one["constant"]
    assert one["test alike"] > one["test other"] + 0.3
    still = train(Setting(lr=0.0, epochs=1), data, 1)
    assert all(still[f"untrained {key}"] == still[key] for key in ("test accuracy", "test alike", "train other"))


def test_endless_noise_is_never_seen_twice(real):
    """With one batch an epoch the first losses differ, though the pairs and the weights are those of fixed noise."""
    fixed, fresh = (make(kind, real, EACH, 0) for kind in ("noise", "fresh"))
    assert torch.equal(fixed.x, fresh.x) and fresh.fresh and not fixed.fresh
    runs = [train(Setting(epochs=1, batch=999), data, 0)["loss"] for data in (fixed, fresh)]
    assert runs[0] != runs[1]


def test_networks_have_the_depth_and_the_kernel_that_are_asked_for():
    for setting in (FAILING, REMEDIES["4 layers instead of 2"], REMEDIES["kernels of 7"]):
        net = network(setting, torch.Size((1, 28, 28)))
        layers = [part for part in net.modules() if isinstance(part, torch.nn.Conv2d)]
        assert len(layers) == setting.depth and {layer.kernel_size[0] for layer in layers} == {setting.kernel}
        assert normalize(net(torch.rand(3, 1, 28, 28)), dim=1).shape == (3, 32)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    out = tmp_path_factory.mktemp("why")
    known = {"data": None, "seeds": 2, "jobs": 1, "out": out, "quick": True, "publish": False}
    contrastive_why.run(argparse.Namespace(**known))
    return out


def test_from_the_command_line_to_the_tables(played):
    record, said = (
        json.loads((played / "contrastive_why.json").read_text()),
        (played / "contrastive_why.md").read_text(),
    )
    first = record["runs"]["The failing setting, and one change at a time"]
    assert set(first) == set(REMEDIES) and all(len(runs) == 2 for runs in first.values())
    assert all(line in said for line in record["conclusion"]) and said.count("|\n|") > 25
    p = {kind: [s["p"] for s in signals] for kind, signals in record["signals"].items()}
    assert max(p["real"]) < 0.01 <= min(p["noise"] + p["shuffled"])
    assert "no signal in noise at 2 of 2 seeds, in shuffled labels at 2 of 2, in real ones at 0 of 2" in said


def test_wrong_arguments_are_refused(tmp_path):
    known = {"data": None, "seeds": 1, "jobs": 1, "out": tmp_path, "quick": True, "publish": False}
    with pytest.raises(UserError, match="--seeds must be at least 2"):
        contrastive_why.run(argparse.Namespace(**known))
    with pytest.raises(UserError, match="holds no train-images"):
        contrastive_why.run(argparse.Namespace(**known | {"seeds": 2, "data": tmp_path}))
    with pytest.raises(UserError, match="must have 400 pictures"):
        pool(None, 200)


def shown(**accuracy):
    """Runs of two seeds in which only these names learn."""
    from contrastive.settings import PARTS

    keys = [
        f"{a}{b} {c}" for a in ("untrained ", "") for b in ("train", "test") for c in ("accuracy", "alike", "other")
    ]
    keys += [f"{b} {c} spread" for b in ("train", "test") for c in ("alike", "other")] + ["loss", "least", "constant"]
    runs = {
        part: {
            name: [dict.fromkeys(keys, 0.5) | {"test accuracy": accuracy.get(setting.data, 0.125)} for _ in range(2)]
            for name, setting in settings.items()
        }
        for part, settings in PARTS.items()
    }
    return Shown(runs, {kind: [] for kind in ("noise", "shuffled", "real")}, "pictures", 256)


def test_the_conclusion_follows_from_the_numbers():
    told = shown(real=0.5).conclusion
    assert "0 do better than a guess (none), though 0 tell" in told[0] and told[1].endswith("So it is the data.")
    assert "12.5 ± 0.0 % becomes 50.0 ± 0.0 %" in told[1] and "has 50.0 ± 0.0 %" in told[4]
    lucky = shown(fresh=0.3, real=0.5).conclusion
    assert "1 do better than a guess (endless noise)" in lucky[0] and lucky[1].endswith("not the data alone.")
    assert shown().conclusion[1].endswith("not the data alone.")
    part = next(iter(shown().runs))
    for accuracy, above in ((0.125, False), (0.14, False), (0.2, True)):
        assert shown(noise=accuracy).above(part, "nothing") == above


def test_publishing_ends_the_section_and_can_be_repeated(tmp_path, monkeypatch):
    import contrastive.show as show

    readme = tmp_path / "examples/README.md"
    readme.parent.mkdir()
    readme.write_text(f"# Examples\n\n## {HEADING}\n\nWords.\n\n## Next\n\nMore.\n")
    monkeypatch.setattr(show, "markdown", lambda _: "mean ± sd, a table")
    for _ in range(2):
        publish(shown(), tmp_path)
        assert readme.read_text() == (
            f"# Examples\n\n## {HEADING}\n\nWords.\n\nMeasured: mean ± sd, a table\n\n## Next\n\nMore.\n"
        )

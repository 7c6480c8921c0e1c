"""The EBGAN example: its deviations are the ones it names, its measures have closed forms, its runs survive a cut."""

import argparse
import json
import re
import shutil
import struct
from dataclasses import fields, replace
from pathlib import Path

import ebgan_why
import numpy as np
import pytest
import torch
from ebgan.forms import FORMS, PAPER, POPULAR, Autoencoder, critic_loss, generator, generator_loss, repulsion
from ebgan.show import Cost, Run, Shown, publish
from ebgan.training import Trained, agreement, at_the_end, levels, pixels, train

from whichloss.cards import faults, merge, parse
from whichloss.errors import UserError

SINGLE = [name for name, (axis, _, _) in FORMS.items() if axis in ("loss", "network")]
ROOT = Path(__file__).parents[2]
LEADS = "Measured: ", "Measured by `examples", "`examples/ebgan_why.py`로 잰 값"


def bytes_of(n, seed=0):
    """Blots of different brightness, bytes (n, 784)."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.zeros(n, 28, 28, dtype=torch.uint8)
    x[:, 8:20, 8:20] = torch.randint(50, 256, (n, 12, 1), generator=draw).byte()
    return x.flatten(1)


@pytest.fixture
def folder(tmp_path):
    """Fashion-MNIST's layout with a few blots."""
    for part, n in (("train", 130), ("t10k", 70)):
        head = struct.pack(">4B3I", 0, 0, 8, 3, n, 28, 28)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(head + bytes_of(n).numpy().tobytes())
        labels = (np.arange(n) % 2).astype(np.uint8)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, n) + labels.tobytes())
    return tmp_path


class Columns:
    """Features that cost nothing: means of columns."""

    kind = "labels"

    def of(self, values):
        return torch.from_numpy(np.array(values)).double().view(-1, 28, 28).mean(1)


def asked(folder, **given):
    known = {"data": folder, "seeds": 2, "epochs": 0.5, "steps": 2, "only": "paper,repository", "out": folder / "out"}
    return argparse.Namespace(**(known | {"resume": False, "quick": True, "publish": False} | given))


@pytest.mark.parametrize("name", SINGLE)
def test_every_change_is_one_change(name):
    changed = [f.name for f in fields(PAPER) if getattr(FORMS[name][2], f.name) != getattr(PAPER, f.name)]
    assert len(changed) == 1


def test_the_deviations_together_are_the_popular_form():
    loss = [FORMS[name][2] for name in ("detached", "one-norm", "mean-hinge", "margin-1", "norm-Dec")]
    changes = {
        f.name: getattr(form, f.name)
        for form in loss
        for f in fields(form)
        if getattr(form, f.name) != getattr(PAPER, f.name)
    }
    assert replace(PAPER, **changes) == POPULAR and len(changes) == 5


def test_one_far_fake_switches_off_a_hinge_on_the_mean():
    real, fake = torch.zeros(4), torch.tensor([100.0, 0.0, 0.0, 0.0])
    assert critic_loss(PAPER, real, fake, 1.0) == 0.75 and critic_loss(POPULAR, real, fake, 1.0) == 0
    same = torch.full((4,), 0.3)  # equal fakes: no difference
    assert critic_loss(PAPER, real, same, 1.0) == critic_loss(POPULAR, real, same, 1.0)


@pytest.mark.parametrize("n", [2, 16, 64])
def test_one_global_norm_leaves_no_room(n):
    """[-1 / (N - 1), -1 / N] whatever the codes, where the mean squared cosine fills [0, 1]."""
    codes = torch.randn(n, 32, generator=torch.Generator().manual_seed(n)).double()
    for some in (codes, codes[:1].expand(n, 32), 1e3 * codes, torch.eye(n).double()):
        assert -1 / (n - 1) - 1e-12 <= repulsion(POPULAR, some) <= -1 / n + 1e-12
    assert repulsion(PAPER, codes[:1].expand(n, 32)) == pytest.approx(1)
    assert repulsion(PAPER, torch.eye(n)) == pytest.approx(0)


def test_detaching_changes_the_gradient_and_not_the_value():
    x = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    forms = PAPER, replace(PAPER, detached=True)
    values = [generator_loss(form, x, 0.3 * x) for form in forms]
    slopes = [torch.autograd.grad(value, x)[0] for value in values]
    assert values[0] == values[1]
    torch.testing.assert_close(slopes[0], 2 * 0.49 * x.detach() / 80)  # 2 (J - I)' r, J = .3, r = -.7 x
    torch.testing.assert_close(slopes[1], -2 * 0.21 * x.detach() / 80)  # 2 J' r: uphill


def test_a_normalised_decoder_sees_the_batch_and_not_its_mean():
    """Without it the energy is per sample, and the autoencoder Jacobians of two rows do not touch."""
    torch.manual_seed(0)
    for form, alone in ((PAPER, True), (POPULAR, False)):
        D, x = Autoencoder(form), pixels(form, bytes_of(4))
        others = torch.cat([x[:1], -x[1:]])
        assert torch.allclose(D.energy(x)[0], D.energy(others)[0], rtol=1e-5) == alone
        codes, shift = D.Enc(x), torch.randn(1, form.code)
        assert torch.allclose(D.Dec(codes + shift), D.Dec(codes), atol=1e-4) != alone
        assert (
            D.Dec(codes[:1] + 1e-2 * torch.randn(4, form.code)).std(0).mean() > 1e-2
        ) != alone  # alike, restored apart


def untrained(form):
    torch.manual_seed(0)
    return Trained(1, generator(form), Autoencoder(form), 0.3, 0.03, {}, 0.0)


def test_finite_differences_find_the_detached_target_and_nothing_else():
    for name in ("paper", "one-norm", "unbounded"):
        found = agreement(FORMS[name][2], untrained(FORMS[name][2]), 8)
        assert found["cosine"] == pytest.approx(1, abs=1e-4) and found["relative error"] < 1e-2, name
    for name in ("detached", "repository"):
        found = agreement(FORMS[name][2], untrained(FORMS[name][2]), 8)
        assert found["relative error of the energy's"] > 0.5, name
    still = untrained(PAPER)
    before = [p.clone() for p in still.G.parameters()]
    pull = agreement(PAPER, still, 2)["PT's pull / energy's"]
    assert all(map(torch.equal, before, still.G.parameters()))  # measuring moves nothing
    assert agreement(POPULAR, untrained(POPULAR), 2)["PT's pull / energy's"] < 1e-5 * pull


def test_pixels_and_levels_are_inverse():
    values = torch.arange(256).byte().repeat(784, 1).T.contiguous()
    for form in (PAPER, FORMS["sigmoid"][2]):
        x = pixels(form, values)
        assert torch.equal(levels(form, x), values) and x.max() == 1
        assert x.min() == (0 if form.output == "sigmoid" else -1)
    assert levels(PAPER, torch.tensor([[[[-3.0, 3.0]]]])).tolist() == [[0, 255]]


def test_every_form_trains_and_the_margin_follows_the_data():
    values, margins, first = bytes_of(128), {}, {}
    for name, (_, _, form) in FORMS.items():
        (run,) = train(form, values, 0, [1])
        scores = at_the_end(run)
        assert all(np.isfinite(v) for v in scores.values()), name
        margins[name], first[name] = run.m, run.curves["E(x)"][0]
    variance = float((values.double() / 127.5).var(dim=0, correction=0).mean())
    assert margins["paper"] == pytest.approx(variance, rel=1e-5) and margins["margin-1"] == 1
    assert margins["sigmoid"] == pytest.approx(variance / 4, rel=1e-5)
    same = {first[name] for name in SINGLE if FORMS[name][0] == "loss"}
    assert same == {first["paper"]} and first["default-init"] not in same  # paired: same weights, batch and noise


def test_a_point_on_the_way_is_the_end_of_a_shorter_run():
    runs = [
        [(r.step, r.curves["E(x)"][-1]) for r in train(PAPER, bytes_of(128), 3, points)] for points in ([2, 3], [2])
    ]
    assert runs[0][0] == runs[1][0] and runs[0][1][0] == 3


def test_from_the_command_line_to_the_page(folder, monkeypatch, capsys):
    monkeypatch.setattr(ebgan_why, "eyes", lambda *_: Columns())
    ebgan_why.run(asked(folder, only="paper,repository,detached", epochs=1.5))
    out = folder / "out"
    record, page = json.loads((out / "ebgan_why.json").read_text()), (out / "ebgan_why.html").read_text()
    assert {(r["name"], r["step"], r["seed"]) for r in record["runs"]} == {
        (name, step, seed)
        for name, steps in (("paper", (2, 3)), ("repository", (2, 3)), ("detached", (2,)))
        for step in steps
        for seed in (0, 1)
    }
    assert set(record["costs"]) == {"repository/2", "repository/3", "detached/2"}
    assert 'src="http' not in page and "<script" not in page and page.count("data:image/png") == 2 + 4 + 3
    printed = capsys.readouterr().out
    assert all(said in printed and said.replace("'", "&#x27;") in page for said in record["conclusion"])

    runs = {path: path.stat().st_mtime_ns for path in out.glob("*.safetensors")}
    with pytest.raises(UserError, match="holds runs already"):
        ebgan_why.run(asked(folder))
    gone = out / "paper-3-1.safetensors"
    gone.unlink()
    ebgan_why.run(asked(folder, resume=True, epochs=1.5))
    assert sorted(runs) == sorted(out.glob("*.safetensors"))
    moved = {path.name for path, when in runs.items() if path.stat().st_mtime_ns != when}
    assert moved == {"paper-2-1.safetensors", "paper-3-1.safetensors"}
    again = json.loads((out / "ebgan_why.json").read_text())
    for record in (record, again):
        for r in record["runs"]:
            r.pop("seconds")
    assert again == record

    gone.write_bytes(b"cut")
    with pytest.raises(UserError, match=r"paper-3-1\.safetensors' is damaged"):
        ebgan_why.run(asked(folder, resume=True, epochs=1.5))
    gone.unlink()
    with pytest.raises(UserError, match="other settings"):
        other = ebgan_why.Plan(out, ebgan_why.labelled(folder, "t10k"), 1, 2, 3, 70, 16)
        other.found("paper", 2, 0)


def test_wrong_arguments_are_refused(folder, tmp_path):
    with pytest.raises(UserError, match="there is no papper; there are paper"):
        ebgan_why.run(asked(folder, only="papper"))
    with pytest.raises(UserError, match="one step to train"):
        ebgan_why.run(asked(folder, epochs=0))
    with pytest.raises(UserError, match="holds no train-images"):
        ebgan_why.run(asked(tmp_path / "nowhere"))
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="with labels"):
        ebgan_why.run(asked(folder))


def shown(**by):
    """Runs with these Frechet distances."""
    runs = [
        Run(name, 5, seed, {"scores": {"Frechet": value} if value is not None else {}}, {})
        for name, values in by.items()
        for seed, value in enumerate(values)
    ]
    return Shown(runs, [], np.zeros((64, 784), np.uint8), "label features", 10, 5, 5)


def test_cost_is_the_paired_interval():
    found = Cost("x", np.array([1.0, 2.0, 3.0]), 0)
    assert found.mean == 2 and found.half == pytest.approx(4.302653 / 3**0.5) and found.kind == "within the spread"
    assert Cost("x", np.array([1.9, 2.0, 2.1]), 0).kind == "costs"
    assert Cost("x", np.array([-1.9, -2.0, -2.1]), 0).kind == "helps"
    assert Cost("x", np.array([2.0]), 0).kind == "one seed: not known"
    assert Cost("x", np.array([2.0, 2.0]), 1).kind == "diverges (1 of 3 seeds)"
    by = shown(paper=[1.0, 5.0, 9.0], detached=[2.0, 6.1, 9.9]).cost("detached", 5)
    assert by.kind == "costs" and by.mean == pytest.approx(1)  # unpaired the seeds would hide it


def test_the_conclusion_follows_from_the_numbers():
    paper = {"paper": [1.0, 5.0, 9.0]}
    loss = " ".join(shown(**paper, detached=[2.0, 6.1, 9.9], sigmoid=[1.1, 4.9, 9.0]).conclusion)
    assert "It can be the loss: 1 of 1 changes of the loss and 0 of 1 changes of the network do harm" in loss
    assert "of the loss that alone cost more than the spread over seeds: target of G's energy detached (+1.0" in loss
    network = " ".join(shown(**paper, detached=[1.1, 4.9, 9.0], sigmoid=[2.0, None, 9.9]).conclusion)
    assert "It can be the network: 0 of 1" in network and "diverges (1 of 3 seeds)" in network
    nothing = " ".join(shown(**paper, detached=[1.1, 4.9, 9.0]).conclusion)
    assert "None of them alone" in nothing
    assert "One seed" in shown(paper=[1.0], detached=[2.0]).conclusion[-1]
    helps = " ".join(shown(**paper, sigmoid=[0.0, 3.9, 8.1]).conclusion)
    assert "of the network that alone help by more than the spread over seeds: pictures and outputs in [0, 1]" in helps


def test_publishing_ends_the_sections_and_can_be_repeated(tmp_path):
    """The README and both cards stay what they were but for the words after the lead; the cards stay cards."""
    names = "examples/README.md", "src/whichloss/objectives/ebgan.md", "src/whichloss/objectives/ebgan.ko.md"
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    some = shown(paper=[1.0, 5.0, 9.0], detached=[2.0, 6.1, 9.9])
    publish(some, tmp_path)
    first = [(tmp_path / name).read_text() for name in names]
    assert all("+1.000 ± 0.248" in text for text in first[:2]) and "±" in first[2]
    publish(some, tmp_path)
    assert first == [(tmp_path / name).read_text() for name in names]
    english = parse(first[1], tmp_path / names[1])
    korean = merge(first[2], tmp_path / names[2], english)
    for card in (english, korean):
        assert "| target of G's energy detached | 6.000" in card.sections["Cons and failure modes"]
        assert not faults(card)
    for name, lead, new in zip(names, LEADS, first, strict=True):  # nothing else has moved
        old, new = (
            re.sub(rf"\s*{lead}.*?(?=\n## |\Z)", "", text, flags=re.S) for text in ((ROOT / name).read_text(), new)
        )
        assert old.split() == new.split(), name

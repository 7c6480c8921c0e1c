"""Ordinary loops of many kinds: what a watch keeps of them, and what it does not take them for."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional as F

from whichloss.doctor import seen
from whichloss.doctor import watch as watching
from whichloss.doctor.loops import examine
from whichloss.doctor.watch import Watch

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


@pytest.fixture(autouse=True)
def seeded():
    """First weights are the same in every run."""
    torch.manual_seed(0)


def sgd(net, rate=0.05):
    return torch.optim.SGD(net.parameters(), rate)


def watched(steps, *optimizers, **networks):
    """A loop of what `steps` does."""
    watch = Watch(networks, optimizers).start()
    try:
        steps(watch)
    finally:
        watch.stop()
    return watch


def rules(watch):
    return {f.rule: f.level for f in examine(watch.trace)}


def only(watch):
    (loss,) = watch.trace.losses.values()
    return loss


def fit(net, loss, optimizer=None, steps=6):
    """A plain loop: steps on loss(net)."""
    optimizer = optimizer or sgd(net)

    def go(watch):
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net).backward()
            optimizer.step()

    return watched(go, optimizer, net=net)


# --- looks end, and keep little


class Conditional(nn.Module):
    """A judge of rows beside their classes."""

    def __init__(self):
        super().__init__()
        self.of_row, self.of_class = nn.Linear(4, 1), nn.Embedding(2, 1)

    def forward(self, x, y):
        return self.of_row(x) + self.of_class(y)


def test_a_judge_of_two_inputs_is_asked_again_with_both():
    critic, maker = Conditional(), nn.Linear(4, 4)
    of_critic, of_maker = sgd(critic, 0.0), sgd(maker)  # a judge that stays as it is has one slope

    def go(watch):
        for _ in range(8):
            made = maker(torch.randn(64, 4))
            of_critic.zero_grad()
            (critic(made.detach(), Y).mean() - critic(X, Y).mean()).backward()
            of_critic.step()
            of_maker.zero_grad()
            (-critic(made, Y).mean()).backward()
            of_maker.step()

    watch = watched(go, of_critic, of_maker, critic=critic, maker=maker)
    (game,) = watch.trace.games.values()
    assert not watch.trace.trouble and len(watch.trace.looks) >= 5
    slope = float(critic.of_row.weight.detach().norm())
    assert game.curves["slope at real"][-1] == pytest.approx(slope, rel=1e-5)


def test_a_look_ends_even_where_a_mistake_of_ours_does_not_let_it_be_read(monkeypatch):
    monkeypatch.setattr(seen, "look", lambda watch: 1 / 0)
    watch = fit(nn.Linear(4, 2), lambda net: F.cross_entropy(net(X), Y), steps=40)
    assert "ZeroDivisionError" in watch.trace.trouble and not watch.calls and len(watch.trace.looks) < 40


@pytest.mark.parametrize("rows, kept", [(4, watching.CALLS), (10**7, watching.FEW)], ids=["calls", "bytes"])
def test_an_evaluation_within_a_look_keeps_little(rows, kept):
    net = nn.Linear(1, 1)
    with torch.no_grad():
        watch = watched(lambda watch: [net(torch.zeros(rows, 1)) for _ in range(100)], net=net)
    assert len(watch.calls) == kept


def test_an_optimiser_that_takes_no_more_steps_is_waited_for_no_longer(monkeypatch):
    monkeypatch.setattr(watching, "LONGEST", 10)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    head, whole = sgd(net[2]), sgd(net)

    def go(watch):
        for step in range(100):
            optimizer = head if step < 20 else whole
            optimizer.zero_grad()
            F.cross_entropy(net(X), Y).backward()
            optimizer.step()

    watch = watched(go, net=net)
    assert watch.trace.looks[-1] >= 40 and "fault" not in rules(watch).values()  # of the second one, by its own count


def test_optimisers_of_other_networks_are_not_kept():
    """Nor are those that the loop itself has let go."""
    net, known, others = nn.Linear(4, 2), [], []

    def go(watch):
        for _ in range(20):
            others.append(nn.Linear(4, 2))
            for one in (net, others[-1]):
                optimizer = sgd(one)
                F.cross_entropy(one(X), Y).backward()
                optimizer.step()
                one.zero_grad()
            others.append(optimizer)
            known.append(len(watch.optimizers))

    watched(go, net=net)
    assert max(known) <= 1


def test_gradients_made_by_hand_are_gradients():
    net, meta = nn.Linear(4, 2), None

    def go(watch):
        for _ in range(8):
            meta.zero_grad()
            for p in net.parameters():
                p.grad = 0.1 * torch.randn_like(p)
            meta.step()

    meta = sgd(net)
    assert watched(go, meta, net=net).trace.networks["net"].without == ()


# --- nothing of the loop changes


def test_backward_of_any_collection():
    net = nn.Linear(4, 2)

    def go(watch):
        losses = {"a": net(X).mean(), "b": net(X).square().mean()}
        torch.autograd.backward(losses.values())
        torch.autograd.backward(loss for loss in (net(X).mean(),))
        torch.autograd.backward([])

    assert len(watched(go, net=net).trace.losses) == 2


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_torchscript_compiles_a_watched_network():
    net = nn.Linear(4, 2)

    def go(watch):
        scripted = torch.jit.script(net)
        assert torch.equal(scripted(X), net(X)) and len(watch.calls) == 1  # our hook is back

    watched(go, net=net)


class Random(nn.Module):
    """Layers left out by chance, from three generators."""

    def __init__(self):
        super().__init__()
        self.body, self.drop = nn.Linear(5, 4), nn.Dropout(0.5)

    def forward(self, x, t):
        x = self.drop(self.body(torch.cat([x, t], 1)))
        return x * (random.random() + np.random.rand())


def test_asking_a_network_again_draws_no_number_of_the_loop():
    def numbers(watch):
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        net = Random()
        if watch:
            found = fit(net, lambda net: F.mse_loss(net(X, X[:, :1]), X))
            assert "change with level" in only(found).curves
        else:
            for _ in range(6):
                F.mse_loss(net(X, X[:, :1]), X).backward()
        return float(torch.rand(())), random.random(), np.random.rand()

    assert numbers(True) == numbers(False)


# --- which loss is which


def update(loss, optimizer):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def test_losses_that_a_helper_takes_back_are_told_apart_by_who_calls_it():
    maker, critic = nn.Linear(4, 4), nn.Linear(4, 1)
    of_maker, of_critic = sgd(maker), sgd(critic)

    def go(watch):
        for _ in range(8):
            update(critic(maker(X).detach()).mean() - critic(X).mean(), of_critic)
            update(-critic(maker(X)).mean(), of_maker)

    watch = watched(go, maker=maker, critic=critic)
    assert [loss.moves for loss in watch.trace.losses.values()] == [{"critic"}, {"maker"}]
    assert sorted(", called at " in site for site in watch.trace.losses) == [False, True]
    assert not {"contract: wrong player moved", "contract: gradient never cleared"} & set(rules(watch))


def test_tables_that_step_seldom_leave_no_gradient_of_others():
    net = nn.Sequential(nn.Embedding(2, 4), nn.Linear(4, 2))
    table, rest = sgd(net[0]), sgd(net[1])

    def go(watch):
        for step in range(24):
            rest.zero_grad()
            F.cross_entropy(net(Y), Y).backward()
            rest.step()
            if step % 4 == 3:
                table.step()
                table.zero_grad()

    assert "contract: gradient never cleared" not in rules(watched(go, net=net))


def test_a_gradient_left_over_is_told_where_it_is_added_to():
    one, other = nn.Linear(4, 2), nn.Linear(4, 2)
    net = nn.ModuleList([one, other])
    of_one, of_other = sgd(one), sgd(other)

    def go(watch):
        for _ in range(8):
            F.cross_entropy(one(X), Y).backward()  # never cleared
            of_one.step()
            of_other.zero_grad()
            F.cross_entropy(other(X), Y).backward()
            of_other.step()

    first, second = watched(go, of_one, of_other, net=net).trace.losses.values()
    assert first.stale == {"net"} and second.stale == set()


@pytest.mark.parametrize("skipped", [True, False])
def test_a_gradient_that_nobody_steps_with_may_be_infinite(skipped):
    net, said = nn.Linear(4, 1), []
    optimizer = sgd(net)

    def go(watch):
        watch.on_bad = said.append
        net.weight.register_hook(lambda slope: slope + float("inf"))
        net(X).mean().backward()
        if not skipped:
            optimizer.step()

    watch = watched(go, optimizer, net=net)
    assert bool(said) != skipped and bool(watch.trace.bad) != skipped


# --- whose rows the labels are of


def labelled(loss, **inputs):
    return fit(nn.Linear(4, 2), loss, **inputs).trace


def test_rows_that_no_loss_was_taken_of_have_no_labels():
    net = nn.Linear(4, 2)
    other = torch.full_like(X, 9.0)

    def loss(net):
        with torch.no_grad():
            net(other)
        net(other)  # and one with a gradient that nobody uses
        return F.cross_entropy(net(X), Y)

    (found,) = fit(net, loss).trace.losses.values()
    assert np.unique(found.rows, axis=0).shape == (64, 4) and found.rows.max() < 9


@pytest.mark.parametrize(
    "net, rows",
    [(nn.Linear(4, 2), 64), (nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(16, 2)), 0)],
    ids=["numbers", "ids of words"],
)
def test_ids_of_words_have_no_distances(net, rows):
    x = X if rows else (X.abs() * 2).long()
    assert len(np.unique(only(fit(net, lambda net: F.cross_entropy(net(x), Y))).rows, axis=0)) == rows


def test_two_calls_of_as_many_rows_are_told_no_label():
    loss = only(fit(nn.Linear(4, 2), lambda net: F.cross_entropy(net(X) + net(X + 1), Y)))
    assert len(loss.rows) == 0


def test_labels_to_be_ignored_are():
    labels = torch.where(torch.arange(64) % 2 == 0, Y, -100)
    watch = fit(nn.Linear(4, 2), lambda net: F.cross_entropy(net(X), labels))
    assert not watch.trace.trouble and only(watch).facts["rows"] == 32 and len(only(watch).rows) == 0


def test_wide_rows_are_kept_in_part():
    wide = torch.randn(64, 3, 40, 40)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4800, 2))
    assert only(fit(net, lambda net: F.cross_entropy(net(wide), Y))).rows.shape[1] == seen.WIDE


@pytest.mark.parametrize("classes", [2, 5])
def test_how_rows_are_ranked_is_the_area_under_the_curve(classes):
    generator = torch.Generator().manual_seed(0)
    scores, labels = (
        torch.randn(200, classes, generator=generator),
        torch.randint(0, classes, (200,), generator=generator),
    )
    scores[torch.arange(200), labels] += 0.7
    areas = [roc_auc_score(labels == k, scores[:, k]) for k in range(classes)]
    assert seen._ranked(scores, labels) == pytest.approx(np.mean(areas), abs=1e-6)
    assert np.isnan(seen._ranked(scores / 100, labels)) and np.isnan(
        seen._ranked(scores, 0 * labels[:, None].squeeze(1))
    )


# --- what things are not


@pytest.mark.parametrize(
    "loss, twice",
    [
        (lambda net: F.cross_entropy(net(X).log_softmax(1), Y), 0.0),  # a second one changes nothing
        (lambda net: F.cross_entropy(net(X).softmax(1), Y), 1.0),
    ],
)
def test_log_softmax_is_its_own_logits(loss, twice):
    assert only(fit(nn.Linear(4, 2), loss)).facts["twice"] == twice


@pytest.mark.parametrize("labels, pairs", [(torch.arange(8), 1.0), (torch.arange(8) % 7, 0.0)])
def test_twice_as_many_classes_as_rows_are_no_pairs(labels, pairs):
    loss = only(fit(nn.Linear(4, 16), lambda net: F.cross_entropy(net(X[:8]), labels)))
    assert loss.facts["pairs"] == pairs


@pytest.mark.parametrize(
    "targets, wrong",
    [(Y.float(), False), (torch.arange(64.0) % 4, True), (torch.tensor([0.0] * 40 + [1] * 18 + [2] * 5 + [3]), False)],
    ids=["two", "ids", "counts"],
)
def test_counts_are_no_ids_of_classes(targets, wrong):
    watch = fit(nn.Linear(4, 1), lambda net: F.mse_loss(net(X).squeeze(1), targets))
    assert ("contract: wrong loss" in rules(watch)) == wrong


@pytest.mark.parametrize(
    "inputs, wanted, away",
    [
        (torch.cat([X, X[:, :1] ** 2], 1), X, 0.0),  # an autoencoder that is told more
        (torch.cat([X, Y[:, None]], 1), Y[:, None].float(), 1.0),
        (torch.cat([X[:, :2], 0 * X], 1), X[:, :1] + X[:, 1:2], 0.0),
    ],
    ids=["condition", "target", "sum"],
)
def test_what_is_rebuilt_is_not_given_away(inputs, wanted, away):
    loss = only(fit(nn.Linear(inputs.shape[1], wanted.shape[1]), lambda net: F.mse_loss(net(inputs), wanted)))
    assert loss.facts.get("given away", 0.0) == away


class Dosed(nn.Module):
    def __init__(self, wide):
        super().__init__()
        self.body = nn.Linear(5, wide)

    def forward(self, x, t):
        return self.body(torch.cat([x, t[:, None]], 1))


@pytest.mark.parametrize("wide, levels", [(4, True), (1, False)], ids=["a row", "one number"])
def test_a_dose_is_no_noise_level(wide, levels):
    loss = only(fit(Dosed(wide), lambda net: F.mse_loss(net(X, X[:, 1]), X[:, :wide])))
    assert bool(loss.denoised) == levels


@pytest.mark.parametrize("shown, away", [(1, 0.0), (4, 1.0)])
def test_a_denoiser_may_be_told_a_part_of_the_row(shown, away):
    class Told(nn.Linear):
        def forward(self, x, t):
            return super().forward(x)

    x = torch.cat([X + torch.randn(64, 4), X[:, :shown]], 1)
    loss = only(fit(Told(4 + shown, 4), lambda net: F.mse_loss(net(x, X[:, 1]), X)))
    assert loss.facts["given away"] == away


@pytest.mark.parametrize("out", [lambda z: (z, z.square()), lambda z: {"logits": z, "features": z.square()}])
def test_the_first_of_several_outputs_is_seen(out):
    class Several(nn.Linear):
        def forward(self, x):
            return out(super().forward(x).squeeze(1))

    def loss(net):
        found = net(X)
        return F.binary_cross_entropy_with_logits(found[0] if isinstance(found, tuple) else found["logits"], Y.float())

    assert only(fit(Several(4, 1), loss)).facts["own output"] == 1.0


def test_judged_rows_of_one_kind_are_no_pairs():
    critic, y = nn.Linear(4, 1), torch.ones(64)

    def loss(net):
        real, made = net(X).squeeze(1), net(X + 1).squeeze(1)
        return F.binary_cross_entropy_with_logits(real, y) + F.binary_cross_entropy_with_logits(made, 0 * y)

    assert not only(fit(critic, loss)).judged


def test_layers_that_start_at_0_and_learn_are_not_alike():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for layer in (net[2], net[4]):
        nn.init.zeros_(layer.weight)
    nn.init.normal_(net[2].bias)
    alike = Watch({"net": net}).start()
    alike.stop()
    assert alike.trace.networks["net"].alike == ("2.weight", "4.weight")
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    assert "contract: units alike" not in rules(fit(net, lambda net: F.cross_entropy(net(X), Y), adam, steps=12))


@pytest.mark.parametrize("scale, factors", [(torch.ones(64), (False, False)), (X[:, 1], (True, True))])
def test_factors_of_both_signs_are_seen(scale, factors):
    loss = only(fit(nn.Linear(4, 2), lambda net: (scale * F.cross_entropy(net(X), Y, reduction="none")).mean()))
    facts = loss.facts
    assert ((facts["least factor"] < 0 < facts["most factor"]), bool(facts["uneven"])) == factors


def test_who_is_asked_again_gets_the_same_arguments():
    call = watching.Call("net", (X,), X, "data", False, (X, Y, "word"), {"scale": 2.0, "rows": X})
    asked = call.again(lambda *args, **kwargs: SimpleNamespace(args=args, kwargs=kwargs) and (args[0],), X[:3])
    assert torch.equal(asked, X[:3])
    given = {}
    call.again(lambda *args, **kwargs: given.update(args=args, kwargs=kwargs) or args[0], X[:3], 5 * Y[:3])
    assert torch.equal(given["args"][1], 5 * Y[:3]) and given["args"][2] == "word"
    assert given["kwargs"]["scale"] == 2.0 and len(given["kwargs"]["rows"]) == 3
    with pytest.raises(RuntimeError):
        watching.Call("net", (X,), X, "data", False, (), {"x": X}).again(nn.Identity(), X)

"""What is seen of tiny loops that are really run."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from whichloss.doctor import seen, watch
from whichloss.doctor.loops import examine
from whichloss.doctor.watch import Watch

X = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).float()


def network(outputs=1):
    """A linear one, the same at every call."""
    net = nn.Linear(2, outputs)
    with torch.no_grad():
        net.weight.copy_(torch.linspace(-1, 1, 2 * outputs).reshape(outputs, 2))
        net.bias.zero_()
    return net


def trace(loss, steps=3, outputs=1, step=None):
    """A loop of a few steps of Adam, or of steps by hand, and its only loss."""
    net = network(outputs)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    watched = Watch({"net": net}, [optimizer] if step is None else []).start()
    for _ in range(steps):
        loss(net).backward()
        if step is None:
            optimizer.step()
        else:
            step(net)
        net.zero_grad()
    return watched.stop()


def only(trace):
    """Its only loss."""
    (loss,) = trace.losses.values()
    return loss


def by_hand(net):
    """A step of gradient descent without an optimiser."""
    with torch.no_grad():
        for p in net.parameters():
            p -= 0.1 * p.grad


@pytest.mark.parametrize(
    "scores, own",
    [
        (lambda net: net(X).squeeze(1), 1.0),
        (lambda net: net(X).flatten() + X.square().sum(1) / 2, 0.0),  # minus the log-density of noise
        (lambda net: net(X[:8]).repeat(2, 1).flatten(), 0.0),
    ],
    ids=["classifier", "against noise", "of other rows"],
)
def test_scores_of_a_classifier_are_the_networks_own_output(scores, own):
    loss = only(trace(lambda net: F.binary_cross_entropy_with_logits(scores(net), Y)))
    assert loss.facts["own output"] == own
    assert len(loss.curves["binary accuracy"]) == 3


@pytest.mark.parametrize("step, moved", [(by_hand, 1.0), (lambda net: None, 0.0)], ids=["by hand", "none"])
def test_steps_by_hand_are_steps(step, moved):
    found = trace(lambda net: F.mse_loss(net(X).squeeze(1), X[:, 1]), step=step)
    assert found.steps == 0 and found.networks["net"].facts["moved"] == moved
    assert ("contract: no step" in {f.rule for f in examine(found)}) == (not moved)


@pytest.mark.parametrize(
    "rows, classes, pairs",
    [(2, 2, 0.0), (2, 3, 0.0), (2, 4, 0.0), (1, 2, 0.0), (3, 3, 1.0), (3, 6, 1.0), (4, 3, 0.0)],
)
def test_a_class_for_each_of_two_rows_does_not_make_pairs(rows, classes, pairs):
    labels = torch.arange(rows) % classes
    loss = only(trace(lambda net: F.cross_entropy(net(X[:rows]), labels), outputs=classes))
    assert loss.facts["pairs"] == pairs


@pytest.mark.parametrize("step, steps, most, least", [(1e-3, 300, 17, 8), (1e-4, 3000, 17, 10)], ids=["1 ms", "short"])
def test_costly_looks_are_spread_over_the_loop(step, steps, most, least, monkeypatch):
    """By a clock that only steps and looks (2 ms each) move on; where steps are short, a share of the time is few."""
    now = [0.0]

    def pass_by(seconds):
        now[0] += seconds

    monkeypatch.setattr(watch, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(seen, "look", lambda watched: pass_by(2e-3))

    def loss(net):
        pass_by(step)
        return F.mse_loss(net(X).squeeze(1), X[:, 1])

    looks = trace(loss, steps=steps).looks
    assert looks[:5] == [1, 2, 3, 4, 5]
    assert least <= len(looks) <= most  # the first five, one each time the rounds grow by half, one begun
    for start in range(0, steps, steps // 3):
        assert any(start < look <= start + steps // 3 for look in looks[5:])


def test_looks_that_cost_more_than_the_whole_loop_come_before_it_has_doubled(monkeypatch):
    """What nobody has looked at since half of its life cannot be judged."""
    now = [0.0]
    monkeypatch.setattr(watch.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(watch.seen, "look", lambda watched: now.__setitem__(0, now[0] + 60.0))

    def loss(net):
        now[0] += 1e-3
        return net(X).square().mean()

    for steps in (40, 100, 399):
        looks = trace(loss, steps=steps).looks
        assert looks[:5] == [1, 2, 3, 4, 5] and 2 * looks[-1] >= steps - 2 and len(looks) < 13


def test_what_networks_made_is_kept_of_the_later_half_and_data_of_all():
    watched = SimpleNamespace(last={}, counts={}, trace=SimpleNamespace(steps=0))
    for step in (1, 40, 50, 90):
        watched.counts[0] = watched.trace.steps = step
        seen._keep(watched, "rows", np.full((2, 1), step))
    watched.trace.steps = 100
    assert seen._kept(watched, "rows")[0].ravel().tolist() == [1, 1, 40, 40, 50, 50, 90, 90]
    assert seen._kept(watched, "rows", later=True)[0].ravel().tolist() == [50, 50, 90, 90]
    watched.trace.steps = 1000  # none of the later half: the last
    assert seen._kept(watched, "rows", later=True)[0].ravel().tolist() == [90, 90]
    assert seen._kept(watched, "other", later=True) == ()


def test_a_trace_may_be_read_on_the_way():
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    watched, told = Watch({"net": net}, [optimizer]).start(), []
    watched.on_look = lambda step: told.append((step, watched.so_far().steps, watched.trace.networks["net"].still))
    for _ in range(7):
        net(X).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert told[:3] == [(1, 1, ()), (2, 2, ()), (3, 3, ())]
    assert watched.stop().steps == 7 and [step for step, *_ in told] == watched.trace.looks


def test_every_eighth_of_the_noise_levels_counts_alike():
    """A score is wanted as -n / sigma: where the noise is least it is larger than all others together."""
    sigma = torch.logspace(0, -3, 800)[:, None]
    wanted = torch.randn(800, 4, generator=torch.Generator().manual_seed(1)) / sigma
    known = wanted * (sigma < 0.03)  # the larger half of the levels by heart, of the rest nothing
    assert seen._explained(wanted, wanted - known, None) > 0.99
    assert seen._explained(wanted, wanted - known, sigma[:, 0]) == pytest.approx(0.5, abs=0.02)
    assert seen._explained(wanted, 9 * wanted, sigma[:, 0]) == -1.0  # one bad level outweighs no other


def test_networks_that_feed_each_other_are_no_players():
    """A cycle of two makers, each with a judge."""
    torch.manual_seed(0)
    nets = {name: nn.Linear(2, k) for name, k in (("there", 2), ("back", 2), ("first", 1), ("second", 1))}
    there, back, first, second = nets.values()
    of_makers = torch.optim.Adam([*there.parameters(), *back.parameters()])
    of_judges = [torch.optim.Adam(judge.parameters()) for judge in (first, second)]
    watched = Watch(nets, [of_makers, *of_judges]).start()
    for _ in range(6):
        a, b = torch.randn(32, 2), torch.randn(32, 2) + 1
        like_b, like_a = there(a), back(b)
        cycle = F.mse_loss(back(like_b), a) + F.mse_loss(there(like_a), b)
        (cycle + F.softplus(-first(like_b)).mean() + F.softplus(-second(like_a)).mean()).backward()
        of_makers.step()
        for judge, optimizer, real, made in zip((first, second), of_judges, (b, a), (like_b, like_a), strict=True):
            optimizer.zero_grad()
            (F.softplus(-judge(real)) + F.softplus(judge(made.detach()))).mean().backward()
            optimizer.step()
        of_makers.zero_grad()
    found = watched.stop()
    assert set(found.games) == {("there", "first"), ("back", "second")}
    assert not any("penalty cut" in game.curves for game in found.games.values())  # slopes of our own are not theirs
    assert not [f.rule for f in examine(found) if f.rule.startswith("contract")]


def test_asking_a_network_again_leaves_its_spectral_norm_as_it_was():
    for normed in (nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm):
        net = normed(nn.Linear(4, 4))
        before = {name: value.clone() for name, value in net.state_dict().items()}
        with seen.untouched(net):
            net(torch.randn(8, 4))
        assert all(value.equal(before[name]) for name, value in net.state_dict().items())


def test_rows_with_two_labels_each_are_not_kept_as_labelled():
    def loss(net):
        out = net(X)
        return 0.6 * F.cross_entropy(out, Y.long()) + 0.4 * F.cross_entropy(out, Y.long().roll(3))

    assert not len(only(trace(loss, steps=6, outputs=2)).labels)
    assert len(only(trace(lambda net: F.cross_entropy(net(X), Y.long()), steps=6, outputs=2)).labels)


def test_accuracy_is_balanced_over_the_classes_that_a_batch_has():
    def loss(net):  # says 0 always
        return F.cross_entropy(net(X) * 0 + torch.tensor([1.0, 0, 0]), torch.tensor([0] * 12 + [1] * 4))

    curves = only(trace(loss, steps=3, outputs=3)).curves
    assert curves["accuracy"][0] == 0.75 and curves["balanced accuracy"][0] == 0.5
    assert curves["classes in a batch"][0] == 2
    assert curves["entropy of labels"][0] == pytest.approx(0.5623, abs=1e-4)  # -.75 log .75 - .25 log .25


@pytest.mark.parametrize("squared", [lambda a, b: (a - b) ** 2, lambda a, b: F.mse_loss(a, b, reduction="none")])
@pytest.mark.parametrize(
    "shaped, pairs",
    [
        (lambda out: (out, Y), 1.0),
        (lambda out: (out.squeeze(1), Y[:, None]), 1.0),
        (lambda out: (out, Y[:, None]), None),
        (lambda out: (out.squeeze(1), Y), None),
        (lambda out: (out * X[:, :1] + out.T, X @ X.T), 0.0),  # numbers of pairs that are meant
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_column_against_a_row_is_every_pair(shaped, pairs, squared):
    facts = only(trace(lambda net: squared(*shaped(net(X))).mean())).facts
    assert bool(facts.get("every pair")) == bool(pairs)


@pytest.mark.parametrize("targets, ids", [([0, 1, 2], 3), ([1, 2, 3], None), ([0, 2, 4], None), ([0.0, 0.5, 1], None)])
def test_whole_numbers_from_0_on_are_ids_of_classes(targets, ids):
    wanted = torch.tensor(targets * 5 + targets[:1]).float()
    assert only(trace(lambda net: F.mse_loss(net(X).squeeze(1), wanted))).facts.get("whole targets") == ids


class Compared(nn.Module):
    """Two sides inside one network, which gives their cosines, times a factor."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(2, 16), nn.Linear(2, 16)

    def forward(self, x, y):
        return 10 * F.normalize(self.one(x), dim=1) @ F.normalize(self.other(y), dim=1).T


@pytest.mark.parametrize("way", [lambda z: z, lambda z: z / 0.1, lambda z: z.T])
def test_comparisons_are_no_embeddings(way):
    net = Compared()
    watched = Watch({"net": net}, [torch.optim.SGD(net.parameters(), 0.01)]).start()
    F.cross_entropy(way(net(X, X + 0.1)), torch.arange(16)).backward()
    watched.optimizers[0].step()
    assert only(watched.stop()).facts["pairs"] == 1.0 and "effective rank" not in only(watched.trace).curves


def test_embeddings_as_wide_as_there_are_rows_are_seen():
    loss = only(trace(lambda net: F.cross_entropy(net(X) @ net(X + 0.1).T, torch.arange(16)), outputs=16))
    assert len(loss.curves["effective rank"]) == 6  # of both sides, at every step


def test_what_a_look_saw_is_freed():
    """A hook that holds its own tensor is a cycle that Python cannot see: a long loop would fill the memory."""
    seen_by_looks = []

    def loss(net):
        out = net(X)
        seen_by_looks.append(weakref.ref(out))
        return F.binary_cross_entropy_with_logits(out.squeeze(1), Y)

    trace(loss, steps=12)
    gc.collect()
    assert not [out for out in seen_by_looks if out() is not None]


def test_a_gradient_that_is_cleared_before_the_step_never_came():
    maker, judge = nn.Linear(2, 2), network()
    of_maker, of_judge = (torch.optim.SGD(net.parameters(), 0.1) for net in (maker, judge))
    watched = Watch({"maker": maker, "judge": judge}, [of_judge, of_maker]).start()
    for _ in range(3):
        made = maker(X)
        of_judge.zero_grad()
        (judge(made).mean() - judge(X).mean()).backward()  # the samples are not detached here
        of_judge.step()
        of_maker.zero_grad()
        (-judge(made.detach()).mean()).backward()  # but here
        of_maker.step()
    found = watched.stop()
    assert found.networks["maker"].without == ("weight", "bias") and not found.networks["judge"].without
    assert [sorted(loss.moves) for loss in found.losses.values()] == [["judge"], []]
    said = {f.rule for f in examine(found)}
    assert "contract: graph cut" in said and not said & {"contract: wrong player moved", "contract: does not move"}


class Holder(nn.Module):
    """A network that holds another one as `hold` says, and uses it."""

    def __init__(self, hold, used=True):
        super().__init__()
        self.out, self.inner, self.used = nn.Linear(2, 1), hold(nn.Linear(2, 2)), used

    def layer(self):
        found = self.inner
        while not isinstance(found, nn.Linear):
            found = next(iter(found.values() if isinstance(found, dict) else found))
        return found

    def forward(self, x):
        with torch.set_grad_enabled(self.used):
            x = self.layer()(x)
        return self.out(x)


HIDDEN = ("inner[0].weight", "inner[0].bias")


@pytest.mark.parametrize(
    "hold, used, unlisted",
    [
        (lambda layer: [layer], True, HIDDEN),
        (lambda layer: (layer,), True, HIDDEN),
        (lambda layer: {"a": [layer]}, True, ("inner['a'][0].weight", "inner['a'][0].bias")),
        (lambda layer: layer, True, ()),
        (lambda layer: nn.ModuleList([layer]), True, ()),
        (lambda layer: [layer.requires_grad_(False)], True, ()),  # hidden and frozen on purpose
        (lambda layer: [layer], False, ()),  # a teacher that no loss reaches
    ],
    ids=["list", "tuple", "dict of lists", "layer", "ModuleList", "frozen", "teacher"],
)
def test_layers_in_plain_lists_are_found(hold, used, unlisted):
    net = Holder(hold, used)
    wrapped = nn.Sequential(net)
    for module, name in ((net, ""), (wrapped, "0.")):
        watched = Watch({"net": module}, [torch.optim.SGD(module.parameters(), 0.01)]).start()
        step(watched, module)
        assert watched.stop().networks["net"].unlisted == tuple(name + n for n in unlisted)


@pytest.mark.parametrize(
    "moved",
    [
        lambda layer: torch.optim.SGD(layer.parameters(), 0.01).step,
        lambda layer: torch.optim.SGD(layer.parameters(), 0.0).step,  # held all the same
        lambda layer: lambda: by_hand(layer),
    ],
    ids=["optimiser", "rate of 0", "by hand"],
)
def test_layers_in_plain_lists_that_somebody_moves_are_cared_for(moved):
    net = Holder(lambda layer: [layer])
    watched = Watch({"net": net}, [torch.optim.SGD(net.parameters(), 0.01)]).start()
    step(watched, net, moved(net.layer()))
    assert watched.stop().networks["net"].unlisted == ()


def test_a_layer_in_a_list_may_be_listed_as_well():
    net = Holder(lambda layer: [layer])
    net.same = net.layer()
    watched = Watch({"net": net}, [torch.optim.SGD(net.out.parameters(), 0.01)]).start()
    step(watched, net)
    found = watched.stop().networks["net"]
    assert found.unlisted == () and found.unowned == ("same.weight", "same.bias")


def step(watched, net, also=lambda: None):
    """One step of the watch's first optimiser, and of what moves the rest."""
    net(X).square().mean().backward()
    watched.optimizers[0].step()
    also()


def test_samples_made_once_for_both_steps_are_not_taken_for_data():
    maker, judge = nn.Linear(2, 2), network()
    of_maker, of_judge = (torch.optim.SGD(net.parameters(), 0.01) for net in (maker, judge))
    watched = Watch({"maker": maker, "judge": judge}).start()
    for _ in range(6):
        made = maker(torch.randn(16, 2))
        of_judge.zero_grad()
        (judge(made.detach()).mean() - judge(X).mean()).backward()
        of_judge.step()
        of_maker.zero_grad()
        (-judge(made).mean()).backward()
        of_maker.step()
    (game,) = watched.stop().games.values()
    assert {tuple(row) for row in game.real} == {tuple(row) for row in X.numpy()}


def test_the_first_rounds_are_those_in_which_all_optimisers_take_part():
    maker, judge = nn.Linear(2, 2), network()
    of_maker, of_judge = (torch.optim.SGD(net.parameters(), 0.01) for net in (maker, judge))
    watched = Watch({"maker": maker, "judge": judge}).start()  # it is not told of the optimisers
    for step in range(60):
        of_judge.zero_grad()
        (judge(maker(X).detach()).mean() - judge(X).mean()).backward()
        of_judge.step()
        if step % 10 == 9:
            of_maker.zero_grad()
            (-judge(maker(X)).mean()).backward()
            of_maker.step()
    (game,) = watched.stop().games.values()
    assert sum(pull != 0 for pull in game.curves["pull of maker"]) >= 5  # of six steps of the maker

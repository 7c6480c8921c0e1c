"""The eight GANs: what moves, lanes, gradients by finite differences, and closed forms with critics that are known."""

import math
from dataclasses import replace

import pytest
import torch
from torch.func import grad_and_value

from whichloss.nets import builder
from whichloss.objectives import Nets, find
from whichloss.rng import Rng
from whichloss.task import Batch, Task
from whichloss.train import Lanes, train

NAMES = ["ebgan", "gan", "gan-minimax", "hinge-gan", "lsgan", "r3gan", "wgan", "wgan-gp"]
CRITICS = {name: find(name) for name in NAMES if name != "ebgan"}
RNG = Rng.of(7)
TASK = Task("generate", 3, 60)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rows(n=60, d=3, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1.0, 0.5, 2.0])[:d]


def group(name, lanes=2, hyper=None, objective=None):
    x = torch.stack([rows(seed=k) for k in range(lanes)])
    objective = objective or find(name)()
    sizes = torch.full((lanes,), 60)
    rng = Rng(Rng.of(1, 2).key[:lanes])
    return Lanes(objective, TASK, builder(12, 1), rng, x, sizes, torch.zeros(lanes, 3), hyper or {}, batch=16)


def one(objective, x, seed=0):
    """Flat weights of one lane, its networks as a function of them, and its batch."""
    lanes = replace(group("gan"), objective=objective).alone(0)
    weights = {role: w[0] for role, w in lanes.start().weights.items()}
    return weights, lanes.nets, Batch(x, objective.memory(Batch(x), RNG))


@pytest.mark.parametrize("name", NAMES)
def test_an_update_moves_its_roles_only_and_consumes_no_global_randomness(name):
    objective = find(name)()
    for turn, update in enumerate(objective.updates()):
        alone = group(name, 1, objective=Only(objective, turn))
        start, before = alone.start(), torch.get_rng_state()
        first = {role: w.clone() for role, w in start.weights.items()}
        ((state, losses),) = train(alone, 1, start)
        moved = {role for role in first if not torch.equal(first[role], state.weights[role])}
        assert moved == set(update.moves) and torch.equal(before, torch.get_rng_state())
        assert all(loss.isfinite().all() for loss in losses.values())


def Only(objective, turn):
    """The objective with one of its updates."""

    class One(type(objective)):
        def updates(self):
            return [type(objective).updates(self)[turn]]

    return One(**vars(objective))


@pytest.mark.parametrize("name", NAMES)
def test_lane_equals_solo_and_equal_keys_sample_alike(name):
    objective = find(name)()
    hyper = {field: torch.tensor(values[:2]) for field, values in objective.search.items()}
    lanes = group(name, 2, hyper)
    *_, (state, _) = train(lanes, 3)
    alone = lanes.alone(1)
    *_, (solo, _) = train(alone, 3)
    for role, w in state.weights.items():
        torch.testing.assert_close(w[1], solo.weights[role][0], rtol=0, atol=1e-9)
    a, b = (alone.sample(solo.weights, 5, "x") for _ in range(2))
    assert torch.equal(a, b) and a.shape == (1, 5, 3)
    assert not torch.equal(a, alone.sample(solo.weights, 5, "y"))
    watched = lanes.watch(state, 3)
    assert watched and all(v.shape == (2,) and v.isfinite().all() for v in watched.values())


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_printed_loss(name):
    """(L(w + e v) - L(w - e v)) / 2 e = <grad, v> for what an update moves: a stray detach or sign fails here. And a
    small step against the gradient lowers the loss."""
    objective, e = find(name)(), 1e-6
    weights, bind, batch = one(objective, rows(16))
    for update in objective.updates():
        moving = {r: weights[r] for r in update.moves}
        loss = lambda w, update=update: update.loss(bind({**weights, **w}), batch, RNG)
        grads, value = grad_and_value(loss)(moving)
        for seed in range(3):
            v = {r: torch.randn(w.shape, generator=torch.Generator().manual_seed(seed)) for r, w in moving.items()}
            moved = [loss({r: w + s * e * v[r] for r, w in moving.items()}) for s in (1, -1)]
            slope = sum((grads[r] * v[r]).sum() for r in moving)
            assert ((moved[0] - moved[1]) / (2 * e)).item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-7)
        assert loss({r: w - 1e-4 * grads[r] for r, w in moving.items()}) < value


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("r3gan", "wgan-gp")])
def test_the_order_of_the_rows_does_not_matter(name):
    objective, x = find(name)(**({"noise": 0.0} if name == "ebgan" else {})), rows(16)  # its noise has an order
    weights, bind, batch = one(objective, x)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    mixed = replace(batch, x=x[order])
    losses = [objective.updates()[0].loss(bind(weights), b, RNG) for b in (batch, mixed)]
    torch.testing.assert_close(*losses)


LOG2 = math.log(2)
LEVELS = {  # (critic, generator) where the critic cannot tell: D = 1/2, or its counterpart
    "gan": (0.0, 2 * LOG2, LOG2),
    "gan-minimax": (0.0, 2 * LOG2, -LOG2),
    "lsgan": (0.5, 1 / 4, 1 / 8),
    "hinge-gan": (0.0, 2.0, 0.0),
    "wgan": (0.0, 0.0, 0.0),
    "r3gan": (0.7, LOG2, LOG2),
    "wgan-gp": (0.0, find("wgan-gp")().penalty, 0.0),  # slope 0, of which the penalty wants 1
}


def known(w, b=0.0):
    """A linear critic D(x) = w'x + b and a generator that shifts its noise."""
    return Nets({"D": lambda x: x @ w[:, None] + b, "G": lambda z: z[:, :3] + 0.3})


@pytest.mark.parametrize("name", LEVELS)
def test_levels_of_a_critic_that_cannot_tell(name):
    score, critic, generator = LEVELS[name]
    objective = find(name)()
    x = rows(16)
    nets, batch = known(torch.zeros(3), score), Batch(x, objective.memory(Batch(x), RNG))
    losses = [u.loss(nets, batch, RNG).item() for u in objective.updates()]
    assert losses == pytest.approx([critic, generator], abs=1e-12)


W = torch.tensor([0.6, -0.9, 1.7], dtype=torch.float64)


def test_wgan_gp_with_a_linear_critic():
    """The penalty is lambda (|w| - 1)^2, whatever the rows; the gap is w'(mean of fakes - mean of rows)."""
    objective, x = find("wgan-gp")(penalty=3.0), rows(16)
    fake = objective.sample(known(W), (16, 3), RNG)
    gap = W @ (fake.mean(0) - x.mean(0))
    loss = objective.critic(known(W), Batch(x), RNG)
    torch.testing.assert_close(loss, gap + 3 * (W.norm() - 1) ** 2)


def test_wgan_gp_penalty_is_taken_between_rows_and_fakes():
    """D = |x|^2 a / 2: slope a |x_hat|, x_hat on the segments from x to G(z), at one place per sample."""
    objective, x = find("wgan-gp")(penalty=2.0), rows(16)
    nets = Nets({"D": lambda x: 0.35 * (x**2).sum(1, keepdim=True), "G": lambda z: z[:, :3] + 4})
    eps, fake = RNG.uniform("eps", (16, 1)), objective.sample(nets, (16, 3), RNG)
    at = x + (1 - eps) * (fake - x)
    expected = nets.D(fake).mean() - nets.D(x).mean() + 2 * ((0.7 * at.norm(dim=1) - 1) ** 2).mean()
    torch.testing.assert_close(objective.critic(nets, Batch(x), RNG), expected)


def test_wgan_gp_critic_between_two_points_has_slope_1_plus_d_over_2_lambda():
    """Data at 4, fakes at 0, D(x) = w x: least at w = 1 + 4 / (2 lambda)."""
    objective = find("wgan-gp")(penalty=10.0)
    best = torch.tensor([1 + 4 / (2 * 10.0)])
    loss = lambda w: objective.critic(
        Nets({"D": lambda x: x @ w[:, None], "G": lambda z: 0 * z[:, :1]}), Batch(torch.full((8, 1), 4.0)), RNG
    )
    assert torch.func.grad(loss)(best).abs() < 1e-12


def test_r3gan_with_a_linear_critic():
    """R1 + R2 = gamma s2 |w|^2, s2 the mean variance; the rest is log(1 + exp(D(fake) - D(x))) of pairs."""
    objective, x = find("r3gan")(gamma=0.4), rows(16)
    memory = objective.memory(Batch(x), RNG)
    assert memory["variance"].item() == pytest.approx(x.var(0, correction=0).mean().item())
    nets, batch = known(W), Batch(x, memory)
    gap = (x - objective.sample(nets, (16, 3), RNG)) @ W
    pairs = (1 + (-gap).exp()).log().mean()
    torch.testing.assert_close(objective.critic(nets, batch, RNG), pairs + 0.4 * memory["variance"] * W @ W)
    torch.testing.assert_close(objective.generator(nets, batch, RNG), (1 + gap.exp()).log().mean())


@pytest.mark.parametrize("name", ["r3gan", "ebgan"])
def test_the_unit_of_the_data_does_not_matter(name):
    """Rows, fakes and networks in another unit: r3gan's losses stay, ebgan's energies scale as its square."""
    objective, x, c = find(name)(), rows(16), 25.0
    weights, bind, batch = one(objective, x)
    nets = bind(weights)
    in_unit = {
        "G": lambda z: c * nets.G(z),
        "D": lambda x: nets.D(x / c),
        "Enc": lambda x: nets.Enc(x / c),
        "Dec": lambda s: c * nets.Dec(s),
    }
    other = Batch(c * x, objective.memory(Batch(c * x), RNG))
    factor = c**2 if name == "ebgan" else 1.0
    for update in objective.updates():
        torch.testing.assert_close(update.loss(Nets(in_unit), other, RNG), factor * update.loss(nets, batch, RNG))


def test_wgan_clips_every_weight_of_the_critic_and_none_of_the_generator():
    lanes = group("wgan", 2, objective=find("wgan")(clip=0.02))
    *_, (state, _) = train(lanes, 3)
    assert state.weights["D"].abs().max().item() == pytest.approx(0.02)
    assert state.weights["G"].abs().max() > 0.1


def test_wgan_clip_bounds_the_slope():
    """|w| <= c in L layers of width h: the slope of a 1 - h - .. - 1 ReLU critic is at most c^L h^(L - 1)."""
    c, h, layers = find("wgan")().clip, 64, 4
    D = builder(h, 3)("D", 1, 1)
    with torch.no_grad():
        for p in D.parameters():
            p.fill_(c)
    slope = torch.func.grad(lambda x: D(x).sum())(torch.tensor([[0.5]]))
    assert slope.item() == pytest.approx(c**layers * h ** (layers - 1))
    assert slope > 1


@pytest.mark.parametrize("name", ["gan", "gan-minimax", "lsgan", "hinge-gan", "wgan", "r3gan"])
def test_where_the_critic_wins_only_the_minimax_generator_is_dead(name):
    """Fakes scored -10: slope of the generator's loss in D is sigma(-10) for minimax and about 1 or more for the rest
    (O14); for a critic of slope 1."""
    objective, x = find(name)(), torch.zeros(8, 3)

    def loss(score):
        nets = Nets({"D": lambda x: x[:, :1] + score * (x[:, 1:2] != 0), "G": lambda z: 1e-9 + 0 * z[:, :3]})
        return objective.updates()[1].loss(nets, Batch(x), RNG)

    slope = torch.func.grad(loss)(torch.tensor(-10.0)).abs().item()
    assert slope == pytest.approx(4.54e-5, rel=1e-3) if name == "gan-minimax" else slope > 0.999


def autoencoder(a, shift=0.3):
    """R(x) = a x, of which the code is x; fakes are shifted noise."""
    return Nets({"Enc": lambda x: x, "Dec": lambda s: a * s, "G": lambda z: z[:, :3] + shift})


def test_ebgan_with_a_linear_autoencoder():
    """E(x) = (a - 1)^2 |x|^2 / d; each fake below the margin is charged by itself."""
    objective, x, a = find("ebgan")(noise=0.0), rows(16), 0.4
    nets, batch = autoencoder(a), Batch(x, objective.memory(Batch(x), RNG))
    m = objective.margin * x.var(0, correction=0).mean()
    fake = objective.sample(nets, (16, 3), RNG)
    energy = lambda x: (a - 1) ** 2 * (x**2).mean(1)
    torch.testing.assert_close(objective.score(nets, x), energy(x))
    expected = energy(x).mean() + (m - energy(fake)).clamp(min=0).mean()
    torch.testing.assert_close(objective.critic(nets, batch, RNG), expected)
    u = fake / fake.norm(dim=1, keepdim=True)
    repulsion = ((u @ u.T) ** 2).fill_diagonal_(0).sum() / (16 * 15)
    expected = energy(fake).mean() + objective.repulsion * m * repulsion
    torch.testing.assert_close(objective.generator(nets, batch, RNG), expected)


def test_ebgan_energy_is_per_sample():
    """No row's energy depends on another row (batch normalisation would break this)."""
    objective, x = find("ebgan")(), rows(6)
    weights, bind, _ = one(objective, x)
    jacobian = torch.func.jacrev(lambda x: objective.score(bind(weights), x))(x)
    assert torch.equal(jacobian.ne(0).any(-1), torch.eye(6, dtype=torch.bool))


@pytest.mark.parametrize("name", NAMES)
def test_averages_for_sampling_are_kept(name):
    assert find(name).average == 0.99


@pytest.mark.parametrize("name", NAMES)
def test_a_dead_critic_gives_finite_gradients(name):
    """All weights 0: slopes are 0, where the norm has no derivative, and codes are 0, which have no direction."""
    objective = find(name)()
    weights, bind, batch = one(objective, rows(8))
    zero = {role: 0 * w for role, w in weights.items()}
    for update in objective.updates():
        loss = lambda w, update=update: update.loss(bind({**zero, **w}), batch, RNG)
        grads, value = grad_and_value(loss)({r: zero[r] for r in update.moves})
        assert value.isfinite() and all(g.isfinite().all() for g in grads.values())

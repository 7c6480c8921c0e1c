"""ddpm, flow-matching, denoising-score-matching and pcd with networks that know the answer: no training."""

import math
import sys
from dataclasses import replace

import pytest
import torch

from whichloss.errors import UserError
from whichloss.nets import builder
from whichloss.objectives import Nets, find
from whichloss.objectives.base import Denoised
from whichloss.objectives.ddpm import tables
from whichloss.rng import Rng
from whichloss.task import Batch, Task

DDPM, FM = find("ddpm"), find("flow-matching")
DSM, PCD = find("denoising-score-matching"), find("pcd")
MEAN, SD = torch.tensor([0.5, -1.0]), torch.tensor([1.0, 0.3])  # the data: independent normals
RNG = Rng.of(7)


def data(n, seed=0):
    return MEAN + SD * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def clock(inputs):
    """The time in [0, 1] that the features of a network's inputs (n, 2 + 16) tell."""
    return torch.atan2(inputs[:, 2:3], inputs[:, 10:11]) * 2 / math.pi


def best_x0(z, alpha, sigma):
    """E[x | alpha x + sigma n = z] of the data."""
    return MEAN + alpha * SD**2 / (alpha**2 * SD**2 + sigma**2) * (z - alpha * MEAN)


def exact_ddpm(objective):
    """A network that predicts what `objective` asks for, perfectly."""
    table, ticks = (torch.tensor(a, dtype=torch.float64) for a in tables(objective.schedule, objective.steps))

    middles = (ticks[1:-1] + ticks[2:]) / 2

    def eps(inputs):
        x_t = inputs[:, :2].double()
        t = 1 + torch.searchsorted(middles, clock(inputs)[:, 0].double())
        a, a_s = table[t][:, None], table[t - 1][:, None]
        x0 = best_x0(x_t, a**0.5, (1 - a) ** 0.5)
        noise = (x_t - a**0.5 * x0) / (1 - a) ** 0.5
        beta = 1 - a / a_s
        said = {
            "x0": x0,
            "eps": noise,
            "v": a**0.5 * noise - (1 - a) ** 0.5 * x0,
            "mean": (x_t - beta / (1 - a) ** 0.5 * noise) / (1 - beta) ** 0.5,
        }[objective.predict]
        share = SD**2 / (a * SD**2 + 1 - a)
        return torch.cat([said, share.expm1().log()], dim=1).float()  # softplus undoes it

    return Nets({"eps": eps})


def exact_flow():
    def u(inputs):
        t = clock(inputs)
        slope = (t * SD**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * SD**2)
        return MEAN + slope * (inputs[:, :2] - t * MEAN)

    return Nets({"u": u})


def exact_score(objective):
    def s(inputs):  # given x / sqrt(1 + sigma^2), answers sigma times the score
        sigma = objective.sigma(clock(inputs), 2)
        x = inputs[:, :2] * (1 + sigma**2) ** 0.5
        return -sigma * (x - MEAN) / (SD**2 + sigma**2)

    return Nets({"s": s})


def moments(x, mean=0.04, sd=0.04):
    assert x.mean(0).tolist() == pytest.approx(MEAN.tolist(), abs=mean)
    assert x.std(0).tolist() == pytest.approx(SD.tolist(), rel=sd)


def loss(objective, nets, x):
    return objective.updates()[0].loss(nets, Batch(x), RNG).item()


# --- ddpm

SETTINGS = [
    {},
    {"schedule": "cosine"},
    {"predict": "x0", "sampler": "ddim", "sampling_steps": 200},
    {"predict": "v", "variance": "large", "sampling_steps": 200},
    {"predict": "mean", "variance": "small", "sampling_steps": 400},
    {"steps": 100, "sampling_steps": 100, "sampler": "ddim"},
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_ddpm_samples_the_law_it_was_told(setting):
    objective = DDPM(**setting)
    x = objective.sample(exact_ddpm(objective), (10_000, 2), RNG)
    moments(x, sd=0.08 if objective.variance != "learned" else 0.05)


@pytest.mark.parametrize("predict", ["eps", "x0", "v", "mean"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_ddpm_least_loss_depends_on_the_weight_alone(predict, schedule):
    """Mean over t of s^2 abar / (abar s^2 + 1 - abar): .27551 (linear) and .49558 (cosine) at s = 1."""
    objective = DDPM(predict=predict, schedule=schedule, variance="small")
    a = torch.tensor(tables(schedule, 1000)[0][1:], dtype=torch.float64)[:, None]
    least = (SD**2 * a / (a * SD**2 + 1 - a)).mean().item()
    assert loss(objective, exact_ddpm(objective), data(100_000)) == pytest.approx(least, rel=0.02)


def test_ddpm_weights():
    a = torch.tensor(tables("linear", 1000)[0][1:], dtype=torch.float64)[:, None]
    for weight, value in (("x0", SD**2 * (1 - a)), ("v", SD**2)):
        objective = DDPM(weight=weight, variance="small")
        least = (value / (a * SD**2 + 1 - a)).mean().item()
        assert loss(objective, exact_ddpm(objective), data(100_000)) == pytest.approx(least, rel=0.02)


def test_ddpm_bound_is_the_entropy():
    """steps x the variational terms + the prior's KL = H(x): only at the best mean and variance."""
    objective = DDPM(hybrid=1.0, steps=200)
    x = data(100_000)
    nets, plain = exact_ddpm(objective), replace(objective, hybrid=0.0)
    bound = 2 * (loss(objective, nets, x) - loss(plain, nets, x)) + objective.prior_distance(x).item()
    entropy = (0.5 * torch.log(2 * math.pi * math.e * SD**2)).sum().item()
    assert bound == pytest.approx(entropy, abs=0.05)


def test_ddpm_variance_is_not_the_means_teacher():
    """The bound moves the variance head only, so its gradient in the mean's outputs is the error's."""
    x = data(64)
    seen = []
    for hybrid in (0.0, 1.0):
        objective = DDPM(hybrid=hybrid)
        head = torch.zeros(64, 4, requires_grad=True)
        objective.updates()[0].loss(Nets({"eps": lambda _, head=head: head}), Batch(x), RNG).backward()
        seen.append(head.grad)
    torch.testing.assert_close(seen[0][:, :2], seen[1][:, :2])
    assert seen[0][:, 2:].abs().max() == 0 and seen[1][:, 2:].abs().min() > 0


@pytest.mark.parametrize("setting", [{}, {"schedule": "cosine"}, {"predict": "v"}], ids=str)
def test_ddpm_log_density(setting, monkeypatch):
    """Of centred data: the flow starts where a thousandth of its variance is left, so a mean would leave a trace."""
    monkeypatch.setattr(sys.modules[__name__], "MEAN", torch.zeros(2))
    objective, x = DDPM(**setting, sampling_steps=200), data(50)
    exact = torch.distributions.Normal(MEAN, SD).log_prob(x).sum(1)
    found = objective.score(exact_ddpm(objective), x)
    torch.testing.assert_close(found, exact, rtol=0, atol=0.03)


def test_ddpm_forward_marginals_reach_the_prior():
    rows = DDPM().forward_marginals(2.0, 9.0)
    assert rows[0] == (0.0, 2.0, 3.0)
    assert rows[-1] == pytest.approx((1.0, 0.0, 1.0), abs=0.02)
    noisy = DDPM().watch(Nets({}), Batch(data(10)), RNG)["KL(q(x_T) || prior)"]
    assert 0 < noisy < 1e-3
    assert DDPM(schedule="linear").prior_distance(torch.ones(1, 1)).item() == pytest.approx(2.02e-5, rel=0.01)


def test_ddpm_times_start_where_something_is_left():
    for schedule in ("linear", "cosine"):
        objective = DDPM(schedule=schedule)
        times, abar = objective.times(), tables(schedule, 1000)[0]
        assert abar[times[0]] >= 1e-3 > abar[times[0] + 1] and times[-1] == 0
        assert len(times) <= 51


def test_ddpm_refuses_too_few_linear_steps():
    with pytest.raises(UserError, match="steps > 20"):
        loss(DDPM(steps=20), exact_ddpm(DDPM()), data(4))


# --- flow matching and score matching


def test_flow_matching_samples_scores_and_least_loss():
    nets, objective = exact_flow(), FM()
    moments(objective.sample(nets, (20_000, 2), RNG), mean=0.02, sd=0.02)
    assert loss(objective, nets, data(200_000)) == pytest.approx(math.pi / 2 * SD.mean().item(), rel=0.02)
    x = data(50)
    exact = torch.distributions.Normal(MEAN, SD).log_prob(x).sum(1)
    found = replace(objective, sampling_steps=100).score(nets, x)
    torch.testing.assert_close(found, exact, rtol=0, atol=0.01)


def test_score_matching_samples_and_least_loss():
    objective = DSM()
    nets = exact_score(objective)
    moments(objective.sample(nets, (20_000, 2), RNG), mean=0.03, sd=0.05)
    sigma = objective.sigma(torch.arange(20)[:, None] / 19, 2)
    least = (SD**2 / (SD**2 + sigma**2)).mean().item()
    assert loss(objective, nets, data(100_000)) == pytest.approx(least, rel=0.02)


@pytest.mark.parametrize("levels, error", [(20, 0.1), (400, 3e-3)])
def test_score_matching_log_density(levels, error, monkeypatch):
    """That of the law blurred by sigma_min; centred data, since the widest noise must hide where they are."""
    monkeypatch.setattr(sys.modules[__name__], "MEAN", torch.zeros(2))
    objective, x = DSM(levels=levels), data(200)
    low, top = (SD**2 + sigma**2 for sigma in (objective.sigma_min, objective.sigma_max * 2**0.5))
    stretch = (top / low).sqrt()  # of the flow, from a row to the widest noise, where the prior is N(0, 1 + sigma^2)
    prior = torch.distributions.Normal(0.0, (1 + 2 * objective.sigma_max**2) ** 0.5)
    exact = (prior.log_prob(stretch * x) + stretch.log()).sum(1)
    assert (exact - torch.distributions.Normal(MEAN, low.sqrt()).log_prob(x).sum(1)).abs().max() < 0.4
    torch.testing.assert_close(objective.score(exact_score(objective), x), exact, rtol=0, atol=error)


def test_score_matching_ladder_grows_with_the_data():
    objective, ends = DSM(), torch.tensor([0.0, 1.0])
    assert objective.sigma(ends, 9).tolist() == pytest.approx([12.0, 0.02])
    ratio = objective.sigma(torch.arange(20) / 19, 2)
    torch.testing.assert_close(ratio[1:] / ratio[:-1], (ratio[1] / ratio[0]).expand(19))


@pytest.mark.parametrize("name", ["ddpm", "flow-matching", "denoising-score-matching"])
def test_a_sample_costs_at_most_100_calls(name):
    objective, calls = find(name)(), []
    modules = objective.networks(Task("generate", 2, 100), builder(8, 1))

    def counted(role):
        def net(*inputs):
            calls.append(1)
            return modules[role](*inputs)

        return net

    objective.sample(Nets({role: counted(role) for role in modules}), (4, 2), RNG)
    assert len(calls) <= 100


# --- losses beside those of known denoisers

DENOISERS = ["ddpm", "flow-matching", "denoising-score-matching"]


def modes(n, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (n, 2), generator=g) * 2 - 1.0 + 0.1 * torch.randn(n, 2, generator=g)


def exact(name):
    """An objective and its exact networks on a normal."""
    objective = find(name)(**({"variance": "small"} if name == "ddpm" else {}))
    nets = {"ddpm": exact_ddpm, "denoising-score-matching": exact_score, "flow-matching": lambda _: exact_flow()}
    return objective, nets[name](objective)


@pytest.mark.parametrize("name", DENOISERS)
def test_the_skill_on_a_normal_is_unknown(name):
    objective, nets = exact(name)
    assert objective.denoised(nets, data(2000), data(4000, 1), RNG).skill is None


@pytest.mark.parametrize("name", DENOISERS)
def test_trivial_loss_is_the_linear_networks(name, monkeypatch):
    """The exact networks of a normal are linear: on rows of its mean and variance their loss is the trivial one."""
    x, x_new = modes(2000, 0), modes(2000, 1)
    monkeypatch.setattr(sys.modules[__name__], "MEAN", x.mean(0))
    monkeypatch.setattr(sys.modules[__name__], "SD", x.std(0))
    objective, nets = exact(name)
    found = objective.denoised(nets, x, x_new, RNG)
    assert float(found.loss.mean()) == pytest.approx(loss(objective, nets, x_new))
    assert float(found.loss.mean()) == pytest.approx(float(found.trivial.mean()), rel=0.01)
    assert found.good.mean() < 0.95 * found.trivial.mean()
    assert found.skill == pytest.approx(0, abs=0.02) and found.skill_by_level == pytest.approx((0, 0, 0), abs=0.02)


@pytest.mark.parametrize("name", DENOISERS)
def test_a_network_that_fails_where_there_is_much_noise_is_told_there(name, monkeypatch):
    x, x_new = modes(2000, 0), modes(2000, 1)
    monkeypatch.setattr(sys.modules[__name__], "MEAN", x.mean(0))
    monkeypatch.setattr(sys.modules[__name__], "SD", x.std(0))
    objective, nets = exact(name)
    ((role, right),) = nets.by_role.items()
    last = {"ddpm": (2 / 3, 1.0), "flow-matching": (0.0, 1 / 3), "denoising-score-matching": (0.0, 0.3)}[name]

    def wrong(inputs):
        here = clock(inputs)
        if name == "ddpm":  # its clock is the log-SNR, not t
            here = here.argsort(0).argsort(0) / len(here)
        return torch.where((here >= last[0]) & (here < last[1]), 5.0, right(inputs))

    little, middle, much = objective.denoised(Nets({role: wrong}), x, x_new, RNG).skill_by_level
    assert abs(little) < 0.05 and middle > -1 and much < -3


def test_levels_are_thirds_by_noise_whatever_the_rows_order():
    noise = torch.tensor([0.9, 0.1, 0.5, 0.2, 0.8, 0.6])
    loss, trivial = torch.tensor([3.0, 1, 2, 0, 1, 1]), torch.tensor([2.0, 1, 2, 3, 1, 2])
    found = Denoised(noise[:, None], loss, trivial, trivial / 2)
    assert found.skill == pytest.approx((11 - 8) / (11 - 5.5))
    assert found.skill_by_level == pytest.approx(
        (0.75, 0.25, -1 / 3)
    )  # (1 + 0) / 4, (2 + 1) / 4, (3 + 1) / 3: sums, not shares


def test_least_loss_lies_just_above_the_true_one():
    """Flow matching on two 1-D normals at -1, 1: the true posterior mean's loss on the same draws."""
    x, x_new = modes(2000, 0), modes(4000, 1)

    def u(inputs):
        t, x_t = clock(inputs), inputs[:, :2]
        width = t**2 * 0.01 + (1 - t) ** 2
        center = torch.tanh(t * x_t / width)
        x1 = center + t * 0.01 / width * (x_t - t * center)
        return (x1 - x_t) / (1 - t)

    found = FM().denoised(Nets({"u": u}), x, x_new, RNG)
    true, trivial, least = (float(rows.mean()) for rows in (found.loss, found.trivial, found.good))
    assert true < least < true + 0.05 * (trivial - true)


# --- pcd


def energy(x):
    return (((x - MEAN) / SD) ** 2).sum(1, keepdim=True) / 2


def test_pcd_samples_the_energy_it_was_told():
    """Unadjusted Langevin: variance s^2 / (1 - step / (2 s^2)) once it has forgotten its start."""
    objective = PCD(step=0.02, sampling_steps=300)
    x = objective.sample(Nets({"E": energy}), (10_000, 2), RNG)
    moments(x, mean=0.05, sd=0.09)
    assert x[:, 1].var().item() == pytest.approx(0.09 / (1 - 0.02 / 0.18), rel=0.05)


def test_pcd_chains_live_on_but_for_a_share():
    objective = PCD(restart=0.25, chains=4000, step=1e-8)
    before = objective.memory(Batch(data(10)), RNG)["chains"] + 100
    after = objective.refresh(Nets({"E": energy}), Batch(data(10), {"chains": before}), RNG)["chains"]
    moved = ((after - before).abs() > 1).any(1).double().mean().item()
    assert before.shape == after.shape == (4000, 2)
    assert moved == pytest.approx(0.25, abs=0.03)


def test_pcd_refresh_is_that_many_langevin_steps():
    """Quadratic energy, no restarts: the mean contracts by (1 - step / s^2) per step."""
    objective = PCD(restart=0.0, chains=20_000, step=0.01, langevin_steps=10)
    start = {"chains": MEAN + torch.ones(20_000, 2)}
    x = objective.refresh(Nets({"E": energy}), Batch(data(4), start), RNG)["chains"]
    assert (x.mean(0) - MEAN).tolist() == pytest.approx([0.99**10, (1 - 1 / 9) ** 10], abs=0.01)


def test_pcd_loss_is_the_energy_gap():
    chains, x = data(50, 1), data(50)
    nets, batch = Nets({"E": energy}), Batch(x, {"chains": chains})
    plain = replace(PCD(), penalty=0.0, blur=0.0).updates()[0].loss(nets, batch, RNG)
    torch.testing.assert_close(plain, energy(x).mean() - energy(chains).mean())
    sized = replace(PCD(), penalty=0.5, blur=0.0).updates()[0].loss(nets, batch, RNG)
    torch.testing.assert_close(sized - plain, 0.5 * ((energy(x) ** 2).mean() + (energy(chains) ** 2).mean()))


@pytest.mark.parametrize("step", [0.002, 1e-8])
def test_pcd_watch_knows_how_far_chains_come(step):
    """In a flat energy a chain diffuses: sqrt(2 step steps) an update, sqrt of its life as much in all."""
    objective = PCD(step=step, langevin_steps=10, restart=0.1)
    nets, chains = Nets({"E": lambda x: 0 * x.sum(1, keepdim=True)}), SD * torch.randn(20_000, 2, generator=seeded(3))
    seen = objective.watch(nets, Batch(chains, {"chains": chains}), RNG)
    assert seen["chain reach"].item() == pytest.approx((2 * step * 10 / 0.1) ** 0.5 / chains.std().item(), rel=0.02)
    assert seen["energy gap"].item() == 0
    assert torch.equal(objective.score(nets, chains), nets.E(chains)[:, 0])


def seeded(seed):
    return torch.Generator().manual_seed(seed)

"""The self-test passes here, and fails when something is planted wrong."""

import math
from dataclasses import replace

import pytest
import torch

from whichloss import samplers
from whichloss.doctor import selftest as st
from whichloss.objectives import available, find
from whichloss.samplers import ancestral, langevin, ode


def names(checks):
    return {c.name for c in st.failed(checks)}


def test_samplers_pass():
    assert names([*st.langevin_checks(), *st.ancestral_checks(), *st.ode_checks()]) == set()


def test_a_check_that_is_not_finite_fails():
    assert not st.check("x", 1.0, math.nan, 10.0, "").passed
    assert not st.check("x", 1.0, math.inf, 10.0, "").passed
    assert st.check("x", 1.0, torch.tensor(1.1), 0.2, "").passed


def test_twice_the_noise_is_found(monkeypatch):
    def hot(score, x, rng, **how):
        return langevin(score, x, rng, **{**how, "step": 2 * how["step"]})

    monkeypatch.setattr(samplers, "langevin", hot)
    assert "langevin" in names(st.langevin_checks())


def test_a_wrong_sign_is_found(monkeypatch):
    def uphill(score, x, rng, **how):
        return langevin(lambda x: -score(x), x, rng, **how)

    monkeypatch.setattr(samplers, "langevin", uphill)
    assert {"langevin", "langevin averaged", "langevin cold"} <= names(st.langevin_checks())


def test_the_wrong_variance_is_found(monkeypatch):
    def swapped(denoise, x, rng, **how):
        return ancestral(denoise, x, rng, **{**how, "variance": "large"})

    monkeypatch.setattr(samplers, "ancestral", swapped)
    assert names(st.ancestral_checks()) == {"ancestral small", "ancestral learned"}


def test_a_first_order_heun_is_found(monkeypatch):
    monkeypatch.setattr(samplers, "ode", lambda u, x, times, method: ode(u, x, times=times, method="euler"))
    assert names(st.ode_checks()) == {"ode order, Heun"}


def test_an_objective_passes_and_its_broken_twin_fails():
    """Flow matching; its twin learns the velocity of the way back."""
    objective = find("flow-matching")()

    class Backwards(type(objective)):
        def errors(self, x1, rng, u):
            return super().errors(x1, rng, lambda x, t: -u(x, t))

    assert names(st.objective_checks("flow-matching", objective)) == set()
    wrong = names(st.objective_checks("flow-matching", Backwards()))
    assert {"flow-matching variance", "flow-matching covariance"} <= wrong


def test_every_objective_has_a_known_loss_or_an_energy():
    known = {*st.CRITIC_LEVELS, *st.LEAST_LOSSES}
    assert known <= set(available())
    assert set(available("generate")) - known <= {"pcd", "cd"}  # differences of energies: no level tells


@pytest.mark.slow
def test_everything_passes_and_a_hot_chain_does_not():
    assert names(st.selftest()) == set()
    hot = replace(find("pcd")(), step=1.0)  # chains that overshoot
    assert names(st.objective_checks("pcd", hot)) != set()

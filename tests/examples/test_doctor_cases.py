"""The doctor tells the three classic cases from the loop alone."""

import doctor_cases
import pytest


def faults(watched):
    """What was found, in order."""
    return [f.rule for f in watched.findings if f.level == "fault"]


@pytest.mark.slow
def test_the_slope_of_the_bce_gan_vanishes_by_number_and_that_of_wgan_gp_does_not():
    bce = doctor_cases.line_gan("BCE-GAN", 400)
    assert "vanishing slope of a certain judge" in faults(bce)[:3]
    (game,) = bce.trace.games.values()
    slope = game.curves["slope passed to maker"]
    assert slope[-1] < 1e-3 * slope[0]
    held = doctor_cases.line_gan("WGAN-GP", 400)
    (game,) = held.trace.games.values()
    assert 0.2 < game.late("slope passed to maker") < 5
    assert "vanishing slope of a certain judge" not in faults(held)


@pytest.mark.slow
def test_the_ebgan_that_does_not_learn():
    said = faults(doctor_cases.ebgan(400))
    assert said[:2] == ["contract: half an energy", "margin always off"]


@pytest.mark.slow
def test_the_contrastive_network_on_random_labels():
    said = faults(doctor_cases.contrastive(30))
    assert said[:3] == ["labels without signal", "bounded logits", "embedding collapse"]

"""The curves of cards: what is drawn is what the formulas say, everywhere with a Korean title, and self-contained."""

import math
import re
import time
from itertools import pairwise

import pytest
import torch

from whichloss import cards
from whichloss.report import curves
from whichloss.report.curves import adversarial, chains, classification, distances, sampling
from whichloss.report.curves.korean import korean
from whichloss.samplers import split_rhat

ALL = [name for kind in cards.KINDS for name in cards.names(kind)]
OF = [classification.OF, distances.OF, adversarial.OF, sampling.OF, chains.OF]


def lines(name: str, title: str) -> dict[str, dict[float, float]]:
    """Line -> its points, of the panel of a card with a title."""
    (panel,) = [panel for panel in curves.panels(name) if panel.title == title]
    return {line: dict(zip(*points, strict=True)) for line, points in panel.lines.items()}


def panel(name: str, title: str) -> curves.Panel:
    (found,) = [panel for panel in curves.panels(name) if panel.title == title]
    return found


def drawn(name: str, title: str) -> torch.Tensor:
    """The paths of a panel: y (steps, chains)."""
    return torch.tensor([y for _, y in panel(name, title).paths], dtype=torch.float64).T


def bars(name: str, title: str) -> dict[float, float]:
    """Middles of a histogram -> heights."""
    return {(a + b) / 2: height for a, b, height in panel(name, title).bars}


def apart(bars: dict[float, float], law) -> float:
    """The total variation of a histogram from a density."""
    return sum(abs(h - law(x)) for x, h in bars.items()) / sum(bars.values()) / 2


def width(points: dict[float, float], at: float = 2.0) -> float:
    """The deviation of a density of two humps, each from its place."""
    return math.sqrt(sum(h * (abs(x) - at) ** 2 for x, h in points.items()) / sum(points.values()))


def gauss(x: float, mean: float = 0.0, sd: float = 1.0) -> float:
    return math.exp(-(((x - mean) / sd) ** 2) / 2) / sd / math.sqrt(2 * math.pi)


def two_humps(x: float) -> float:
    return (gauss(x, -2, 0.5) + gauss(x, 2, 0.5)) / 2


def close(points: dict[float, float], formula, tolerance: float = 1e-6) -> bool:
    """Does a line follow a formula?"""
    return all(abs(y - formula(x)) <= tolerance * max(1, abs(y)) for x, y in points.items())


def test_binary_cross_entropy_and_its_gradient():
    value = lines("binary-cross-entropy", "Binary cross-entropy")
    assert close(value["label 1"], lambda p: -math.log(p)) and close(value["label 0"], lambda p: -math.log(1 - p))
    slope = lines("binary-cross-entropy", "Binary cross-entropy: the gradient")
    assert close(slope["label 1"], lambda p: -1 / p) and close(slope["label 0"], lambda p: 1 / (1 - p))


@pytest.mark.parametrize("title", ["On logits, to ±100", "On logits, to ±100: the gradient"])
def test_the_naive_form_on_logits_ends_near_17_and_ours_does_not(title):
    found = lines("binary-cross-entropy", title)
    ours, naive = found["whichloss"], found["naive"]
    assert min(ours) == -100 and max(ours) == 100 and all(map(math.isfinite, ours.values()))
    lost = [z for z, y in naive.items() if not math.isfinite(y)]
    assert 16 < min(lost) <= 17.5 and max(lost) == 100
    (panel,) = [panel for panel in curves.panels("binary-cross-entropy") if panel.title == title]
    assert panel.ends == [(z := max(set(naive) - set(lost)), naive[z])]
    assert ours[100] == (1 if "gradient" in title else 100)


def test_smoothing_has_a_least_point_at_a_finite_logit():
    value = lines("label-smoothing-loss", "Cross-entropy with and without smoothing")
    assert min(value["none"], key=value["none"].get) == 12
    s = 0.1
    best = math.log((1 - s + s / 3) / (s / 3))
    assert abs(min(value["smoothing 0.1"], key=value["smoothing 0.1"].get) - best) < 0.11
    slope = lines("label-smoothing-loss", "Cross-entropy with and without smoothing: the gradient")
    assert close(slope["smoothing 0.1"], lambda z: math.exp(z) / (math.exp(z) + 2) - (1 - s + s / 3))


def test_the_generators_slopes():
    slope = lines("adversarial-bce", "The generator's two losses: the gradient")
    assert close(slope["non-saturating"], lambda d: -1 / (1 + math.exp(d)))
    assert close(slope["saturating (minimax)"], lambda d: -1 / (1 + math.exp(-d)))


@pytest.mark.parametrize("name", ["kl-divergence", "js-divergence", "total-variation"])
def test_four_ways_to_see_two_normal_laws_move_apart(name):
    title = "Four ways to see two laws move apart"
    value, slope = lines(name, title), lines(name, f"{title}: the gradient")
    assert close(value["KL"], lambda s: s * s / 2, 1e-4) and close(slope["KL"], lambda s: s, 1e-4)
    assert close(value["W1"], lambda s: s) and close(slope["W1"], lambda s: 1)
    assert close(value["TV"], lambda s: math.erf(s / 8**0.5), 1e-3)
    density = {s: math.exp(-s * s / 8) / (2 * math.pi) ** 0.5 for s in slope["TV"]}
    assert close(slope["TV"], density.__getitem__, 0.01)
    assert 0.99 * math.log(2) < value["JS"][6.0] < math.log(2) and slope["JS"][6.0] < 0.01


def test_mala_follows_the_law_where_langevin_is_too_wide():
    title = "A long step, with and without the test"
    at = lines("mala", title)
    assert close(at["the law"], two_humps, 1e-3)
    assert abs(width(at["Langevin"]) / 0.5 - 1.3) < 0.05
    assert abs(width(bars("mala", title)) / 0.5 - 1) < 0.02 and apart(bars("mala", title), two_humps) < 0.03
    still = drawn("mala", "MALA chains").diff(dim=0) == 0
    assert 0 < still.double().mean() < 0.5  # a refused proposal leaves x as it is


def test_a_move_of_hmc_goes_farther_than_a_walk_of_as_many_gradients():
    def gone(title: str) -> list[float]:
        assert all(len(x) == 21 for x, _ in panel("hmc", title).paths)
        return [math.hypot(x[-1] - x[0], y[-1] - y[0]) for x, y in panel("hmc", title).paths]

    far, near = gone("Six moves of HMC"), gone("As many gradients of MALA")
    assert len(far) == len(near) == 6 and min(a / b for a, b in zip(far, near, strict=True)) > 2
    ring = panel("hmc", "Six moves of HMC").lines["two deviations"]
    for x, y in zip(*ring, strict=True):
        assert math.isclose(((x + y) / 2) ** 2 / 2 + (x - y) ** 2 / 2 / 0.09, 4, rel_tol=1e-9)


def test_resonant_chains_stand_still_and_jittered_ones_mix():
    stuck, mixed = drawn("hmc", "Resonance: every length the same"), drawn("hmc", "Lengths of 5 to 15 leaps")
    assert split_rhat(stuck) > 2 and split_rhat(mixed) < 1.05
    assert stuck.diff(dim=0).abs().max() < 0.15 and (stuck.diff(dim=0) != 0).double().mean() > 0.99
    assert mixed.diff(dim=0).abs().mean() > 0.5 and abs(mixed.std() - 1) < 0.15


def test_nuts_leaps_in_proportion_to_the_width_and_follows_a_funnel():
    leaps = list(lines("nuts", "Leaps of a trajectory")["NUTS"].values())
    assert all(1.6 < b / a < 2.2 for a, b in pairwise(leaps))
    assert apart(bars("nuts", "A funnel: its width is e^v"), gauss) < 0.05


def test_tempered_chains_have_half_of_their_mass_in_each_well_and_single_ones_stay():
    share = lines("tempering", "The share in the right well")
    assert set(share["alone"].values()) == {0.0} and (drawn("tempering", "Alone: all stay") < 0).all()
    late = [y for x, y in share["tempered"].items() if x >= 100]
    assert share["tempered"][0] == 0 and abs(sum(late) / len(late) - 0.5) < 0.04
    assert (drawn("tempering", "Tempered: they cross") > 0).any(dim=0).all()


def test_annealed_rows_follow_every_law_on_the_way_and_log_z_is_right():
    assert apart(bars("annealed", "The start: a wide normal law"), lambda x: gauss(x, 0, 3)) < 0.06
    end = bars("annealed", "The end: the law")
    assert (
        apart(end, two_humps) < 0.06 and abs(sum(h for x, h in end.items() if x > 0) / sum(end.values()) - 0.5) < 0.03
    )
    x, law = panel("annealed", "On the way").lines["the law"]
    # an independent path: E_beta written out
    raw = {
        a: gauss(a, 0, 3) ** 0.8 * (math.exp(-2 * (a - 2) ** 2) + math.exp(-2 * (a + 2) ** 2)) ** 0.2
        for a in [k / 100 for k in range(-1500, 1501)]
    }
    total = sum(raw.values()) / 100
    assert all(abs(p - raw[round(a, 2)] / total) < 0.003 for a, p in zip(x, law, strict=True) if round(a, 2) in raw)
    assert apart(bars("annealed", "On the way"), lambda a: raw[round(a, 2)] / total) < 0.06
    z = lines("annealed", "log Z on the way")
    assert all(abs(z["estimate"][b] - z["truth"][b]) < 0.05 for b in z["truth"])
    assert math.isclose(z["truth"][1.0], math.log(2 * math.pi) / 2, abs_tol=1e-9)
    assert math.isclose(z["truth"][0.0], math.log(3) + math.log(2 * math.pi) / 2, abs_tol=1e-9)


def test_tilted_rows_follow_the_tilted_law():
    raw = {k / 100: gauss(k / 100) * math.exp(-2 * (k * k / 1e4 - 1) ** 2) for k in range(-400, 401)}
    total = sum(raw.values()) / 100
    nearest = lambda x: raw[round(x, 2)] / total
    assert apart(bars("tilt", "N(0, 1) tilted by exp(-U)"), nearest) < 0.06
    assert apart(bars("tilt", "N(0, 1) tilted by exp(-U)"), gauss) > 0.2


def test_the_warm_up_ends_at_its_target():
    late = list(lines("adapt", "Its acceptance")["measured"].values())[100:]
    assert abs(sum(late) / len(late) - 0.574) < 0.02
    step = lines("adapt", "A step in search of itself")
    assert step["tried"][0] == pytest.approx(0.02) and step["average"][149] > 0.4
    late = [math.log(step["average"][t]) for t in range(100, 150)]
    assert (
        max(late) - min(late)
        < 0.1
        < max(map(math.log, step["tried"].values())) - min(math.log(y) for y in step["tried"].values())
    )


def test_the_diagnostics_agree_with_an_autoregression_and_log_z_is_within_its_bounds():
    rho = lines("diagnostics", "Autocorrelation")
    assert all(abs(rho["measured"][k] - 0.8**k) < 0.04 for k in range(31))
    size = lines("diagnostics", "Effective sample size")
    assert all(abs(size["measured"][r] / (20_000 * (1 - r) / (1 + r)) - 1) < 0.1 for r in size["measured"])
    z, true = lines("partition", "log Z between two bounds"), math.log(2 * math.pi) / 2
    assert all(z["lower end"][k] < true < z["upper end"][k] for k in (4, 8, 16, 32, 64))
    assert list(z["truth"].values()) == [pytest.approx(true)] * 2 and abs(z["estimate"][64] - true) < 0.05
    assert z["upper end"][64] - z["lower end"][64] < (z["upper end"][4] - z["lower end"][4]) / 3


@pytest.mark.parametrize("name", chains.OF)
def test_pictures_of_chains_are_quick_and_the_same_every_time(name):
    began = time.process_time()
    again = tuple(chains.OF[name]())
    assert time.process_time() - began < 3  # 1 on a quiet machine
    assert again == curves.panels(name)


def test_every_curve_belongs_to_a_card_and_no_card_has_two_sets():
    named = [name for group in OF for name in group]
    assert sorted(set(named)) == sorted(named)
    assert sorted(set(named) - set(ALL)) == []
    assert sorted(set(ALL) - set(named)) == []


@pytest.mark.parametrize("name", ALL)
def test_titles_and_notes_have_their_korean(name):
    for panel in curves.panels(name):
        for text in filter(None, (panel.title, panel.note)):
            assert re.search("[가-힣]", korean(text)) or text == "Poly-1", text


@pytest.mark.parametrize(
    "name", ["binary-cross-entropy", "optimal-transport", "langevin", "hmc", "class-balanced-weights"]
)
def test_a_picture_needs_nothing_from_outside_and_takes_the_pages_colours(name):
    for panel in curves.panels(name):
        drawn = panel.svg()
        assert drawn.startswith('<svg class="curve" viewBox="0 0 ') and f'aria-label="{panel.title}' in drawn
        assert not re.search(r"href|url\((?!#clip)|<script|<style|<image|NaN|Infinity|undefined", drawn)
        assert drawn == panel.svg()
        assert "var(--" in drawn and len(drawn) < 60_000
        assert not re.search(r'(?:fill|stroke)="#', drawn)


def test_a_line_without_values_where_it_is_infinite_is_drawn_no_farther():
    naive = curves.draw.last(([0.0, 1.0, 2.0], [1.0, 2.0, math.inf]))
    assert naive == [(1.0, 2.0)] and curves.draw.last(([0.0], [1.0])) == []

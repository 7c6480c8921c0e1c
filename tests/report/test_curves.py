"""The curves of cards: what is drawn is what the formulas say, everywhere with a Korean title, and self-contained."""

import math
import re
import time
from itertools import pairwise

import pytest
import torch

from whichloss import cards
from whichloss.report import curves
from whichloss.report.curves import adversarial, chains, classification, distances, embeddings, energies, sampling
from whichloss.report.curves.korean import korean
from whichloss.rng import Rng
from whichloss.samplers import langevin, split_rhat

ALL = [name for kind in cards.KINDS for name in cards.names(kind)]
OF = [classification.OF, distances.OF, adversarial.OF, sampling.OF, chains.OF, energies.OF, embeddings.OF]


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


def zero(line: dict[float, float]) -> float:
    """Where a line crosses 0, once."""
    (found,) = [a - u * (b - a) / (v - u) for (a, u), (b, v) in pairwise(line.items()) if u * v <= 0 and u != 0]
    return found


@pytest.mark.parametrize("name", ["ml", "nce", "energy-discrepancy", "score-matching", "sliced-score-matching"])
def test_five_losses_of_an_energy_are_all_least_at_the_truth(name):
    found, s2, t = lines(name, "Losses of one energy"), 1.7, 1.0
    assert len(found) == 5
    for line in found.values():
        assert min(line, key=line.get) == pytest.approx(1 / s2, abs=1e-12) and min(line.values()) == 0
        assert sorted(line.values())[1] > 0 and line[0.2] > 0.01 and line[1.4] > 0.01
    exact = {
        "likelihood": lambda a: (a * s2 - math.log(a)) / 2,
        "energy discrepancy": lambda a: (a * s2 - math.log(1 + t * a) - a * (s2 + t) / (1 + t * a)) / 2,
        "score matching": lambda a: a * a * s2 / 2 - a,
        "sliced": lambda a: a * a * s2 / 2 - a,
    }
    for line, loss in exact.items():
        assert close(found[line], lambda a, loss=loss: loss(a) - loss(1 / s2))

    def contrastive(a: float) -> float:  # an independent path, on a finer grid
        pairs = [
            (gauss(x, 0, s2**0.5), gauss(x, 0, 2), gauss(x, 0, a**-0.5)) for x in [k / 20 for k in range(-240, 241)]
        ]
        return -sum(p * math.log(m / (m + q)) + q * math.log(q / (m + q)) for p, q, m in pairs) / 20

    for a in (0.2, 1.4):
        assert math.isclose(found["noise contrastive"][a], contrastive(a) - contrastive(1 / s2), rel_tol=1e-4)


@pytest.mark.parametrize("name", ["score-matching", "sliced-score-matching"])
def test_scores_do_not_see_the_weights_of_humps_and_densities_do(name):
    law = list(lines(name, "Two laws with other weights").values())
    score = list(lines(name, "Their scores are nearly the same").values())
    p = {x: math.exp(y) for x, y in law[0].items()}
    assert close(p, two_humps)

    def mean(f) -> float:
        return sum(p[x] * f(x) for x in p) / sum(p.values())

    assert mean(lambda x: (score[0][x] - score[1][x]) ** 2) < 0.01 * mean(lambda x: score[0][x] ** 2)
    assert math.isclose(mean(lambda x: law[0][x] - law[1][x]), math.log(0.5 / 0.3), abs_tol=0.01)


def test_short_chains_are_balanced_off_the_truth_and_with_a_test_at_it():
    found, s2, h = lines("cd", "The mean gradient of short chains"), 1.7, 0.1
    for k in (1, 10, 100):
        assert math.isclose(zero(found[f"k = {k}"]), (1 - math.sqrt(1 - 2 * h / s2)) / h, abs_tol=1e-3)
    assert abs(zero(found["k = 10, with a test"]) - 1 / s2) < 0.006
    start = s2**0.5 * Rng.of(0).normal("x", (100_000, 1)).double()
    x, _ = langevin(lambda x: -0.75 * x, start, Rng.of(1), steps=10, step=h)
    assert abs(float(start.var() - x.var()) / 2 - found["k = 10"][0.75]) < 0.01


@pytest.mark.parametrize("name", ["flow", "change-of-variables", "flow-ebm"])
def test_the_density_of_a_map_is_that_of_its_rows(name):
    (law,) = lines(name, "The density by change of variables").values()
    (f,) = lines(name, "A map of noise").values()
    assert close(f, lambda z: z + 1.5 * math.tanh(2 * z)) and all(a < b for a, b in pairwise(f.values()))
    mass = [(b - a) * (u + v) / 2 for (a, u), (b, v) in pairwise(law.items())]
    assert abs(sum(mass) - 1) < 1e-3

    def at(x: float) -> float:
        """The share of N(0, 1) between the ends of a bar, through the inverse by bisection."""

        def share(x: float) -> float:
            low, high = -9.0, 9.0
            for _ in range(50):
                z = (low + high) / 2
                low, high = (z, high) if z + 1.5 * math.tanh(2 * z) < x else (low, z)
            return (1 + math.erf(low / 2**0.5)) / 2

        return (share(x + 0.001) - share(x - 0.001)) / 0.002

    assert close(law, at, 1e-5) and apart(bars(name, "The density by change of variables"), at) < 0.05


def test_the_error_of_a_linear_autoencoder_has_its_valley_along_the_law():
    shown = panel("autoencoder", "The error of an autoencoder with one code")
    assert len(shown.cells) == 625
    assert all(math.isclose(e, (x - y) ** 2 / 4, abs_tol=1e-9) for x, y, e in shown.cells)  # half of |x - r|^2
    (ring,) = shown.lines.values()
    assert max(abs(x - y) for x, y in zip(*ring, strict=True)) < max(abs(x + y) for x, y in zip(*ring, strict=True)) / 6


def test_the_stein_discrepancy_is_a_parabola_and_equipartition_a_thermometer():
    found = lines("stein", "KSD² of a law that is moved")
    # E[(s - s0)(x) (s - s0)(y) k(x, y)] = m^2 E[(1 + 2 g^2)^(-1/2)]
    grid = [k / 100 for k in range(-900, 901)]
    curvature = sum(gauss(g) / math.sqrt(1 + 2 * g * g) for g in grid) / 100
    assert close(found["exact"], lambda m: m * m * curvature, 1e-4)
    assert min(found["exact"], key=found["exact"].get) == pytest.approx(0, abs=1e-12)
    assert all(abs(found["300 rows"][m] - y) < 0.05 + 0.15 * y for m, y in found["exact"].items())
    assert close(lines("stein", "Equipartition: E[x E'(x)] = T")["rows"], lambda t: t, 0.01)


@pytest.mark.parametrize("name", [*chains.OF, *energies.OF])
def test_pictures_of_chains_and_energies_are_quick_and_the_same_every_time(name):
    began = time.process_time()
    again = tuple((chains.OF | energies.OF)[name]())
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

"""The curves of cards: what is drawn is what the formulas say, everywhere with a Korean title, and self-contained."""

import math
import re

import pytest

from whichloss import cards
from whichloss.report import curves
from whichloss.report.curves import adversarial, classification, distances, sampling
from whichloss.report.curves.korean import korean

ALL = [name for kind in cards.KINDS for name in cards.names(kind)]
OF = [classification.OF, distances.OF, adversarial.OF, sampling.OF]


def lines(name: str, title: str) -> dict[str, dict[float, float]]:
    """Line -> its points, of the panel of a card with a title."""
    (panel,) = [panel for panel in curves.panels(name) if panel.title == title]
    return {line: dict(zip(*points, strict=True)) for line, points in panel.lines.items()}


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


@pytest.mark.parametrize("name", ["binary-cross-entropy", "optimal-transport", "langevin", "class-balanced-weights"])
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

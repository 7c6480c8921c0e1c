"""Numbers as text."""

import json
import math

import pytest

from whichloss.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00412, "0.0041"),
        (12.4, "12"),
        (1234.0, "1,234"),
        (-0.0008, "\u22120.00080"),
        (0.0, "0"),
        (None, "\u2013"),
        (math.nan, "\u2013"),
        (2.5e-9, "2.5 \u00d7 10\u207b\u2079"),
        (math.inf, "∞"),
    ],
)
def test_figures_show_two_digits_and_never_an_e(value, text):
    assert words.figures(value) == text


@pytest.mark.parametrize("value", [3.7e11, 123456.0, 0.0999, -5.04, 1e-5, 9.96, 0.996])
def test_figures_read_back_within_their_precision(value):
    text = words.figures(value, 3).replace("\u2212", "-").replace(",", "")
    if "\u00d7" in text:
        mantissa, power = text.split(" \u00d7 10")
        text = f"{mantissa}e{power.translate(str.maketrans('⁻⁰¹²³⁴⁵⁶⁷⁸⁹', '-0123456789'))}"
    assert float(text) == pytest.approx(value, rel=5e-3)


@pytest.mark.parametrize(("ratio", "text"), [(1.27, "1.3"), (2.31, "2"), (72.2, "72"), (1234.0, "1,234")])
def test_times_are_whole_from_two_on(ratio, text):
    assert words.times(ratio) == text


def test_names_that_a_list_would_blur_are_quoted():
    assert [words.quoted(name) for name in ("a b", " a", "a, b", "")] == ["a b", "' a'", "'a, b'", "''"]


def test_operations_have_one_prefix():
    assert words.flop(2e11) == "200\u00a0GFLOP"
    assert words.flop(1.23e15) == "1.2\u00a0PFLOP"
    assert words.flop(17664) == "18\u00a0kFLOP"
    assert words.flop(None) == "\u2013"


def test_a_share_is_never_rounded_to_all_or_nothing():
    assert words.percent(0.9999) == "99\u00a0%"
    assert words.percent(1.0) == "100\u00a0%"
    assert words.percent(0.0) == "0\u00a0%"
    assert words.percent(0.0002) == "under 0.1\u00a0%"


def test_durations():
    assert [words.duration(s) for s in (7, 252, 3 * 3600 + 60, None)] == ["7 s", "4 min 12 s", "3 h 1 min", "\u2013"]


def test_no_negative_zero():
    assert words.fixed(-0.00001, 3) == "0.000"
    assert words.fixed(-0.2, 1) == "\u22120.2"


def test_lists_and_counts():
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(["a"]) == "a"
    assert words.several(0, "run") == "no runs"
    assert words.several(1, "run") == "1 run"


def test_decimals_show_two_figures_of_the_noise():
    for noise in (0.5, 0.012, 0.0012, 0.00049):
        shown = words.fixed(noise, words.places(noise))
        assert float(shown) == pytest.approx(noise, rel=0.05)


def test_a_cut_name_keeps_both_ends_and_the_limit():
    name = "the beginning of a very long name and its end"
    cut = words.cut(name, 20)
    assert len(cut) <= 20 and cut.startswith("the beg") and cut.endswith("end")
    assert words.cut("short") == "short"
    assert words.cut("  ") == "(no name)"


def test_labels_in_an_expression_are_json_whatever_they_hold():
    labels = ['a"]; alert(1); ["', "</script>", "ü"]
    text = words.named(labels)
    assert json.loads(text.removesuffix("[datum.value]")) == labels
    assert text.isascii()

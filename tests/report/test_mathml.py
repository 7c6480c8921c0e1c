"""Formulas as MathML and cards as HTML: what a converter or CommonMark gets wrong is put right here."""

# ruff: noqa: RUF001  unicode signs are what is tested

import re
from xml.etree.ElementTree import fromstring

import pytest

from whichloss.report.mathml import math
from whichloss.report.typeset import html


def row(latex: str) -> list[tuple[str, str, dict[str, str]]]:
    """(tag, text, attributes) of the parts of a formula."""
    return [(each.tag, each.text or "", dict(each.attrib)) for each in fromstring(math(latex)).iter()][2:]


@pytest.mark.parametrize("latex", ["-x", "= -x", "(-x", ", -x", r"\to -x", r"\log -x"])
def test_a_minus_with_nothing_on_its_left_is_a_sign(latex):
    parts = row(latex)
    ((at, (_, _, attributes)),) = [(k, part) for k, part in enumerate(parts) if part[1] == "−"]
    before = [part for part in parts[:at] if part[0] == "mo"]
    assert attributes.get("form") == ("prefix" if before else None)  # first in its row it is one by itself


@pytest.mark.parametrize("latex", ["a - x", "(a) - x", "a_i - x", r"|a| - x", "a' - x"])
def test_a_minus_between_two_terms_takes_away(latex):
    assert [attributes for _, text, attributes in row(latex) if text == "−"] == [{}]


def test_bars_stand_close_and_are_of_one_size_unless_left_and_right_stretch_them():
    tight = {"lspace": "0", "rspace": "0"}
    assert [a for _, t, a in row(r"\lVert x \rVert_2") if t == "‖"] == [tight | {"stretchy": "false"}] * 2
    assert all(a["stretchy"] == "true" for _, t, a in row(r"\left| \frac{a}{b} \right|") if t == "|")
    assert [a["lspace"] for _, t, a in row(r"\partial L / \partial z") if t == "/"] == ["0"]
    assert [tag for tag, t, _ in row(r"\partial L") if t == "∂"] == ["mi"]


@pytest.mark.parametrize(
    ("latex", "says"),
    [
        (r"\mathbb{E}", "<mi>𝔼</mi>"),
        (r"\mathbb{R}", "<mi>ℝ</mi>"),
        (r"\mathcal{N}(0, I)", "<mi>𝒩</mi>"),
        (r"t \log p", '<mi>t</mi><mspace width="0.167em" /><mi>log</mi><mspace width="0.167em" /><mi>p</mi>'),
        (r"\log(p)", "<mi>log</mi><mo stretchy"),
        (r"\mathrm{logit}(p)", "logit"),
        (r"x \sim p", "<mo>∼</mo>"),
        (r"\operatorname{arg\,min}_x", "min"),
    ],
)
def test_letters_and_functions(latex, says):
    assert says in math(latex)


def test_what_a_minimum_ranges_over_goes_below_in_a_display_only():
    assert "<munder><mi>min</mi>" in math(r"\min_G x", display=True)
    assert "<munder>" not in math(r"\min_G x")


def test_a_display_right_below_prose_or_another_display_is_a_block():
    page = html("Then\n$$a = b$$\n$$c = d$$\nand\n| a | b |\n|---|---|\n| $x$ | 1 |\nend.")
    assert page.count('<div class="formula"') == page.count('display="block"') == 2
    assert page.count("<table") == 1 and "$" not in page
    assert re.findall(r"<p>(.*?)</p>", page) == ["Then", "and", "end."]


def test_bold_ends_before_a_korean_ending_and_may_hold_code_with_stars():
    assert "<strong><code>f(x)</code></strong>를" in html("**`f(x)`**를 쓴다")
    assert "<strong><code>p ** q</code> of</strong>" in html("**`p ** q` of** it")
    assert "2 ** 3" in html("2 ** 3")


def test_code_links_where_a_card_is_and_nothing_of_a_card_becomes_markup():
    page = html("`gan` and `<b>` and <img src=x>", lambda name: "gan.html" if name == "gan" else "")
    assert '<a href="gan.html"><code>gan</code></a>' in page
    assert "<code>&lt;b&gt;</code>" in page and "<img" not in page
    assert '<span class="py-k">assert</span>' in html("```python\nassert 1\n```")

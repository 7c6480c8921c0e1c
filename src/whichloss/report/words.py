"""Numbers and lists as a person would write them."""

import json
import math
from collections.abc import Sequence

NONE = "\u2013"  # what stands where there is no number
PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def figures(x: float | None, digits: int = 2) -> str:
    """A number of that many significant figures, never in powers of ten below 1e6: 0.0041, 12, 1,200"""
    if x is None or math.isnan(x):
        return NONE
    if math.isinf(x):
        return "∞" if x > 0 else "\u2212∞"
    if x == 0:
        return "0"
    if not 1e-5 <= abs(x) < 1e6:
        mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
        return minus(f"{mantissa} \u00d7 10{superscript(int(exponent))}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(x))))
    return minus(f"{x:,.{places}f}")


def fixed(x: float | None, places: int) -> str:
    """A number with that many decimals; a column of them aligns."""
    return NONE if x is None or not math.isfinite(x) else minus(f"{x:,.{places}f}")


def places(step: float) -> int:
    """Decimals that show two figures of a step: 0.0012 -> 4"""
    if not (math.isfinite(step) and step > 0):
        return 4
    return min(7, max(2, 1 - math.floor(math.log10(step))))


def minus(text: str) -> str:
    """With a true minus sign; no negative zero."""
    if text.startswith("-") and not text.strip("-0.,"):
        text = text[1:]
    return text.replace("-", "\u2212")


def superscript(number: int) -> str:
    """-12 -> ⁻¹²"""
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def flop(x: float | None, digits: int = 2) -> str:
    """Counted operations: 2e11 -> 200 GFLOP"""
    if x is None or not math.isfinite(x) or x < 0:
        return NONE
    size, prefix = next((p for p in PREFIXES if x >= p[0]), PREFIXES[-1])
    return f"{figures(x / size, digits)}\u00a0{prefix}FLOP"


def percent(share: float | None) -> str:
    """0.934 -> 93 %; 0.004 -> 0.4 %"""
    if share is None or not math.isfinite(share):
        return NONE
    per = 100 * share
    if 0 < per < 1:
        return f"{per:.1f}\u00a0%" if per >= 0.1 else "under 0.1\u00a0%"
    return f"{99 if 99.5 <= per < 100 else per:.0f}\u00a0%"


def hundredths(share: float | None) -> str:
    """0.9688 -> 96.9 %; a column of them aligns"""
    return NONE if share is None or not math.isfinite(share) else f"{100 * share:.1f}\u00a0%"


def duration(seconds: float | None) -> str:
    """252 -> 4 min 12 s"""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def listed(words: Sequence[str], last: str = "and") -> str:
    """a, b and c"""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def times(ratio: float) -> str:
    """How many times as many: 1.3, 2, 72"""
    return f"{ratio:,.0f}" if ratio >= 2 else figures(ratio)


def quoted(name: str) -> str:
    """A name for a list, in quotes where a comma or blanks at its ends would mislead."""
    return name if name and name == name.strip() and "," not in name else f"'{name}'"


def several(count: int, one: str, many: str = "") -> str:
    """1 run, 3 runs, no runs"""
    return f"{count:,} {one if count == 1 else many or one + 's'}" if count else f"no {many or one + 's'}"


def settings(values: object) -> str:
    """{"lr": 0.001} -> lr 0.001"""
    assert hasattr(values, "items")
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def cut(name: str, most: int = 26) -> str:
    """A long name, cut in the middle."""
    name = " ".join(name.split()) or "(no name)"
    return name if len(name) <= most else f"{name[: most - most // 3 - 1]}…{name[-(most // 3) :]}"


def named(labels: Sequence[str]) -> str:
    """A Vega expression from a number to its label; labels are JSON text and can be nothing else."""
    return f"{json.dumps(list(labels))}[datum.value]"

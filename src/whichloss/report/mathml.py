"""LaTeX formulas as MathML that a browser sets as a book would: letters, spaces around functions, limits below."""

# ruff: noqa: RUF001  the letters of other alphabets are meant

import re
from collections.abc import Mapping
from functools import lru_cache
from xml.etree.ElementTree import Element, fromstring, tostring

_NAMED = re.compile(r"\\(arg|Var|Cov|argmin|argmax|limsup|liminf)(?![A-Za-z])")
_VARIANT = re.compile(r'<(m[ion])( [^>]*?)?mathvariant="([a-z-]+)"([^>]*)>([^<]*)</\1>')
_LETTERS = {  # where the mathematical alphabets of unicode begin, by the first letter they stand for
    "bold": {"A": 0x1D400, "a": 0x1D41A, "0": 0x1D7CE, "Α": 0x1D6A8, "α": 0x1D6C2},
    "bold-italic": {"A": 0x1D468, "a": 0x1D482, "Α": 0x1D71C, "α": 0x1D736},
    "double-struck": {"A": 0x1D538, "a": 0x1D552, "0": 0x1D7D8},
    "script": {"A": 0x1D49C, "a": 0x1D4B6},
}
_LAST = {"A": "Z", "a": "z", "0": "9", "Α": "Ω", "α": "ω"}
_HOLES = dict(zip("ℂℍℕℙℚℝℤ", "\U0001d53a\U0001d53f\U0001d545\U0001d547\U0001d548\U0001d549\U0001d551", strict=True))
_HOLES |= {"ℬ": "\U0001d49d", "ℰ": "\U0001d4a0", "ℱ": "\U0001d4a1", "ℋ": "\U0001d4a3", "ℐ": "\U0001d4a4"}
_HOLES |= {"ℒ": "\U0001d4a7", "ℳ": "\U0001d4a8", "ℛ": "\U0001d4ad"}
_HOLE = str.maketrans({letter: real for real, letter in _HOLES.items()})


_SCRIPTED = ("msub", "msup", "msubsup", "munder")
_BELOW = ("min", "max", "sup", "inf", "lim", "argmin", "argmax")
_OPENING = frozenset("([{")
_AFTER = frozenset((")", "]", "}", ",", "=", "+", "−", "."))
_CLOSING = frozenset((")", "]", "}", "⟩", "!", "′", "|", "‖"))  # a minus after one of these takes away
_CLOSE = frozenset("/|‖")  # no space around these, and one size on both sides unless \\left says otherwise
_SIGNS = frozenset("−+±∓")
_LETTER = frozenset("∂∞")  # letters, not operations: no space around them
_THIN = "0.167em"


@lru_cache(maxsize=4096)
def math(latex: str, display: bool = False) -> str:
    """One formula as MathML."""
    from latex2mathml.converter import convert

    latex = _NAMED.sub(lambda found: rf"\operatorname{{{found[1]}}}", latex)
    latex = re.sub(r"\\operatorname\*?\{([^{}]*)\}", lambda found: r"\,".join(map(_operator, _words(found[1]))), latex)
    latex = re.sub(r"\\(?:mathrm|textrm|rm)\s*\{([A-Za-z -]+)\}", r"\\text{\1}", latex)
    latex = re.sub(r"\\[bB]igg?[lrm]?\s*\\([{}])", r"\\\1", latex)  # these the converter does not know
    text: str = convert(latex.strip(), display="block" if display else "inline")
    text = text.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "").replace(' display="inline"', "")
    text = re.sub(r"&#x0*([0-9A-F]+);", _sign, text)
    text = text.replace("<mi>~</mi>", "<mo>∼</mo>").replace("<mi>′</mi>", "<mo>′</mo>")
    tree = fromstring(_VARIANT.sub(_letters, text))
    for row in list(tree.iter()):
        _signs(row)
        _space(row, display)
    return tostring(tree, encoding="unicode")


def _signs(row: Element) -> None:
    """A minus that has nothing on its left is a sign, and stands close to what it negates; bars have no space."""
    operates = False  # does what stands before ask for something on its right?
    for child in row:
        if child.tag == "mo" and child.text in _LETTER:
            child.tag = "mi"
        elif child.tag == "mo" and child.text in _CLOSE:
            child.attrib |= {"lspace": "0", "rspace": "0"} | ({"stretchy": "false"} | child.attrib)
        elif child.tag == "mo" and child.text in _SIGNS and operates:
            child.set("form", "prefix")
        operates = child.tag == "mo" and child.text not in _CLOSING


def _space(row: Element, display: bool) -> None:
    """Thin spaces around the functions of a row, as in t log p; what max and the like range over goes below."""
    children = list(row)
    if row.tag not in ("mrow", "mtd", "math", "mstyle"):
        return
    for at, child in enumerate(children):
        base = child[0] if child.tag in _SCRIPTED else child
        if not _is_function(base):
            continue
        base.tag = "mi"
        if display and child.tag == "msub" and base.text in _BELOW:
            child.tag = "munder"
        place = list(row).index(child)
        if at + 1 < len(children) and (children[at + 1].text or "").strip() not in _OPENING | _AFTER:
            row.insert(place + 1, Element("mspace", width=_THIN))
        if at and (children[at - 1].tag != "mo" or children[at - 1].text in (")", "]", "}")):
            row.insert(place, Element("mspace", width=_THIN))


def _is_function(element: Element) -> bool:
    name = (element.text or "").strip()
    return element.tag in ("mi", "mo") and len(name) > 1 and name.isascii() and name.isalpha()


def _words(name: str) -> list[str]:
    return re.split(r"\\[,;: ]|\s+", name)


def _operator(name: str) -> str:
    return rf"\{name}" if name in ("min", "max", "sup", "inf", "lim") else rf"\operatorname{{{name}}}"


def _sign(found: re.Match[str]) -> str:
    sign = chr(int(found[1], 16))
    return found[0] if sign in '<>&"' else sign


def _letters(found: re.Match[str]) -> str:
    """Browsers follow no mathvariant but 'normal': the letters themselves say what they are."""
    tag, before, variant, after, text = found.groups()
    if variant not in _LETTERS:
        return found[0]
    attributes = f"{before or ''}{after}".rstrip()
    return f"<{tag}{attributes}>{''.join(_styled(c, _LETTERS[variant]) for c in text).translate(_HOLE)}</{tag}>"


def _styled(c: str, alphabets: Mapping[str, int]) -> str:
    return next((chr(base + ord(c) - ord(a)) for a, base in alphabets.items() if a <= c <= _LAST[a]), c)

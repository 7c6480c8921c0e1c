r"""LaTeX formulas as plain unicode text, lightly: \frac{a}{b} -> a/b, \mathbb{E}_{x} -> 𝔼ₓ, \sigma^2 -> σ²."""

# ruff: noqa: RUF001  unicode signs are the point of this file

import re
from unicodedata import normalize

_GREEK = (
    "alpha:α beta:β gamma:γ delta:δ epsilon:ε varepsilon:ε zeta:ζ eta:η theta:θ vartheta:ϑ iota:ι kappa:κ lambda:λ "
    "mu:μ nu:ν xi:ξ pi:π rho:ρ sigma:σ tau:τ phi:φ varphi:φ chi:χ psi:ψ omega:ω Gamma:Γ Delta:Δ Theta:Θ Lambda:Λ Xi:Ξ "
    "Pi:Π Sigma:Σ Phi:Φ Psi:Ψ Omega:Ω"
)
_SIGNS = (
    "le:≤ leq:≤ ge:≥ geq:≥ ne:≠ neq:≠ approx:≈ sim:~ simeq:≃ equiv:≡ propto:∝ ll:≪ gg:≫ pm:± mp:∓ times:× cdot:· "
    "circ:∘ div:÷ to:→ rightarrow:→ leftarrow:← gets:← mapsto:↦ Rightarrow:⇒ Leftrightarrow:⇔ iff:⇔ infty:∞ partial:∂ "
    "nabla:∇ sum:∑ prod:∏ int:∫ in:∈ notin:∉ subset:⊂ cup:∪ cap:∩ forall:∀ exists:∃ ldots:… dots:… cdots:⋯ Vert:‖ "
    "lVert:‖ rVert:‖ vert:| lvert:| rvert:| mid:| parallel:‖ langle:⟨ rangle:⟩ lfloor:⌊ rfloor:⌋ lceil:⌈ rceil:⌉ ell:ℓ "
    "top:⊤ dagger:† star:⋆ ast:* odot:⊙ oplus:⊕ otimes:⊗ quad:  qquad:  prime:′ colon:: setminus:∖ emptyset:∅ hbar:ℏ "
    "implies:⇒ impliedby:⇐ Leftarrow:⇐ longrightarrow:→ uparrow:↑ downarrow:↓ wedge:∧ vee:∨ lor:∨ land:∧ neg:¬ lnot:¬ "
    "perp:⊥ subseteq:⊆ supset:⊃ supseteq:⊇ succ:≻ prec:≺ succeq:⪰ preceq:⪯ cong:≅ iint:∬ oint:∮ lbrace:{ rbrace:} "
    "lbrack:[ rbrack:] bullet:• vdots:⋮ ddots:⋱ therefore:∴ checkmark:✓ lesssim:≲ gtrsim:≳ colon:: triangle:△ bot:⊥"
)
_SYMBOL = dict(pair.split(":", 1) for pair in f"{_GREEK} {_SIGNS}".split(" ") if ":" in pair)
_SYMBOL |= {"quad": "  ", "qquad": "    ", ",": " ", ";": " ", ":": " ", "!": "", " ": " ", "|": "‖", "{": "{"}
_SYMBOL |= {">": " ", "}": "}", "%": "%", "_": "_", "&": "&", "#": "#", "$": "$"}
_SYMBOL |= {name: f"\0{_SYMBOL[name]}" for name in ("rVert", "rvert", "rangle", "rfloor", "rceil")}  # no blank before
_BLACKBOARD = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ1", "𝔸𝔹ℂ𝔻𝔼𝔽𝔾ℍ𝕀𝕁𝕂𝕃𝕄ℕ𝕆ℙℚℝ𝕊𝕋𝕌𝕍𝕎𝕏𝕐ℤ𝟙", strict=True))
_SCRIPT = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "𝒜ℬ𝒞𝒟ℰℱ𝒢ℋℐ𝒥𝒦ℒℳ𝒩𝒪𝒫𝒬ℛ𝒮𝒯𝒰𝒱𝒲𝒳𝒴𝒵", strict=True))
_UP = dict(zip("0123456789+-=()niTk*", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵀᵏ*", strict=True))
_DOWN = dict(zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_ACCENT = {"hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304"}
_ACCENT |= {"overline": "\u0304", "dot": "\u0307", "ddot": "\u0308", "vec": "\u20d7"}
_RELATION = re.compile(r"([≤≥≠≈~≃≡∝≪≫→←↦⇒⇔∈∉⊂±×])")
# the blank that ends a command is no blank of the formula, unless an operator follows
_TOKEN = re.compile(r"\\([A-Za-z]+|.)(?:\s+(?![-+=/<>]))?|([{}^_])|(.)", re.DOTALL)
_PLAIN = ("text", "textrm", "textit", "mathrm", "mathbf", "boldsymbol", "bm", "operatorname", "mathsf", "mathit", "rm")
_DROPPED = (
    *("left", "right", "middle", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "bigg", "Bigg", "biggl", "biggr"),
    *("displaystyle", "textstyle", "limits", "nolimits", "mathstrut", "nonumber"),
)
_SPACED = (
    *("log", "exp", "min", "max", "sup", "inf", "arg", "argmin", "argmax", "sin", "cos", "tan", "tanh", "sinh"),
    *("cosh", "det", "Var", "Cov", "ln", "lim", "limsup", "liminf", "Pr", "deg", "ker"),
)
_FRACTIONS = ("frac", "tfrac", "dfrac")
_BRACES = ("underbrace", "overbrace")
_OVER = ("overset", "stackrel", "underset")
_ENVIRONMENTS = ("aligned", "align", "align*", "cases", "array", "matrix", "pmatrix", "bmatrix", "gathered")


def unicode(latex: str) -> str:
    """One formula as text; a command that is not known stays as its name."""
    latex = re.sub(r"\\begin\{array\}\{[^}]*\}|\\(?:begin|end)\{[^}]*\}", "", latex)
    latex = latex.replace("\\\\", "\n").replace("&", " ").replace(r"\operatorname*", r"\operatorname")
    text = re.sub(_RELATION, r" \1 ", "".join(_Reader(latex).group()))
    text = re.sub(r" +(?=[_^ ])| *\0", "", text)
    return normalize("NFC", text.strip())


def unknown(latex: str) -> list[str]:
    """The commands and environments of a formula that cannot be shown, sorted."""
    known = {*_SYMBOL, *_ACCENT, *_PLAIN, *_DROPPED, *_SPACED, *_FRACTIONS, *_BRACES, *_OVER}
    known |= {"sqrt", "binom", "mathbb", "mathcal", "begin", "end", "\\"}
    environments = re.findall(r"\\(?:begin|end)\{([^}]*)\}", latex)
    found = {command for command, _, _ in _TOKEN.findall(latex) if command} - known
    return sorted(found | (set(environments) - {*_ENVIRONMENTS}))


class _Reader:
    """Reads a formula from left to right; a group is what stands between braces."""

    def __init__(self, latex: str) -> None:
        self.tokens = [found.groups() for found in _TOKEN.finditer(latex)]
        self.at = 0

    def group(self) -> list[str]:
        """The parts up to the closing brace or the end."""
        parts: list[str] = []
        while self.at < len(self.tokens) and self.tokens[self.at][1] != "}":
            parts.append(self.part())
        self.at += 1
        return parts

    def part(self) -> str:
        """One command, braced group, script or letter."""
        command, mark, letter = self.tokens[self.at]
        self.at += 1
        if command:
            return self.command(command)
        if mark == "{":
            return "".join(self.group())
        if mark in ("^", "_"):
            return _script(self.argument(), _UP if mark == "^" else _DOWN, mark)
        return letter or ""

    def argument(self) -> str:
        """The argument of a command or script: a braced group, or the next part."""
        while self.at < len(self.tokens) and self.tokens[self.at][2] == " ":
            self.at += 1
        return self.part() if self.at < len(self.tokens) else ""

    def command(self, name: str) -> str:
        """What a command and its arguments become."""
        if name in _FRACTIONS:
            return f"{_bracketed(self.argument())}/{_bracketed(self.argument())} "
        if name == "sqrt":
            inner = self.argument()
            return f"√{inner}" if len(inner) == 1 else f"√({inner})"
        if name == "binom":
            return f"C({self.argument()}, {self.argument()})"
        if name in _BRACES:
            return self.argument()
        if name in _OVER:
            over, base = self.argument(), self.argument()
            return f"{base} ({over})"
        if name in ("mathbb", "mathcal"):
            table = _BLACKBOARD if name == "mathbb" else _SCRIPT
            return "".join(table.get(c, c) for c in self.argument())
        if name in _ACCENT:
            inner = self.argument()
            return inner + _ACCENT[name] if len(inner) == 1 else f"{name}({inner})"
        if name in _PLAIN:
            return self.argument()
        if name in _DROPPED:
            return ""
        return _SYMBOL.get(name, f"{name} " if name in _SPACED else name)


def _bracketed(text: str) -> str:
    return text if re.fullmatch(r"[\w√′²³ⁿₐ-ₜ\u0300-\u036f]+", text) else f"({text})"


def _script(text: str, table: dict[str, str], mark: str) -> str:
    squeezed = text.replace(" ", "")
    if squeezed == "⊤" and mark == "^":
        return "ᵀ"
    if squeezed and all(c in table for c in squeezed):
        return "".join(table[c] for c in squeezed)
    return f"{mark}{text}" if len(re.sub(r"[\u0300-\u036f]", "", squeezed)) == 1 else f"{mark}({text})"

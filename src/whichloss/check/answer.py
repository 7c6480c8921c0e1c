"""What a check found: plain data, as JSON or as one screen of text. Needs no torch."""

import textwrap
from typing import Any

import msgspec

EQUAL, DIFFERS = 0, 4
SAME = ("equal", "constant", "scale")


class Gradient(msgspec.Struct, frozen=True):
    """The gradient through one argument, yours and the formula's."""

    role: str
    yours: str
    formula: str


class Counterexample(msgspec.Struct, frozen=True):
    """The smallest input found at which the two differ."""

    inputs: dict[str, str]
    yours: str
    formula: str
    gradients: list[Gradient] = []


class Answer(msgspec.Struct, frozen=True):
    """Is it the loss? `verdict`: equal, constant, scale, variant, terms, gradient, different or broken."""

    loss: str
    function: str
    verdict: str
    says: str
    formula: str
    why: str = ""
    fix: str = ""
    variant: str = ""
    term: str = ""  # the term of the formula that disagrees
    factor: float | None = None
    constant: float | None = None
    options: dict[str, float] = {}
    arguments: list[str] = []
    checks: dict[str, str] = {}  # "holds", or what went wrong
    counterexample: Counterexample | None = None
    notes: list[str] = []
    card: str = ""
    seconds: float = 0.0

    @property
    def same(self) -> bool:
        """Equal, if need be up to a reduction, a positive factor or a constant."""
        return self.verdict in SAME

    @property
    def code(self) -> int:
        """What the command exits with."""
        return EQUAL if self.same else DIFFERS

    def __bool__(self) -> bool:
        return self.same

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def json(self) -> str:
        """All of it, for other programs."""
        return msgspec.json.format(msgspec.json.encode(msgspec.to_builtins(self) | {"same": self.same})).decode()

    def lines(self, width: int = 100) -> list[str]:
        """One screen."""
        mark = "equal" if self.verdict == "equal" else "same" if self.same else "DIFFERS"
        out = [f"{mark}: {self.function} as {self.loss}"]
        for name, text in self._rows():
            out += textwrap.wrap(text, width, initial_indent=f"  {name:<11}", subsequent_indent=" " * 13)
        return out

    def _rows(self) -> list[tuple[str, str]]:
        held = [name for name, says in self.checks.items() if says == "holds"]
        failed = [f"{name}: {says}" for name, says in self.checks.items() if says != "holds"]
        rows = [
            ("", self.says),
            ("formula", self.formula),
            ("term", self.term),
            ("why", self.why),
            ("fix", self.fix),
            *self._example(),
            ("arguments", "; ".join(self.arguments)),
            ("holds", "; ".join(held)),
            ("fails", "; ".join(failed)),
            *(("note", note) for note in self.notes),
            ("card", f"whichloss explain {self.card}" if self.card else ""),
        ]
        return [(name, text) for name, text in rows if text]

    def _example(self) -> list[tuple[str, str]]:
        if self.counterexample is None:
            return []
        c = self.counterexample
        return [
            ("at", ", ".join(f"{role} = {value}" for role, value in c.inputs.items())),
            ("value", f"yours {c.yours}, formula {c.formula}"),
            *(("gradient", f"through {g.role}: yours {g.yours}, formula {g.formula}") for g in c.gradients),
        ]


def numbers(values: Any, most: int = 8) -> str:
    """A tensor, nested list or number in few characters."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, list):
        shown = [numbers(v, most) for v in values[:most]]
        return f"[{', '.join(shown)}{', ...' if len(values) > most else ''}]"
    return f"{values + 0.0:.4g}" if isinstance(values, float) else str(values)  # + 0.0: no -0

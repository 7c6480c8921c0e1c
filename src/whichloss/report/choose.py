"""Tables that help to choose: what each objective, loss or sampler is good at, how it fails first, what it costs."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from .. import cards
from ..cards.terminal import aligned, fill, fitted
from ..errors import UserError

GOALS: Mapping[str, tuple[str, ...]] = MappingProxyType(  # goal -> the families of losses that serve it
    {
        "classify": ("Classification", "Noisy labels", "Long tail", "Multi-label", "Ordinal"),
        "embed": ("Contrastive",),
        "align": ("Contrastive",),
        "generate": (
            *("Adversarial", "Penalty", "Energy-based", "Diffusion"),
            *("Divergence", "Divergence of samples", "Transport"),
        ),
    }
)
FAMILIES = tuple(dict.fromkeys(family for families in GOALS.values() for family in families))
COST = "Cost: compute of a training step, where gan's is 1 x; and passes through a network per sample."
NARROW = 96  # a terminal below this has no room for a table of objectives
_OBJECTIVES = ("", "name", "what it is", "good at", "main failure", "cost")
_OTHERS = ("name", "good at", "main failure", "cost")


def objectives(goal: str, width: int) -> str:
    """The objectives of a goal. Raises UserError for an unknown goal."""
    from ..objectives import available, find
    from ..objectives.find import DEFAULTS
    from ..study.request import known_goal

    if goal in GOALS and goal != "generate":
        raise UserError(
            f"No objective of the goal '{goal}' is available in this version. Supported: generate (leave --goal out). "
            f"Its losses: `whichloss list --losses --goal {goal}`."
        )
    known_goal(goal)
    names = [name for name in available() if find(name).goal == goal]
    found = [cards.card(name) for name in names]
    marks = ["*" if name in DEFAULTS.get(goal, ()) else " " for name in names]
    if width < NARROW:
        lines = [line for mark, card in zip(marks, found, strict=True) for line in _paragraph(card, width, f"{mark} ")]
    else:
        rows = [(m, c.name, c.short or c.title, c.good, c.fails, c.cost) for m, c in zip(marks, found, strict=True)]
        lines = [*_shown(_table(_OBJECTIVES, rows), width, 2), ""]
    notes = (f"* compared by default; all with --objectives all. {COST}", _more("losses", "samplers", "ideas"))
    return "\n".join([*lines, *(line for note in notes for line in fill(note, width))])


def losses(goal: str | None, width: int) -> str:
    """The losses by family, those of a goal or all. Raises UserError for an unknown goal."""
    if goal is not None and goal not in GOALS:
        raise UserError(
            f"There is no goal '{goal}': losses are listed by {', '.join(GOALS)}; leave --goal out for all."
        )
    shown = FAMILIES if goal is None else GOALS[goal]
    found = [card for card in _all("loss") if card.family in shown or (goal is None and card.family not in FAMILIES)]
    families = sorted({card.family for card in found}, key=lambda f: (shown.index(f) if f in shown else 99, f))
    widths = fitted(_table(_OTHERS, map(_row, found)), width, 1)
    lines: list[str] = []
    for family in families:
        members = [card for card in found if card.family == family]
        if width < NARROW:
            rows = [line for card in members for line in _paragraph(card, width)][:-1]
        else:
            head, rule, *rows = aligned(_table(_OTHERS, map(_row, members)), width, widths)
            lines += [] if lines else [head, rule]
        lines += [family.upper(), *rows, ""]
    note = "Cost: 'one pass' reads the scores once; n, m: rows; d: dimensions. Several functions may share a card."
    return "\n".join([*lines, *fill(note, width), *fill(_more(), width)])


def samplers(width: int) -> str:
    """The samplers."""
    found = _all("sampler")
    if width < NARROW:
        lines = [line for card in found for line in _paragraph(card, width)]
    else:
        lines = [*_shown(_table(_OTHERS, map(_row, found)), width, 1), ""]
    return "\n".join([*lines, *fill(_more(), width)])


def ideas(width: int) -> str:
    """The ideas."""
    rows = _table(("name", "title", "in a sentence"), [(c.name, c.title, c.short) for c in _all("idea")])
    return "\n".join([*_shown(rows, width, 1), "", *fill(_more(), width)])


def _shown(rows: list[str], width: int, whole: int) -> list[str]:
    """A table whose first columns are never broken: names are there to be copied."""
    return list(aligned(rows, width, fitted(rows, width, whole)))


def _all(kind: str) -> list[cards.Card]:
    return [cards.card(name) for name in cards.names(kind)]


def _row(card: cards.Card) -> tuple[str, ...]:
    return card.name, card.good or card.title, card.fails, card.cost


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in (head, *rows)]


def _paragraph(card: cards.Card, width: int, mark: str = "") -> list[str]:
    """The same for a narrow terminal."""
    says = (("", card.short), ("good at: ", card.good), ("fails: ", card.fails), ("cost: ", card.cost))
    lines = [f"{mark}{card.name}"]
    for name, text in says:
        lines += ("    " + line for line in fill(name + text, width - 4, later=" " * len(name))) if text else ()
    return [*lines, ""]


def _more(*others: str) -> str:
    listed = f" `whichloss list` with {', '.join(f'--{other}' for other in others)} lists more." if others else ""
    return f"`whichloss explain NAME` shows a card; NAME may be a function.{listed}"

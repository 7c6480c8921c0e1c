"""Tables that help to choose: what each objective, loss or sampler is good at, how it fails first, what it costs."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from .. import cards
from ..cards.terminal import aligned, fill, fitted
from ..errors import UserError
from ..task import Labels, Task

GOALS: Mapping[str, tuple[str, ...]] = MappingProxyType(  # goal -> the families of losses that serve it
    {
        "classify": ("Classification", "Noisy labels", "Long tail", "Multi-label", "Ordinal"),
        "embed": ("Contrastive",),
        "align": ("Contrastive",),
        "generate": (
            *("Adversarial", "Penalty", "Energy-based", "Flow", "Diffusion"),
            *("Divergence", "Divergence of samples", "Transport"),
        ),
    }
)
FAMILIES = tuple(dict.fromkeys(family for families in GOALS.values() for family in families))
COST = "Cost: compute of a training step, where gan's is 1 x; and passes through a network per sample."
OF_ROWS = "Cost: compute of a training step with classes, where pair-contrastive's is 1 x; and passes to embed a row."
NARROW = 96  # a terminal below this has no room for a table of objectives
_SAME = "A step costs the same for all: one network, one pass."
_OBJECTIVES = ("", "name", "what it is", "good at", "main failure", "cost")
_CLASSIFIERS = _OBJECTIVES[:-1]
_OTHERS = ("name", "good at", "main failure", "cost")


def objectives(goal: str, width: int) -> str:
    """The objectives of a goal. Raises UserError for an unknown goal."""
    from ..objectives import available
    from ..objectives.find import DEFAULTS
    from ..study.request import known_goal

    names = available(goal)
    known_goal(goal)
    marks = {name: "*" if name in DEFAULTS.get(goal, ()) else " " for name in names}
    found = [cards.card(name) for name in names]
    if goal == "classify":
        found = [replace(card, cost="") for card in found]  # one network each: they cost the same
        lines = _by_family(found, GOALS[goal], _CLASSIFIERS, width, marks)
        says = f"{_labels(names)} {_SAME}"
    else:
        lines = _shown(_table(_OBJECTIVES, (_row(card, _OBJECTIVES, marks) for card in found)), width, 2)
        lines = [*lines, ""] if width >= NARROW else _paragraphs(found, width, marks)
        says = f"{COST} For labelled rows: `whichloss list --goal classify`." if goal == "generate" else OF_ROWS
    notes = (f"* compared by default; all with --objectives all. {says}", _more("losses", "samplers", "ideas"))
    return "\n".join([*lines, *(line for note in notes for line in fill(note, width))])


def _labels(names: Iterable[str]) -> str:
    """Which objectives take several labels a row, and which want classes in an order, as they say themselves."""
    from ..objectives import find

    def taking(kind: Labels) -> list[str]:
        return [name for name in names if find(name)().unfit(Task("classify", 1, 1, 3, kind)) is None]

    ordered = ", ".join(sorted({*taking("ordered")} - {*taking("one")}))
    several = ", ".join(taking("several"))
    return f"Several labels a row: {several}. One label a row: all, {ordered} only where the classes have an order."


def losses(goal: str | None, width: int) -> str:
    """The losses by family, those of a goal or all. Raises UserError for an unknown goal."""
    if goal is not None and goal not in GOALS:
        raise UserError(
            f"There is no goal '{goal}': losses are listed by {', '.join(GOALS)}; leave --goal out for all."
        )
    shown = FAMILIES if goal is None else GOALS[goal]
    found = [card for card in _all("loss") if card.family in shown or (goal is None and card.family not in FAMILIES)]
    families = sorted({card.family for card in found}, key=lambda f: (shown.index(f) if f in shown else 99, f))
    lines = _by_family(found, families, _OTHERS, width)
    note = "Cost: 'one pass' reads the scores once; n, m: rows; d: dimensions. Several functions may share a card."
    return "\n".join([*lines, *fill(note, width), *fill(_more(), width)])


def samplers(width: int) -> str:
    """The samplers."""
    found = _all("sampler")
    table = [*_shown(_table(_OTHERS, map(_row, found)), width, 1), ""]
    lines = table if width >= NARROW else _paragraphs(found, width)
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


def _by_family(
    found: Iterable[cards.Card],
    families: Iterable[str],
    head: tuple[str, ...],
    width: int,
    marks: Mapping[str, str] = {},
) -> list[str]:
    """One table in parts, a family each; paragraphs where the terminal is narrow."""
    found = list(found)
    widths = fitted(_table(head, (_row(card, head, marks) for card in found)), width, head.index("name") + 1)
    lines: list[str] = []
    for family in families:
        members = [card for card in found if card.family == family]
        if not members:
            continue
        if width < NARROW:
            rows = _paragraphs(members, width, marks)[:-1]
        else:
            table = _table(head, (_row(card, head, marks) for card in members))
            names, rule, *rows = aligned(table, width, widths)
            lines += [] if lines else [names, rule]
        lines += [family.upper(), *rows, ""]
    return lines


def _row(card: cards.Card, head: tuple[str, ...] = _OTHERS, marks: Mapping[str, str] = {}) -> tuple[str, ...]:
    cell = {
        "": marks.get(card.name, ""),
        "name": card.name,
        "what it is": card.short or card.title,
        "good at": card.good or card.title,
        "main failure": card.fails,
        "cost": card.cost,
    }
    return tuple(cell[column] for column in head)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in (head, *rows)]


def _paragraphs(found: Iterable[cards.Card], width: int, marks: Mapping[str, str] = {}) -> list[str]:
    """The same for a narrow terminal."""
    lines: list[str] = []
    for card in found:
        says = (("", card.short), ("good at: ", card.good), ("fails: ", card.fails), ("cost: ", card.cost))
        lines += [f"{marks[card.name]} {card.name}" if marks else card.name]
        for name, text in says:
            lines += ("    " + line for line in fill(name + text, width - 4, later=" " * len(name))) if text else ()
        lines += [""]
    return lines


def _more(*others: str) -> str:
    listed = f" `whichloss list` with {', '.join(f'--{other}' for other in others)} lists more." if others else ""
    return f"`whichloss explain NAME` shows a card; NAME may be a function.{listed}"

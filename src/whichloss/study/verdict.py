"""Three verdicts from the one interval: better, practically equivalent, undecided.

The leader is the finalist with the best mean on the fresh seeds, and its two-sided interval must
exclude 0 against every other. With two equal finalists the chance of a winner is then 1 - level
whoever leads, and with more it is smaller, so choosing the leader on the same seeds costs nothing
(simulated in benchmarks/aa_simulated.py).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from whichloss.errors import UserError
from whichloss.study.rank import Difference, Scores, difference, rows_for, seeds_for

Kind = Literal["better", "practically equivalent", "undecided"]
SAME_COST = 1.1  # costs within 10 % of the lowest count as equal
OVERLAP_ENDS = 2000  # rows from which each seed's split is drawn afresh, without folds
ROUNDING = 1e-12  # below it a score is 0


@dataclass(frozen=True)
class Verdict:
    """What may be said. `tied`: the leader and all its interval does not part from it, best first.

    seeds_needed: per finalist and in all, to decide four times in five if the differences stay as
    they are; None when decided, or when no number of seeds would do. rows_needed: then about how
    many test rows would.
    """

    kind: Kind
    leader: str
    recommended: str
    tied: tuple[str, ...]
    sentence: str
    reason: str
    seeds_needed: int | None
    letters: dict[str, str]
    differences: tuple[Difference, ...]
    rows_needed: int | None = None


def judge(
    finalists: Sequence[Scores], *, rope: float, overlap: float, level: float = 0.95, promise: bool = True
) -> Verdict:
    """The verdict on one or more finalists, in whatever order.

    better: the leader's interval excludes 0 against every other finalist.
    practically equivalent: all that it does not part from the leader have it inside [-rope, rope].
    undecided: anything else, and a single finalist, which was compared with nothing.
    rope: standard deviation of the metric, real rows against real. promise: say what would decide,
    which nothing does where there is nothing to learn. UserError if not paired.
    """
    if not (math.isfinite(rope) and rope >= 0):
        raise UserError(f"rope is {rope}; give the real-against-real standard deviation, >= 0.")
    given = [s.name for s in finalists]
    if not given or len(set(given)) < len(given):
        raise UserError(f"finalists are {given}; give at least one, each name once.")
    ranked = sorted(finalists, key=lambda s: (s.mean, s.name))
    pairs = tuple(difference(a, b, overlap=overlap, level=level) for a, b in combinations(ranked, 2))
    leader = ranked[0]
    against = [d for d in pairs if d.a == leader.name]
    ties = [d for d in against if not d.apart]
    unsettled = [d for d in ties if not d.within(rope)]
    kind: Kind = "undecided" if unsettled or not pairs else "better"
    kind = "practically equivalent" if ties and not unsettled else kind
    tied = (leader.name, *(d.b for d in ties))
    seeds, rows = needed(unsettled, rope) if promise else (None, None)
    sentence = say(kind, leader, against, rope)
    if unsettled and promise:
        sentence += " " + say_needed(seeds, rows, unsettled[0].rows, overlap > 0)
    best, reason = recommend(ranked, tied, pairs, kind)
    marks = letters(ranked, pairs)
    return Verdict(kind, leader.name, best, tied, sentence, reason, seeds, marks, pairs, rows_needed=rows)


def needed(unsettled: Sequence[Difference], rope: float) -> tuple[int | None, int | None]:
    """Seeds that settle every difference, the easier way each: apart from 0, or inside the rope.

    If no number of seeds settles some of them: None, and about the test rows that those want.
    """
    ways = [(abs(d.mean), rope - abs(d.mean)) for d in unsettled]
    seeds = [least(seeds_for(d, gap) for gap in w) for d, w in zip(unsettled, ways, strict=True)]
    enough = [n for n in seeds if n is not None]
    if len(enough) == len(seeds):
        return max(enough, default=None), None
    stuck = [(d, w) for d, w, n in zip(unsettled, ways, seeds, strict=True) if n is None]
    rows = [least(rows_for(d, gap) for gap in w) for d, w in stuck]
    return None, max((n for n in rows if n is not None), default=None)


def least(numbers: Iterable[int | None]) -> int | None:
    """The smallest of those that are numbers."""
    return min((n for n in numbers if n is not None), default=None)


def letters(ranked: Sequence[Scores], pairs: Sequence[Difference]) -> dict[str, str]:
    """Compact letter display: two share a letter exactly if their interval does not part them.

    One letter per maximal group in which no two are apart; the leader has an 'a'.
    """
    parted = {frozenset((d.a, d.b)) for d in pairs if d.apart}

    def alike(name: str, others: Sequence[str]) -> list[str]:
        return [other for other in others if frozenset((name, other)) not in parted]

    def groups(group: list[str], rest: list[str], done: list[str]) -> Iterator[list[str]]:
        if not rest and not done:  # maximal cliques (Bron & Kerbosch, 1973)
            yield group
        while rest:
            name, *rest = rest
            yield from groups([*group, name], alike(name, rest), alike(name, done))
            done = [*done, name]

    marks = {s.name: "" for s in ranked}
    for number, group in enumerate(groups([], list(marks), [])):
        for name in group:
            marks[name] += chr(ord("a") + number)
    return marks


def recommend(
    ranked: Sequence[Scores], tied: Sequence[str], pairs: Sequence[Difference], kind: Kind
) -> tuple[str, str]:
    """One name and why: in the tie fewest failures, then cheapest use, then training.

    Whoever is clearly worse than another member of the tie is no candidate, whatever it costs.
    """
    worse = {d.b for d in pairs if d.apart and d.a in tied and d.b in tied}
    rest = [s for s in ranked if s.name in tied and s.name not in worse]
    if len(rest) == 1:
        why = f"it is better than {names(ranked[1:])}" if pairs else "it is the only finalist"
        return rest[0].name, f"We recommend {rest[0].name} because {why}."
    group = "the two" if len(rest) == 2 else names(rest)
    beaten = []
    for cost, slack, phrase in RULES:
        limit = slack * min(map(cost, rest))
        beaten.append((phrase, [s for s in rest if cost(s) > limit]))
        rest = [s for s in rest if cost(s) <= limit]
    best = rest[0]
    reasons = [phrase(best, others) for phrase, others in beaten if others]
    if len(rest) > 1:
        reasons.append(f"where costs are equal ({names(rest)}) {say_last(best, rest)}")
    tie = f"{group} are {kind}" if kind == "practically equivalent" else f"we cannot tell {group} apart"
    why = f"{listed(reasons)}; {tie}"
    return best.name, f"We recommend {best.name} because {why}."


def say_last(best: Scores, rest: Sequence[Scores]) -> str:
    """its mean score is the lowest"""
    alone = best.mean < min(s.mean for s in rest if s is not best)
    return "its mean score is the lowest" if alone else "scores are too, and it is first by name"


def say_failures(best: Scores, others: Sequence[Scores]) -> str:
    """it failed in 0 of 16 runs (gan in 3)"""
    counts = listed([f"{s.name} in {s.failures}" for s in others])
    return f"it failed in {best.failures} of {len(best.values)} runs ({counts})"


def say_use(best: Scores, others: Sequence[Scores]) -> str:
    """it is 12 times cheaper to use than ddpm"""
    return f"it is {cheaper('use', best.use_cost, [s.use_cost for s in others], others)}"


def say_training(best: Scores, others: Sequence[Scores]) -> str:
    """it is 30 % cheaper to train than ddpm"""
    return f"it is {cheaper('train', best.training_cost, [s.training_cost for s in others], others)}"


def cheaper(what: str, cost: float, costs: Sequence[float], others: Sequence[Scores]) -> str:
    """How many times, or by what share, `cost` lies below the lowest of the others' costs."""
    if cost == 0:
        return f"free to {what}, unlike {names(others)}"
    ratio = min(costs) / cost
    much = f"{100 * (1 - 1 / ratio):.0f} %"
    if ratio >= 2:
        much = f"{ratio:.{0 if ratio >= 9.95 else 1}f} times"
    return f"{'at least ' * (len(others) > 1)}{much} cheaper to {what} than {names(others)}"


Rule = tuple[Callable[[Scores], float], float, Callable[[Scores, Sequence[Scores]], str]]
RULES: tuple[Rule, ...] = (
    (lambda s: s.failures, 1.0, say_failures),
    (lambda s: s.use_cost, SAME_COST, say_use),
    (lambda s: s.training_cost, SAME_COST, say_training),
)


def say(kind: Kind, leader: Scores, against: Sequence[Difference], rope: float) -> str:
    """The verdict in words, with every difference from the leader and its interval."""
    if not against:
        return f"{leader.name} is the only finalist, so it was compared with nothing."
    worse = [d.b for d in against if d.apart]
    group = listed([leader.name, *(d.b for d in against if not d.apart)])
    facts = f"On {len(leader.values)} fresh seeds {listed([fact(d) for d in against], '; ')}."
    noise = f"the noise of the score at this number of rows ({figures(rope)})"
    if kind == "better":
        small = all(d.within(rope) for d in against)
        end = f" This is clear, but smaller than {noise}: it may not matter in practice."
        return f"{leader.name} is better than {listed(worse)}. {facts}{end * small}"
    behind = f" {leader.name} is better than {listed(worse)}." if worse else ""
    if kind == "practically equivalent":
        ties = [d.b for d in against if not d.apart]
        lie, s = ("lie", "s") if len(ties) > 1 else ("lies", "")
        end = f"The interval{s} of {listed(ties)} against {leader.name} {lie} within {noise}."
        return f"{group} are practically equivalent.{behind} {facts} {end}"
    return f"We cannot tell {group} apart.{behind} {facts}"


def fact(d: Difference) -> str:
    """gan scores 0.012 worse than ddpm (95 % interval 0.004 to 0.02, worse on 14 of 16 seeds)"""
    if d.low == d.high == 0:
        return f"{d.b} scores the same as {d.a}"
    sure = f"{100 * d.level:g} % interval {figures(-d.high)} to {figures(-d.low)}"
    return f"{d.b} scores {figures(-d.mean)} worse than {d.a} ({sure}, worse on {d.wins} of {d.seeds} seeds)"


def figures(x: float, digits: int = 2) -> str:
    """Two figures, or as many: 0.10, -0.0041, 12; what is only rounding is 0"""
    return f"{0.0 if abs(x) < ROUNDING else x:#.{digits}g}".removesuffix(".")


def say_needed(seeds: int | None, rows: int | None, there: int, folds: bool) -> str:
    """What would decide: seeds, or rows where seeds cannot. there: test rows; folds: splits share rows."""
    stay = "if the differences stay as they are"
    if seeds is not None:
        return f"About {rounded(seeds)} seeds each (--seeds) would probably decide, {stay}."
    if rows is None:
        return "What would decide cannot be computed from these scores."
    wants = []
    if folds:
        wants.append(f"at least {OVERLAP_ENDS:,} rows in all, so that splits are drawn afresh")
    if rows > there:
        wants.append(f"about {rounded(rows)} test rows (there are {there:,})")
    return f"More rows, not more seeds, would decide: {listed(wants)}, {stay}."


def rounded(number: int) -> str:
    """Two figures, upwards: an estimate of this kind deserves no more."""
    step = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // step) * step:,}"


def names(scores: Sequence[Scores]) -> str:
    """a, b and c"""
    return listed([s.name for s in scores])


def listed(words: Sequence[str], comma: str = ", ") -> str:
    """a, b and c"""
    return " and ".join([comma.join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]

"""A finished run as the doctor sees it: its curves and its outcome."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from .say import Say

Curve = Sequence[float | None]


@dataclass(frozen=True)
class Outcome:
    """How one run ended. Scores: lower is better; None = not measured."""

    score: float
    baseline: float  # the best simple model's score
    noise: float  # standard deviation of the score of real rows
    failed: bool = False
    why_failed: str = ""
    spread_ratio: float | None = None  # total standard deviation of samples / of real rows
    coverage: float | None = None
    real_coverage: float | None = None
    precision: float | None = None
    share_difference: float | None = None  # total variation distance to the real rows' shares of well separated groups
    real_share_difference: float | None = None
    least_share: float | None = None  # of the groups: least share of the samples / of the real rows
    copies_p: float | None = None
    loss_skill: float | None = None
    level_skills: tuple[float, ...] = ()  # 1 - loss / trivial loss at little, middle and much noise
    collapse: float | None = None  # the loss where all embeddings are equal
    least: float | None = None  # the least that any embeddings reach
    directions: float | None = None  # that embeddings should use
    effective_rank: float | None = None  # of the embeddings of judging rows
    training_accuracy: float | None = None  # balanced over classes, as `accuracy` is
    accuracy: float | None = None
    guessed: float | None = None  # the accuracy that guesses seldom exceed; None where labels do depend on columns
    quarter_scores: tuple[float | None, ...] = ()  # validation scores at 25, 50, 75 and 100 % of the budget

    @property
    def bad(self) -> bool:
        """Clearly worse than the simple baseline, or failed."""
        return self.failed or not self.score <= self.baseline + 2 * self.noise

    @property
    def misweighted(self) -> bool:
        """Are all groups of the data there, with shares that chance does not explain?"""
        if self.share_difference is None or self.real_share_difference is None or self.least_share is None:
            return False
        return self.share_difference > 2 * self.real_share_difference + 0.06 and self.least_share >= 0.1


@dataclass(frozen=True)
class Record:
    """What a rule looks at."""

    say: Say
    curves: Mapping[str, Curve]
    outcome: Outcome

    def late(self, word: str, share: float = 0.5) -> dict[str, float]:
        """name -> median over the last `share` of the run, of the curves whose name contains a word."""
        tails = {n: numbers(c[-max(1, round(share * len(c))) :]) for n, c in self.curves.items() if word in n}
        return {name: median(tail) for name, tail in tails.items() if tail}


def numbers(curve: Curve) -> list[float]:
    """The points of a curve that are finite numbers."""
    return [v for v in curve if v is not None and math.isfinite(v)]

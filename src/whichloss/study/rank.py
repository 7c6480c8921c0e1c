"""The one interval of a study: two objectives' difference, paired over seeds and over test rows.

    d_s = a_s - b_s                        lower scores are better: d < 0 favours a
    Var(mean d) = (1/n + overlap) s_d^2 + Var_j((i_a - i_b)_j) / m

The first term is what other seeds would change, corrected for overlapping training sets (Nadeau
& Bengio, 2003); the second is what another test split would change, by the influence i_j of each
test row on a score. A mean of row losses l_j has i_j = l_j - mean. MMD^2 depends on the test rows
y_j through -2 mean_j w_j and a term in y alone, which both share and which cancels, so i_j = -2 w_j
is exact. Other scores are linearised (metrics/labels.py).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from whichloss.errors import UserError

POWER = 0.8  # a gap or a number of seeds is promised to be enough four times in five
ROUNDING = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Scores:
    """One finalist on the same fresh seeds and test rows as every other; lower is better.

    values: (n,) the score on the test split, one per seed; the baseline's score for a failed run.
    influence: (m,) mean over seeds of what each test row adds, up to a constant, the baseline's likewise.
    Costs are floating-point operations. UserError for numbers that cannot be ranked.
    """

    name: str
    values: tuple[float, ...]
    influence: NDArray[np.float64]
    failures: int
    use_cost: float
    training_cost: float

    def __post_init__(self) -> None:
        where = f"finalist '{self.name}'"
        finite(self.values, f"{where}, score of seed")
        if self.influence.ndim != 1 or self.influence.size < 2 or not np.isfinite(self.influence).all():
            raise UserError(
                f"{where}: the influence must be one finite number per test row, at least 2; found "
                f"shape {self.influence.shape}, {(~np.isfinite(self.influence)).sum()} not finite."
            )
        if not 0 <= self.failures <= len(self.values):
            raise UserError(f"{where}: {self.failures} failures among {len(self.values)} runs.")
        for what, cost in (("use", self.use_cost), ("training", self.training_cost)):
            if not (math.isfinite(cost) and cost >= 0):
                raise UserError(f"{where}: the {what} cost is {cost}; give counted operations.")

    @property
    def mean(self) -> float:
        """The mean score over seeds."""
        return float(np.mean(self.values))


@dataclass(frozen=True)
class Difference:
    """a minus b: negative means a is better. `probability`: that a beats b on a new seed."""

    a: str
    b: str
    mean: float
    low: float
    high: float
    seed_variance: float  # s_d^2 of one paired difference
    test_variance: float  # of the mean, from the m test rows
    seeds: int
    wins: int  # seeds on which a is strictly better
    probability: float
    probability_low: float
    probability_high: float
    rows: int
    overlap: float
    level: float

    @property
    def apart(self) -> bool:
        """The interval excludes 0; one of no width is no evidence, as no spread was seen."""
        return self.low < self.high and (self.low > 0 or self.high < 0)

    def within(self, rope: float) -> bool:
        """The whole interval lies inside [-rope, rope]."""
        return -rope <= self.low and self.high <= rope


def finite(values: Sequence[float], where: str) -> None:
    """Refuse no values and values that are not finite; `where` ends in the position's word."""
    if not values:
        raise UserError(f"{where}: there are none; run at least one seed.")
    for position, value in enumerate(values):
        if not math.isfinite(value):
            raise UserError(f"{where} {position} is {value}; a failed run enters at the baseline's score.")


def difference(a: Scores, b: Scores, *, overlap: float, level: float = 0.95) -> Difference:
    """The paired difference of two finalists with its two-sided t interval.

        V = V_s + V_t,   V_s = (1/n + overlap) s_d^2,   V_t = Var_j((i_a - i_b)_j) / m
        mean d ± t_{(1 + level)/2, df} sqrt(V),   df = V^2 / (V_s^2 / (n - 1) + V_t^2 / (m - 1))

    Seeds and test rows are independent sources of error. Each variance is estimated with its own
    n - 1 or m - 1 degrees of freedom, and a sum of scaled chi-squares is matched in its first two
    moments by one with df degrees (Satterthwaite, 1946); min(n, m) - 1 <= df <= n + m - 2. Seeds
    alone give the paired t test (Nadeau-Bengio's with overlap), test rows alone one over rows.

    overlap: 0 for fresh random splits, n_validation / n_train for folds. UserError unless both
    have the same n >= 2 seeds and the same m test rows.

    Limits, simulated: seed noise left in the mean influence enters both parts, so that equal
    objectives are covered in 98 % at m = 100 (more rows: nearer 95 %). Where one of two fails on
    20 % of seeds, d is skewed and 95 % becomes 90, 94, 94 % at n = 8, 16, 24 if failing costs 6
    standard deviations of a run, 83, 91, 93 % if it costs 20.
    """
    check_settings(overlap, level)
    check_pair(a, b)
    x, y = np.asarray(a.values), np.asarray(b.values)
    n, m = x.size, a.influence.size
    wins, equal = int((x < y).sum()), int((x == y).sum())
    mean = float(np.mean(x - y))
    seed_variance = paired_variance(x, y)
    test_variance = paired_variance(a.influence, b.influence) / m
    error, freedom = standard_error(seed_variance, test_variance, n, m, overlap)
    half = quantile((1 + level) / 2, freedom) * error
    probability, effective = (wins + equal / 2) / n, 1 / (1 / n + overlap)
    likely = wilson(probability * effective, effective, level)
    return Difference(
        a.name, b.name, mean, mean - half, mean + half, seed_variance, test_variance, n, wins,
        probability, *likely, rows=m, overlap=overlap, level=level,
    )  # fmt: skip


def check_settings(overlap: float, level: float) -> None:
    """Refuse an overlap that is not >= 0 and finite, and a level outside (0, 1)."""
    if not (math.isfinite(overlap) and overlap >= 0):
        raise UserError(f"overlap is {overlap}; give n_validation / n_train, 0 for fresh splits.")
    if not 0 < level < 1:
        raise UserError(f"level is {level}; give a number between 0 and 1, usually 0.95.")


def check_pair(a: Scores, b: Scores) -> None:
    """Refuse scores that are not paired, and a single seed."""
    pair = f"finalists '{a.name}' and '{b.name}'"
    if len(a.values) != len(b.values) or a.influence.size != b.influence.size:
        raise UserError(
            f"{pair} are not paired: {len(a.values)} and {len(b.values)} seeds, {a.influence.size} "
            f"and {b.influence.size} test rows; score both on the same seeds and test rows."
        )
    if len(a.values) < 2:
        raise UserError(f"{pair} have 1 seed; an interval needs at least 2.")


def paired_variance(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The sample variance of x - y; 0 where all that varies is the rounding of the subtraction."""
    variance = float(np.var(x - y, ddof=1))
    rounding = ROUNDING * float(max(np.abs(x).max(), np.abs(y).max()))
    return variance if variance > rounding**2 else 0.0


def standard_error(
    seed_variance: float, test_variance: float, seeds: float, rows: float, overlap: float
) -> tuple[float, float]:
    """sqrt(V) and the degrees of freedom of V, as in `difference`; `seeds` may be infinite."""
    seed_part = (1 / seeds + overlap) * seed_variance
    total = seed_part + test_variance
    if total == 0:
        return 0.0, seeds - 1
    shares = (seed_part / total) ** 2 / (seeds - 1) + (test_variance / total) ** 2 / (rows - 1)
    return math.sqrt(total), 1 / shares if shares > 0 else math.inf


def quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t; of the normal for infinite degrees of freedom."""
    return float(stdtrit(freedom, probability) if math.isfinite(freedom) else ndtri(probability))


def interval(values: Sequence[float], overlap: float, level: float = 0.95) -> tuple[float, float, float]:
    """mean, low, high of one objective over seeds: mean ± t_{n-1} sqrt((1/n + overlap) s^2).

    On this test split; a claim about two objectives needs `difference`. UserError for 1 value.
    """
    check_settings(overlap, level)
    finite(values, "score of seed")
    if len(values) < 2:
        raise UserError("1 score was given; an interval needs at least 2 seeds.")
    x = np.asarray(values, dtype=np.float64)
    variance = paired_variance(x, np.zeros_like(x))
    error, freedom = standard_error(variance, 0.0, x.size, 2, overlap)
    mean, half = float(x.mean()), quantile((1 + level) / 2, freedom) * error
    return mean, mean - half, mean + half


def wilson(k: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) interval of a share k/n; k and n may be fractions (an effective number)."""
    if not (n > 0 and 0 <= k <= n * (1 + ROUNDING)):
        raise UserError(f"{k} of {n} is no share; give 0 <= k <= n and n > 0.")
    z2, p = float(ndtri((1 + level) / 2)) ** 2, min(k / n, 1.0)
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return (0.0 if p == 0 else centre - half), (1.0 if p == 1 else centre + half)


def smallest_gap(d: Difference, *, seeds: float | None = None, power: float = POWER) -> float:
    """The smallest true difference whose interval excludes 0 in a share `power` of such studies.

        gap = (t_{(1 + level)/2, df} + t_{power, df}) sqrt(V(n))

    seeds: another n than the one observed; may be infinite, which leaves what seeds cannot remove.
    """
    n = d.seeds if seeds is None else seeds
    error, freedom = standard_error(d.seed_variance, d.test_variance, n, d.rows, d.overlap)
    return (quantile((1 + d.level) / 2, freedom) + quantile(power, freedom)) * error


def seeds_for(d: Difference, gap: float, power: float = POWER) -> int | None:
    """The number of seeds that bring `smallest_gap` to `gap`; None if no number can be named."""
    if gap <= smallest_gap(d, seeds=math.inf, power=power) or smallest_gap(d) == 0:
        return None
    low, high = 1, 2
    while smallest_gap(d, seeds=high, power=power) > gap:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if smallest_gap(d, seeds=middle, power=power) > gap:
            low = middle
        else:
            high = middle
    return high


def rows_for(d: Difference, gap: float, power: float = POWER) -> int | None:
    """About how many test rows leave to the seeds half of the variance that `gap` allows.

    Without overlap of the splits, and at least the rows there are; None if no number can be named.
    """
    if gap <= 0 or smallest_gap(d) == 0:
        return None
    limit = smallest_gap(replace(d, overlap=0.0), seeds=math.inf, power=power)
    return max(d.rows, math.ceil(2 * d.rows * (limit / gap) ** 2))


def finalists(screen: Mapping[str, Sequence[float]], most: int) -> tuple[str, ...]:
    """The best `most` objectives by mean screen score, best first; equal means go by name.

    screen: name -> scores, the baseline's for failed runs; UserError unless as many for each.
    """
    if most < 1 or not screen:
        raise UserError(f"{most} finalists of {len(screen)} objectives: at least 1 of each.")
    for name, values in screen.items():
        finite(values, f"screen of '{name}', score of seed")
    if len({len(values) for values in screen.values()}) > 1:
        counts = ", ".join(f"{name} {len(values)}" for name, values in screen.items())
        raise UserError(f"the screen's numbers of seeds differ: {counts}; run as many for each.")
    return tuple(sorted(screen, key=lambda name: (float(np.mean(screen[name])), name))[:most])


def skill(score: float, baseline: float, ceiling: float, noise: float) -> float | None:
    """(baseline - score) / (baseline - ceiling): 0 at the best baseline, 1 at the ceiling.

    Not bounded by either. None where the baseline already lies within `noise` of the ceiling.
    """
    finite((score, baseline, ceiling, noise), "skill of (score, baseline, ceiling, noise), number")
    room = baseline - ceiling
    return (baseline - score) / room if room > max(noise, 0.0) else None


def audit(objective: Scores, twin: Scores, overlap: float) -> bool:
    """An objective against its twin ties, as it must; by chance 5 % of sound audits do not."""
    return not difference(objective, twin, overlap=overlap).apart

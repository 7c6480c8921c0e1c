"""The benchmark of planted faults as a table: how many are found and named, and what healthy loops are accused of."""

from collections.abc import Iterator, Sequence

from scipy.stats import beta

from ..doctor.faults import Planted


def upper(wrong: int, runs: int) -> float:
    """The 95 % upper bound of a share (Clopper & Pearson, one-sided)."""
    return 1.0 if wrong == runs else float(beta.ppf(0.95, wrong + 1, runs - wrong))


def lower(right: int, runs: int) -> float:
    """The 95 % lower bound of a share."""
    return 0.0 if not right else float(beta.ppf(0.05, right, runs - right + 1))


def lines(runs: Sequence[Planted]) -> Iterator[str]:
    """A line for each fault, then the sums: of the half that scores, and of the half on which thresholds were set."""
    yield f"{'training':12} {'fault':26} {'runs':>4} {'found':>6} {'first':>6} {'top 3':>6}  what else was said"
    for key in dict.fromkeys((run.family, run.fault) for run in runs if run.right):
        mine = [run for run in runs if (run.family, run.fault) == key]
        found = sum(bool(run.found) for run in mine)
        first, top = (sum(run.place is not None and run.place < most for run in mine) for most in (1, 3))
        other = sorted({rule for run in mine for rule in run.found if rule not in run.right})
        yield f"{key[0]:12} {key[1]:26} {len(mine):4} {found:6} {first:6} {top:6}  {', '.join(other[:3])}"
    for label, half in (("scored", False), ("tuned on", True)):
        planted = [run for run in runs if run.right and run.tuned == half]
        healthy = [run for run in runs if not run.right and run.tuned == half]
        if planted:
            top = sum(run.place is not None and run.place < 3 for run in planted)
            contracts = [run for run in planted if run.contract]
            named = sum(run.place is not None and run.place < 3 for run in contracts)
            yield (
                f"{label}: {top} of {len(planted)} planted faults named in the top 3 ({top / len(planted):.1%}, at "
                "least "
                f"{lower(top, len(planted)):.1%}); contract faults {named} of {len(contracts)}"
            )
        if healthy:
            wrong = sum(bool(run.found) for run in healthy)
            yield (
                f"{label}: {wrong} of {len(healthy)} healthy runs accused of a fault (at most "
                f"{upper(wrong, len(healthy)):.1%})"
            )
    most = max(run.seconds for run in runs)
    yield f"most CPU seconds of a run {most:.1f}; share of watching {_middle(runs):.1%} in the middle"


def _middle(runs: Sequence[Planted]) -> float:
    shares = sorted(run.share for run in runs)
    return shares[len(shares) // 2]

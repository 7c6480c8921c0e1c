"""The benchmark of planted faults as a table: how many are found and named, and what healthy loops are accused of."""

import itertools
from collections.abc import Iterator, Sequence
from statistics import median

from scipy.stats import beta

from ..doctor.faults import Planted, alarm

WAYS = (100, 300, 1000)  # steps that part what was said on the way


def upper(wrong: int, runs: int) -> float:
    """The 95 % upper bound of a share (Clopper & Pearson, one-sided)."""
    return 1.0 if wrong == runs else float(beta.ppf(0.95, wrong + 1, runs - wrong))


def lower(right: int, runs: int) -> float:
    """The 95 % lower bound of a share."""
    return 0.0 if not right else float(beta.ppf(0.05, right, runs - right + 1))


def lines(runs: Sequence[Planted]) -> Iterator[str]:
    """A line for each fault, then the sums: of the half that scores, and of the half on which thresholds were set."""
    yield (
        f"{'training':9} {'fault':22} {'runs':>4} {'found':>5} {'first':>5} {'top 3':>5} {'steps to alarm':>16} "
        f"{'watching':>8}  what else was said"
    )
    for family, fault in dict.fromkeys((run.family, run.fault) for run in runs if run.right):
        mine = [run for run in runs if (run.family, run.fault) == (family, fault)]
        found, first, top = sum(bool(run.found) for run in mine), sum(r.named(1) for r in mine), named(mine)
        steps = sorted(step for run in mine if (step := alarm(run, [t for t in runs if twins(run, t)])) is not None)
        since = f"{median(steps):.0f} ({steps[0]} to {steps[-1]})" if steps else ""
        other = sorted({rule for run in mine for rule in run.found if rule not in run.right})
        yield (
            f"{family:9} {fault:22} {len(mine):4} {found:5} {first:5} {top:5} {since:>16} {watching(mine):8.1%}  "
            f"{', '.join(other[:3])}"
        )
    yield f"{'training':9} {'nothing wrong, or':22} {'runs':>4} accused {'at most':>8} {'watching':>8}  of what"
    for family, control in dict.fromkeys((run.family, run.fault) for run in runs if not run.right):
        mine = [run for run in runs if (run.family, run.fault) == (family, control)]
        wrong = sum(bool(run.found) for run in mine)
        said = sorted({rule for run in mine for rule in run.found})
        yield (
            f"{family:9} {control:22} {len(mine):4} {wrong:7} {upper(wrong, len(mine)):8.1%} {watching(mine):8.1%}  "
            f"{', '.join(said)}"
        )
    for label, half in (("scored", False), ("tuned on", True)):
        planted = [run for run in runs if run.right and run.tuned == half]
        healthy = [run for run in runs if not run.right and run.tuned == half]
        if planted:
            top, contracts = named(planted), [run for run in planted if run.contract]
            yield (
                f"{label}: {top} of {len(planted)} planted faults named in the top 3 ({top / len(planted):.1%}, at "
                f"least {lower(top, len(planted)):.1%}); contract faults {named(contracts)} of {len(contracts)}"
            )
        if healthy:
            wrong = sum(bool(run.found) for run in healthy)
            yield (
                f"{label}: {wrong} of {len(healthy)} healthy runs accused of a fault (at most "
                f"{upper(wrong, len(healthy)):.1%})"
            )
    told = [(step, bool(found)) for run in runs if not run.right for step, found in run.asked]
    for least, most in itertools.pairwise((1, *WAYS, 10**9)):
        accused = [found for step, found in told if least <= step < most]
        if accused:
            until = f"{least:,} to {most - 1:,}" if most < 10**9 else f"{least:,} and more"
            yield f"asked on the way, at steps {until}: {sum(accused)} of {len(accused)} answers accuse a healthy run"
    yield f"most CPU seconds of a run {max(run.seconds for run in runs):.1f}"


def named(runs: Sequence[Planted]) -> int:
    """How many are named in the top 3."""
    return sum(run.named() for run in runs)


def twins(run: Planted, other: Planted) -> bool:
    """Is the other one healthy, and otherwise the same?"""
    return (other.family, other.data, other.width, other.fault) == (run.family, run.data, run.width, "")


def watching(runs: Sequence[Planted]) -> float:
    """The share of the time that watching takes, in the middle of the runs."""
    return median(run.share for run in runs)

"""A remedy put to the proof: short runs of an objective as it was and with one setting changed, seed by seed.

Some findings name a setting that can be changed by itself: a margin, a rate, a clip, a step. Half the compute, seeds of
their own, judged by validation rows, so that nothing of the study's verdict is touched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import msgspec

from ..engines import Failure, Local
from ..errors import StudyError
from ..objectives import find
from ..task import Finding
from . import work
from .plan import Group, Run
from .store import Store
from .work import Job

SEEDS = (9001, 9002, 9003)


@dataclass(frozen=True)
class Remedy:
    """A rule, the setting that its remedy changes, and the factor; `low`: only where the finding's number is below it,
    or above it."""

    rule: str
    setting: str
    factor: float
    number: str = ""
    low: float | None = None


REMEDIES = (
    Remedy("hinge always off", "margin", 10.0),
    Remedy("hinge always on", "margin", 0.1),
    Remedy("critic slope off", "clip", 10.0, "critic slope", 0.01),
    Remedy("critic slope off", "penalty", 10.0),
    Remedy("critic slope off", "clip", 0.1),
    Remedy("energy gap diverging", "lr", 1 / 3),
    Remedy("non-finite", "lr", 1 / 3),
    Remedy("saturated discriminator", "lr", 1 / 3),
    Remedy("critic guesses", "lr", 3.0),
    Remedy("not started", "lr", 3.0),
    Remedy("chains not moving", "step", 3.0),
    Remedy("chains mostly refused", "step", 1 / 3),
    Remedy("chains running away", "step", 1 / 3),
)


@dataclass(frozen=True)
class Trial:
    """What a remedy did: scores as it was and with it, seed by seed; lower is better, None = failed."""

    objective: str
    rule: str
    setting: str
    before: float
    after: float
    plain: tuple[float | None, ...]
    changed: tuple[float | None, ...]
    noise: float

    @property
    def verdict(self) -> str:
        """proved: better on every seed and by more than the noise; refuted: not better on average; else undecided."""
        both = list(zip(self.plain, self.changed, strict=True))
        gains = [a - b for a, b in both if a is not None and b is not None]
        better = all(b is not None and (a is None or b < a) for a, b in both)
        if better and (not gains or fmean(gains) > self.noise):
            return "proved"
        failed = self.changed.count(None) - self.plain.count(None)
        return "refuted" if failed > 0 or (gains and fmean(gains) <= 0) else "undecided"

    @property
    def says(self) -> str:
        """The trial in a sentence."""
        told = ", ".join(f"{_said(a)} to {_said(b)}" for a, b in zip(self.plain, self.changed, strict=True))
        return (
            f"{self.objective}, '{self.rule}': {self.setting} from {self.before:.3g} to {self.after:.3g} is "
            f"{self.verdict} as a remedy (scores {told}; noise {self.noise:.2g}, lower is better)"
        )


def _said(score: float | None) -> str:
    return "failed" if score is None else f"{score:.3g}"


def offered(findings: Sequence[Finding]) -> Iterator[tuple[Finding, Remedy]]:
    """The faults that have a setting to change, one remedy for each objective and rule."""
    seen = set[tuple[str, str]]()
    for finding in findings:
        for remedy in REMEDIES:
            if remedy.rule != finding.rule or finding.level != "fault" or (finding.objective, finding.rule) in seen:
                continue
            if not hasattr(find(finding.objective), remedy.setting):
                continue
            if remedy.low is not None and not finding.evidence.get(remedy.number, 0.0) < remedy.low:
                continue
            seen.add((finding.objective, finding.rule))
            yield finding, remedy


def put_to_proof(folder: Path, findings: Sequence[Finding], noise: float, workers: int | None = None) -> list[Trial]:
    """Try every remedy that is offered. Runs are kept in the folder. Raises StudyError where none can be run."""
    store = Store(folder.resolve())
    asked = []
    for finding, remedy in offered(findings):
        run = _known(store, finding.objective)
        before = run.setting.get(remedy.setting, float(getattr(find(finding.objective)(), remedy.setting)))
        both = []
        for value in (before, before * remedy.factor):
            setting = run.setting | {remedy.setting: value}
            both.append([msgspec.structs.replace(run, setting=setting, seed=s, flops=run.flops / 2) for s in SEEDS])
        asked.append((finding, remedy, before, both))
    runs = [one for *_, both in asked for side in both for one in side if not store.has(one.id)]
    jobs = [Job(str(store.folder), Group("remedy", (one,))) for one in runs]
    with Local(workers) as engine:
        for outcome in engine.map(work.work, jobs):
            if isinstance(outcome.result, Failure):
                raise StudyError(f"The trial of a remedy ended: {outcome.result.reason}")
    found = []
    for finding, remedy, before, (plain, changed) in asked:
        scores = [tuple(_score(store, one) for one in side) for side in (plain, changed)]
        after = before * remedy.factor
        found.append(Trial(finding.objective, finding.rule, remedy.setting, before, after, scores[0], scores[1], noise))
    return found


def _known(store: Store, objective: str) -> Run:
    """A screened run of the objective: it has the chosen setting and the whole compute."""
    name = objective.rsplit("/", 1)[-1].removesuffix(".py")
    found = []
    for path in sorted((store.folder / "runs").glob(f"{name}-*.safetensors")):
        run = store.read(path.stem)[0].get("run")
        if run and run["objective"] == objective and run["judge"] == "validation" and run["seed"] not in SEEDS:
            found.append(msgspec.convert(run, Run))
    if not found:
        raise StudyError(f"'{store.folder}' holds no run of {objective}. Run the same comparison again.")
    return max(found, key=lambda run: run.flops)


def _score(store: Store, run: Run) -> float | None:
    record = store.read(run.id)[0]
    return None if record["failed"] else float(record["score"])

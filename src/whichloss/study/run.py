"""Run a study: plan, anchors and power, tune, screen, confirm. Whatever is on disk already is not run again."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from inspect import getmodule, getsource
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ..data import Pictures, Table
from ..doctor import check_contracts
from ..engines import Failure, Local, trim
from ..errors import DataUnfit, StudyError, UserError
from ..objectives import available, find
from ..task import Finding, Task
from . import anchors, free, preflight, rank, work
from .anchors import AnchorJob
from .budget import Budget
from .free import FreeJob, Reach
from .judge import Judge, Preflight
from .nets import REFUSED, Makers, checked, fingerprint, network_builder, packed
from .plan import LANES, Group, Plan, Run, Setting, settings
from .store import Store
from .work import Job

VERSION = "2"  # of the protocol: runs of another version have other names


class Watcher(Protocol):
    """Whoever wants to show a study while it runs."""

    def planned(self, plan: Plan, judge: Judge, store: Store) -> None: ...
    def measured(self, preflight: Preflight) -> None: ...
    def stage(self, name: str, groups: Sequence[Group]) -> None: ...
    def progress(self, group: Group, step: int, steps: int) -> None: ...
    def finished(self, group: Group, records: Sequence[Mapping[str, Any]]) -> None: ...
    def found(self, finding: Finding) -> None: ...
    def note(self, text: str) -> None: ...


class Silent:
    """A watcher that shows nothing."""

    def planned(self, plan: Plan, judge: Judge, store: Store) -> None: ...
    def measured(self, preflight: Preflight) -> None: ...
    def stage(self, name: str, groups: Sequence[Group]) -> None: ...
    def progress(self, group: Group, step: int, steps: int) -> None: ...
    def finished(self, group: Group, records: Sequence[Mapping[str, Any]]) -> None: ...
    def found(self, finding: Finding) -> None: ...
    def note(self, text: str) -> None: ...


@dataclass
class Found:
    """What a study has when its last run is on disk."""

    plan: Plan
    judge: Judge
    store: Store
    chosen: dict[str, Setting]
    finalists: tuple[str, ...]
    stages: dict[str, list[Group]]
    preflight: Preflight
    contracts: tuple[Finding, ...]
    reaches: tuple[Reach, ...] = ()
    floors: dict[tuple[int, str], tuple[float, str]] = field(default_factory=dict)

    def floor(self, seed: int, which: str) -> tuple[float, str]:
        """The score of a failed run: that of the worst simple baseline on this seed, and its name."""
        if (seed, which) not in self.floors:
            record, _ = self.store.read(AnchorJob("", self.plan.data, seed, which).id)  # type: ignore[arg-type]
            simple = {n: r["score"] for n, r in record.items() if self.judge.roles[n] == "baseline"}
            worst = max(simple, key=lambda n: simple[n])
            self.floors[seed, which] = simple[worst], worst
        return self.floors[seed, which]

    def runs(self, stage: str, objective: str, share: float = 1.0) -> list[Run]:
        """The runs of an objective in a stage, by seed."""
        groups = self.stages.get(stage, [])
        return [r for g in groups for r in g.runs if r.objective == objective and r.share == share]

    def scores(self, runs: Sequence[Run]) -> tuple[float, ...]:
        """One score per run; a failed one is at the baseline's, or at the objective's own worst if that is worse."""
        found = []
        for run in runs:
            record = self.store.read(run.id)[0]
            found.append(None if record["failed"] else float(record["score"]))
        worst = max((s for s in found if s is not None), default=float("-inf"))
        return tuple(
            max(self.floor(run.seed, run.judge)[0], worst) if score is None else score
            for run, score in zip(runs, found, strict=True)
        )


def make_plan(
    judge: Judge,
    budget: Budget,
    objectives: Sequence[str] | None,
    nets: Makers | None,
) -> Plan:
    """What will be run. Raises UserError for unknown names, or when nothing fits."""
    task, goal = judge.task, judge.goal
    fitting, skipped, codes, roles = [], {}, {}, set[str]()
    for name in chosen(objectives or judge.usual, goal):
        kind = find(name)
        if kind.goal != goal:
            raise UserError(f"'{name}' serves the goal '{kind.goal}', not '{goal}'.")
        why = kind.suited(task).unfit(task) or judge.unfit(kind)
        if why:
            skipped[name] = why
            continue
        fitting.append(name)
        module = getmodule(kind)
        assert module is not None
        text = VERSION + getsource(module)
        if nets:
            made = kind.suited(task).networks(task, network_builder(task, budget.width, checked(nets)))
            roles |= set(made)
            text += fingerprint({role: maker for role, maker in nets.items() if role in made}, made)
        codes[name] = sha256(text.encode()).hexdigest()[:12]
    if len(set(fitting)) < len(fitting):
        raise UserError(f"--objectives names one twice: {', '.join(fitting)}.")
    if nets and fitting and not roles & set(nets):
        raise UserError(
            f"--nets makes {', '.join(sorted(nets))}, which no objective here uses. Their networks are called "
            f"{', '.join(sorted(roles))}."
        )
    if not fitting:
        reasons = "; ".join(f"{name}: {why}" for name, why in skipped.items())
        raise UserError(f"No objective can run on this data. {reasons}")
    tried = {name: settings(find(name).suited(task), task, budget.settings) for name in fitting}
    asked = "".join(f" {name}={value}" for name, value in judge.asked.items())
    data = sha256(f"{VERSION} {judge.table.fingerprint}{asked}".encode()).hexdigest()[:16]
    lanes = LANES if judge.pixels is None else 1
    return Plan(data, goal, budget, tuple(fitting), codes, tried, skipped, judge.asked, lanes)


def chosen(names: Sequence[str], goal: str) -> list[str]:
    """The names, 'all' as every shipped objective of the goal."""
    if "all" not in names:
        return list(names)
    shipped = available(goal)
    return [*shipped, *(name for name in names if name not in ("all", *shipped))]


@dataclass
class Runner:
    """Runs the stages of one plan in one folder."""

    plan: Plan
    judge: Judge
    store: Store
    engine: Local
    nets: Makers | None
    watcher: Watcher
    anyway: bool = False  # train although the preflight refuses
    pace: dict[str, float] = field(default_factory=dict)  # objective -> CPU seconds of its last run

    def run(self) -> Found:
        """Every stage; raises DataUnfit where the preflight refuses."""
        self.watcher.planned(self.plan, self.judge, self.store)
        contracts = self.contracts()
        seeds = self.plan.seeds("screen"), self.plan.seeds("final")
        jobs = [AnchorJob(self.folder, self.plan.data, s, "validation") for s in seeds[0]]
        jobs += [AnchorJob(self.folder, self.plan.data, s, "test") for s in seeds[1]]
        name = f"preflight-{self.plan.data}"
        self.simple(preflight.work, [(self.folder, name)] * (not self.store.has(name)))
        measured = msgspec.convert(self.store.read(name)[0], self.judge.measures)
        refused = measured.refusal(self.judge)
        if refused and not self.anyway:
            raise DataUnfit(f"{self.judge.table.source}: {refused}")
        self.watcher.measured(measured)
        reaches = self.reaches()
        self.simple(anchors.work, [job for job in jobs if not self.store.has(job.id)])
        stages = {"tune": self.plan.tuning()}
        self.stage("tune", stages["tune"])
        chosen = {name: self.choose(name, measured.rope) for name in self.plan.objectives}
        stages["screen"] = self.plan.screen(chosen)
        self.stage("screen", stages["screen"])
        found = Found(self.plan, self.judge, self.store, chosen, (), stages, measured, contracts, reaches)
        screened = {n: found.scores(found.runs("screen", n)) for n in self.plan.objectives}
        found.finalists = rank.finalists(screened, self.plan.budget.finalists)
        last = self.plan.final(chosen, found.finalists)
        for stage in ("final", "twin", "fewer rows"):
            stages[stage] = [g for g in last if g.stage == stage]
        self.stage("final", last)
        shutil.rmtree(self.store.folder / "partial", ignore_errors=True)
        return found

    @property
    def folder(self) -> str:
        """The study's folder, as workers know it."""
        return str(self.store.folder.resolve())

    def contracts(self) -> tuple[Finding, ...]:
        """Deterministic checks of every objective before any training."""
        found: list[Finding] = []
        for name in self.plan.objectives:
            task = self.judge.task if self.nets else small(self.judge.task)
            found += check_contracts(find(name).suited(task), task, network_builder(task, 8, self.nets))
        for finding in found:
            if finding.rule in REFUSED and (self.nets or finding.objective.endswith(".py")):
                raise UserError(f"{finding.objective}: {finding.says} {finding.cause} {finding.remedy}")
            self.watcher.found(finding)
        return tuple(found)

    def reaches(self) -> tuple[Reach, ...]:
        """How far each objective comes with free vectors, where embeddings are compared."""
        if self.plan.goal not in free.GOALS:
            return ()
        jobs = [FreeJob(self.folder, self.plan.data, name, self.plan.codes[name]) for name in self.plan.objectives]
        self.simple(free.work, [job for job in jobs if not self.store.has(job.id)])
        found = tuple(msgspec.convert(self.store.read(job.id)[0], Reach) for job in jobs)
        for finding in (finding for one in found for finding in one.findings(self.plan.goal)):
            self.watcher.found(finding)
        return found

    def simple(self, job: Callable[..., None], items: Sequence[Any]) -> None:
        """Work that no study can do without: a failure ends the study."""
        for outcome in self.engine.map(job, items):
            if isinstance(outcome.result, Failure):
                raise StudyError(f"The study cannot go on: {outcome.result.reason}")

    def stage(self, name: str, groups: Sequence[Group]) -> None:
        """Run what is not on disk. A group that fails is kept as failed runs, with the reason."""
        kept, missing = self.parts(groups)
        self.watcher.stage(name, [*kept, *missing])
        for group in kept:
            self.done(group)
        # the longest first, so that no worker waits long for the last ones
        missing.sort(key=lambda group: -self.pace.get(group.runs[0].objective, math.inf) * len(group.runs))
        jobs = [Job(self.folder, group, packed(self.nets)) for group in missing]
        heard = self.engine.map(work.work, jobs, lambda job, at: self.watcher.progress(job.group, *at))
        for outcome in heard:
            group = outcome.item.group
            if isinstance(outcome.result, Failure):
                if outcome.result.kind == "StudyError":
                    raise StudyError(outcome.result.reason)
                for run in group.runs:
                    record = {"run": msgspec.to_builtins(run), "failed": outcome.result.reason}
                    record["lanes"] = [lane.id for lane in group.runs]
                    self.store.write(run.id, record, {})
            self.done(group)

    def parts(self, groups: Sequence[Group]) -> tuple[list[Group], list[Group]]:
        """What is on disk and what is not. A run counts as finished only with all lanes it trained with: which lanes
        train together must not depend on interruptions, while more seeds train only what is new."""
        kept, missing = [], []
        for group in groups:
            done = tuple(run for run in group.runs if self.finished(run))
            rest = tuple(run for run in group.runs if run not in done)
            kept += [Group(group.stage, done)] * bool(done)
            missing += [Group(group.stage, rest)] * bool(rest)
        return kept, missing

    def finished(self, run: Run) -> bool:
        """Is the run on disk, undamaged, and every lane it trained with too?"""
        if not self.store.has(run.id):
            return False
        return all([self.store.has(lane) for lane in self.store.read(run.id)[0].get("lanes", ())])

    def done(self, group: Group) -> None:
        """Tell the watcher of a group that is on disk."""
        records = [self.store.read(run.id)[0] for run in group.runs]
        self.pace |= {r["run"]["objective"]: r["clock"]["cpu seconds"] for r in records if "clock" in r}
        self.watcher.finished(group, records)

    def choose(self, objective: str, noise: float) -> Setting:
        """The setting to go on with, by the validation scores of all that were tried."""
        tried = self.plan.settings[objective]
        if len(tried) == 1:
            return tried[0]
        groups = [g for g in self.plan.tuning() if g.runs[0].objective == objective]
        scores = [tuning_score(self.store.read(run.id)[0]) for g in groups for run in g.runs]
        return tried[best_or_first(scores, noise)]


def best_or_first(scores: Sequence[float], noise: float) -> int:
    """The index of the least score, or 0 where the first, the default, is within `noise` of it: one seed tells no more.

    noise: standard deviation of the score, real rows against real rows.
    """
    best = min(range(len(scores)), key=lambda i: scores[i])
    return 0 if scores[0] <= scores[best] + noise else best


def tuning_score(record: Mapping[str, Any]) -> float:
    """The best validation score over a tuning run; infinite if it failed."""
    return float("inf") if record["failed"] or record["best"] is None else float(record["best"])


def claim(store: Store, plan: Plan, judge: Judge, command: str) -> Judge:
    """Make the folder this study's and put the data there; the judge, with what was made for an earlier command."""
    asked = {k: ", ".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for k, v in plan.asked.items()}
    about = {"data set": judge.table.fingerprint, "goal": plan.goal} | asked
    content = {"about": about, "command": command, "plan": msgspec.to_builtins(plan)}
    store.claim(msgspec.json.format(msgspec.json.encode(content)), about)
    judge = judge.resumed(store.folder)
    for name, table in judge.tables.items():
        path = store.folder / f"{name}.safetensors"
        try:
            known = type(table).load(path).fingerprint
        except UserError:
            known = ""  # missing or damaged
        if known != table.fingerprint:
            table.save(path)
    trim()  # what the features learned from
    return judge


def default_folder(table: Table | Pictures) -> Path:
    """whichloss-penguins for penguins.csv: where results go unless told otherwise."""
    name = Path(table.source.replace(":", "-")).stem or "data"
    return Path(f"whichloss-{''.join(c if c.isalnum() or c in '-_' else '-' for c in name)}")


def small(task: Task) -> Task:
    """The task with pictures of 8 x 8 and few words: a rule that holds for these holds for large ones, which would need
    gigabytes to be checked in float64."""
    if task.words:
        task = replace(task, words=min(task.words, 40), second=min(task.second, 8))
    if not task.shape:
        return task
    shape = (task.shape[0], 8, 8)
    dim = math.prod(shape)
    return replace(task, dim=dim, shape=shape, second=dim if task.goal == "embed" and task.second else task.second)

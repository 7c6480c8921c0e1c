"""What will be run, in which order, with how much compute; made before anything starts."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import product
from typing import Any

import msgspec

from ..objectives import Objective
from ..rng import key
from ..task import Task
from .budget import Budget

LANES = 4  # seeds that train together: enough to share the overhead, few enough to occupy every core
TUNING_SEED = 0

Setting = dict[str, float]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One objective, one setting, one seed, one budget: the unit on disk, named by the hash of what it is."""

    data: str  # fingerprint of the table and of the way it is split
    objective: str
    code: str  # hash of the objective's source and of the networks'
    setting: Setting
    seed: int
    flops: float
    width: int
    share: float = 1.0  # of the training rows
    judge: str = "validation"  # the rows that score it
    salt: str = ""  # a twin's name

    @property
    def id(self) -> str:
        """objective-hash, for example wgan-gp-0f3a9c...; equal runs have equal ids."""
        digest = sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]
        return f"{self.objective.rsplit('/', 1)[-1].removesuffix('.py')}-{digest}"


class Group(msgspec.Struct, frozen=True):
    """Runs that train together as lanes: they differ by seed and by number-valued settings only."""

    stage: str
    runs: tuple[Run, ...]

    @property
    def id(self) -> str:
        """The hash of its runs, in order."""
        return sha256("".join(run.id for run in self.runs).encode()).hexdigest()[:16]


class Plan(msgspec.Struct, frozen=True):
    """The whole study, before it starts."""

    data: str
    goal: str
    budget: Budget
    objectives: tuple[str, ...]
    codes: Mapping[str, str]
    settings: Mapping[str, tuple[Setting, ...]]  # per objective, the default first
    skipped: Mapping[str, str]  # objective -> why it cannot run
    asked: Mapping[str, Any] = {}  # what else makes the judge: targets, metric
    lanes: int = LANES  # runs that train together; convolutions gain nothing from it

    def seeds(self, stage: str) -> tuple[int, ...]:
        """The seeds of a stage; no seed serves two stages."""
        first = TUNING_SEED + 1
        if stage == "screen":
            return tuple(range(first, first + self.budget.screen))
        start = first + self.budget.screen
        return tuple(range(start, start + self.budget.seeds))

    def run(self, objective: str, setting: Setting, seed: int, flops: float) -> Run:
        """A run of this study."""
        return Run(
            data=self.data,
            objective=objective,
            code=self.codes[objective],
            setting=setting,
            seed=seed,
            flops=flops,
            width=self.budget.width,
        )

    def tuning(self) -> list[Group]:
        """Every setting of every objective: one seed, half the compute. One setting needs no tuning."""
        half = self.budget.flops / 2
        groups = []
        for name in self.objectives:
            runs = [self.run(name, s, TUNING_SEED, half) for s in self.settings[name]]
            groups += list(self.chunks("tune", runs)) if len(runs) > 1 else []
        return groups

    def screen(self, chosen: Mapping[str, Setting]) -> list[Group]:
        """Every objective at its chosen setting on the screen's seeds."""
        groups = []
        for name in self.objectives:
            seeds = self.seeds("screen")
            runs = [self.run(name, chosen[name], seed, self.budget.flops) for seed in seeds]
            groups += list(self.chunks("screen", runs))
        return groups

    def final(self, chosen: Mapping[str, Setting], finalists: tuple[str, ...]) -> list[Group]:
        """The finalists and the leader's twin on fresh seeds, judged on the test rows; again on fewer rows."""
        pairs = [(name, "", 1.0) for name in finalists] + [(finalists[0], "twin", 1.0)]
        pairs += [(name, "", share) for share in self.budget.shares for name in finalists]
        groups = []
        for name, salt, share in pairs:
            fresh = [self.run(name, chosen[name], s, self.budget.flops) for s in self.seeds("final")]
            runs = [msgspec.structs.replace(run, judge="test", salt=salt, share=share) for run in fresh]
            groups += list(self.chunks("twin" if salt else "final" if share == 1 else "fewer rows", runs))
        return groups

    def chunks(self, stage: str, runs: list[Run]) -> Iterator[Group]:
        """Runs as groups of lanes."""
        for i in range(0, len(runs), self.lanes):
            yield Group(stage, tuple(runs[i : i + self.lanes]))

    def stages(self) -> list[tuple[str, int, float]]:
        """(stage, runs, compute) before the finalists are known."""
        b, n = self.budget, len(self.objectives)
        tuned = sum(len(s) for s in self.settings.values() if len(s) > 1)
        last = min(b.finalists, n)
        stages = [
            ("tune", tuned, tuned * b.flops / 2),
            ("screen", n * b.screen, n * b.screen * b.flops),
            ("final", last * b.seeds, last * b.seeds * b.flops),
            ("twin", b.seeds, b.seeds * b.flops),
        ]
        fewer = len(b.shares) * last * b.seeds
        return stages + ([("fewer rows", fewer, fewer * b.flops)] if fewer else [])


def settings(objective: Objective, task: Task, count: int) -> tuple[Setting, ...]:
    """The default and up to count - 1 other combinations of the searched values, in a fixed shuffled order."""
    search = objective.searched(task)
    names = sorted(search)
    default = {name: float(getattr(objective, name)) for name in names}
    others = [
        dict(zip(names, map(float, values), strict=True)) for values in product(*(search[name] for name in names))
    ]
    others = [s for s in others if s != default]
    others.sort(key=lambda s: key(*(f"{k}={v}" for k, v in s.items())))
    return (default, *others[: count - 1]) if names else ({},)

"""The benchmark of planted faults: ordinary loops, one fault in each, healthy twins, and how often the doctor names it.

Thresholds of the rules were set on the first width of every data set (`tuned`), and are scored on the second.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import UserError, nearest
from ...task import Finding
from ..loops import examine
from ..watch import Watch
from . import classify, contrastive, denoise, energies, games
from .base import WIDTHS, Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        classify.FAMILY, games.GAN, games.WGAN, games.WGAN_GP, games.EBGAN, energies.CHAINS, energies.NCE,
        denoise.FAMILY, contrastive.FAMILY,
    )
}  # fmt: skip
SEEDS, HEALTHY = 3, 8  # of every fault; of every healthy loop
FIRST, MORE = 5, 1.5  # the doctor is first asked at this step, then whenever the steps have grown by so much
NAMED = 3  # a fault counts as named among the first so many


@dataclass(frozen=True)
class Planted:
    """One run of the benchmark: what was planted ("" = nothing), and what the doctor said."""

    family: str
    fault: str
    data: str
    width: int
    seed: int
    found: tuple[str, ...] = ()  # rules of faults, in order
    notes: tuple[str, ...] = ()
    right: tuple[str, ...] = ()  # rules that name what was planted
    contract: bool = False
    asked: tuple[tuple[int, tuple[str, ...]], ...] = ()  # on the way: the step, rules of faults
    steps: int = 0
    share: float = 0.0  # of the time, spent on watching
    seconds: float = 0.0
    ended: str = ""

    @property
    def job(self) -> tuple[str, str, str, int, int]:
        """What was asked for."""
        return self.family, self.fault, self.data, self.width, self.seed

    @property
    def place(self) -> int | None:
        """Which of the faults found names what was planted, from 0."""
        return next((k for k, rule in enumerate(self.found) if rule in self.right), None)

    def named(self, most: int = NAMED) -> bool:
        """Does one of the first findings name what was planted?"""
        return self.place is not None and self.place < most

    @property
    def tuned(self) -> bool:
        """Is it of the half on which thresholds were set?"""
        return self.width == WIDTHS[0]


def plant(family: Family, fault: str, data: str, width: int, seed: int) -> Planted:
    """One loop, watched to its end."""
    began = time.process_time()
    loop = family.loop(data, width, seed, fault)
    watch, error = next(loop), None
    asked = Asked(watch)
    watch.on_look = asked.ask
    try:
        for _ in loop:
            pass
    except Exception as raised:  # a planted fault may crash the loop
        error = raised
    trace = watch.stop(error)
    findings = examine(trace)
    known = next((one for one in family.faults if one.name == fault), None)
    return Planted(
        family.name, fault, data, width, seed,
        faults(findings), tuple(f.rule for f in findings if f.level == "note"),
        known.rules if known else (), bool(known and known.contract), tuple(asked.told), trace.steps,
        trace.share, time.process_time() - began, trace.ended,
    )  # fmt: skip


def alarm(run: Planted, twins: Sequence[Planted]) -> int | None:
    """The step from which the fault is named whenever the doctor is asked, and no healthy twin is told the same."""
    if not run.named():
        return None
    right = set(run.right)
    since = _after(run, [step for step, told in run.asked if not right & set(told[:NAMED])])
    return max([since, *(_after(twin, [step for step, told in twin.asked if right & set(told)]) for twin in twins)])


def _after(run: Planted, steps: Sequence[int]) -> int:
    """When the doctor is asked next after the last of these steps."""
    last = max(steps, default=-1)
    return next((step for step, _ in run.asked if step > last), run.steps)


@dataclass
class Asked:
    """What the doctor says on the way."""

    watch: Watch
    next: float = FIRST
    told: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def ask(self, step: int) -> None:
        """At the end of a look."""
        if step < self.next:
            return
        self.next, began = step * MORE, time.perf_counter()
        self.told.append((step, faults(examine(self.watch.so_far()))))
        spent = time.perf_counter() - began  # asking is no part of the loop, nor of watching
        self.watch.began += spent
        self.watch.own -= spent


def faults(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Rules of faults, in order."""
    return tuple(f.rule for f in findings if f.level == "fault")


def work(job: tuple[str, str, str, int, int], tell: Callable[[Any], None]) -> Planted:
    """One run, in a worker."""
    import torch

    torch.set_num_threads(1)
    family, fault, data, width, seed = job
    return plant(FAMILIES[family], fault, data, width, seed)


def jobs(full: bool, families: Sequence[str] | None) -> Iterator[tuple[str, str, str, int, int]]:
    """The runs: every fault once in the quick form; on every data set, width and seed in the full one."""
    for name in families or FAMILIES:
        if name not in FAMILIES:
            raise UserError(f"There is no family of faults '{name}': {nearest(name, tuple(FAMILIES))}")
        family = FAMILIES[name]
        for data in family.data if full else family.data[:1]:
            for width in WIDTHS if full else WIDTHS[1:]:
                for fault in family.faults:
                    yield from ((name, fault.name, data, width, seed) for seed in range(1, 1 + (SEEDS if full else 1)))
                for healthy in ("", *family.controls):
                    yield from ((name, healthy, data, width, seed) for seed in range(1, 1 + (HEALTHY if full else 2)))

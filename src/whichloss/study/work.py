"""What a worker does with one group of runs: train its lanes, judge them, put every run on disk."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import Encoder
from ..data.pixels import let_go
from ..errors import StudyError
from ..objectives import find
from ..objectives.base import Build
from ..rng import Rng
from ..train import Lanes, Loop, State, flops_per_step, sampling_weights
from .goals import judge_of
from .judge import Judge, Which
from .nets import network_builder, own_networks
from .plan import Group, Run
from .store import Store, pack, unpack, write

QUARTERS = 4
POINTS = 50  # of every recorded curve
PAUSE = 20.0  # seconds between checkpoints


@dataclass(frozen=True)
class Job:
    """A group, the study's folder, and the user's own networks if any."""

    folder: str
    group: Group
    nets: bytes | None = None


def work(job: Job, tell: Callable[[Any], None]) -> None:
    """Train and judge the group, from its checkpoint if it was interrupted."""
    Trainer(job, tell).run()


@dataclass
class Trainer:
    """One group under way. `best` holds each lane's snapshot with the lowest validation score so far, of all looks."""

    job: Job
    tell: Callable[[Any], None]
    scores: list[list[float]] = field(default_factory=list)  # look -> lane -> validation score
    curves: dict[str, list[list[float]]] = field(default_factory=dict)  # name -> point -> lane
    best: dict[str, Tensor] = field(default_factory=dict)
    film: dict[str, np.ndarray] = field(default_factory=dict)  # "lane/step" -> what the judge kept of a look
    started: float = field(default_factory=time.process_time)

    def __post_init__(self) -> None:
        self.store = Store(self.job.folder)
        self.judge = judge_of(self.job.folder)
        self.runs = self.job.group.runs
        self.encoders, lanes = make_lanes(self.judge, self.runs, own_networks(self.job.nets))
        own = self.job.nets is not None or self.runs[0].objective.endswith(".py")
        self.lanes = settled(lanes) if own else lanes
        self.flops = flops_per_step(self.lanes)
        self.steps = max(QUARTERS, int(self.runs[0].flops / self.flops))
        self.quarters = [math.ceil(self.steps * k / QUARTERS) for k in range(1, QUARTERS + 1)]
        self.looks = sorted({*self.quarters, *self.judge.looks(self.steps)})
        self.checkpoint = self.store.folder / "partial" / f"{self.job.group.id}.safetensors"

    def run(self) -> None:
        """All steps, with looks between, then one file per run."""
        loop = Loop(self.lanes, self.resume() or self.lanes.start(), self.steps)
        every, saved = max(1, self.steps // POINTS), time.monotonic()
        while loop.state.step < self.steps:
            losses = loop.step()
            step = loop.state.step
            if step % every == 0 or step == self.steps:
                self.note(losses, loop.state)
                self.tell((step, self.steps))
                if self.judge.pictures is not None:  # those read by now would count as this process's memory
                    let_go(self.judge.pictures.values)
            if step in self.looks:
                self.look(loop.state)
            if step in self.quarters[:-1] or time.monotonic() - saved > PAUSE:
                self.save(loop.state)
                saved = time.monotonic()
        for lane, run in enumerate(self.runs):
            self.store.write(run.id, *self.result(lane, run, loop.state))
        self.checkpoint.unlink(missing_ok=True)

    def note(self, losses: Mapping[str, Tensor], state: State) -> None:
        """One point of every curve."""
        named = {f"loss {name}": value for name, value in losses.items()}
        for name, value in (named | self.lanes.watch(state, self.steps)).items():
            self.curves.setdefault(name, []).append([float(v) for v in value.reshape(-1)])

    def look(self, state: State) -> None:
        """Score every lane on its validation rows; keep the best snapshot of each."""
        weights, seeds = sampling_weights(self.lanes, state), [run.seed for run in self.runs]
        answers = self.judge.answers(self.lanes, self.encoders, seeds, weights, "validation", "look")
        scores = [
            math.inf if answer is None else self.judge.score(answer, seed, "validation").value
            for seed, answer in zip(seeds, answers, strict=True)
        ]
        now = torch.tensor(scores)
        past = torch.tensor(self.scores).min(0).values if self.scores else torch.full_like(now, math.inf)
        better = (now < past)[:, None]
        for role, w in weights.items():
            self.best[role] = torch.where(better, w, self.best.get(role, w))
        self.scores.append(scores)
        seen = {f"{k}/{state.step}": self.judge.glimpse(a) for k, a in enumerate(answers) if a is not None}
        self.film |= {where: frame for where, frame in seen.items() if frame is not None}

    def result(self, lane: int, run: Run, state: State) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The record of a finished run and its arrays."""
        scores = [_finite(look[lane]) for look in self.scores]
        quarters = [scores[self.looks.index(step)] for step in self.quarters]
        record: dict[str, Any] = {
            "run": _plain(run),
            "steps": self.steps,
            "flops": self.steps * self.flops,
            "parameters": {r: sum(s.numel() for _, s in v) for r, v in self.lanes.layout.items()},
            "quarters": quarters,
            "best": min((s for s in scores if s is not None), default=None),  # validation score of the weights kept
            "curves": {k: [_finite(p[lane]) for p in points] for k, points in self.curves.items()},
            "failed": "",
            "lanes": [lane.id for lane in self.runs],
            "clock": {"cpu seconds": (time.process_time() - self.started) / len(self.runs)},
        }
        if any(not torch.isfinite(w[lane]).all() for w in state.weights.values()) or quarters[-1] is None:
            record["failed"] = f"diverged: weights or outputs became infinite by step {self.steps}"
            return record, self.frames(record, lane)
        alone = self.lanes.alone(lane)
        best = {role: w[lane : lane + 1] for role, w in self.best.items()}
        arrays = {f"weights/{role}": w[0].numpy() for role, w in best.items()}
        if self.job.group.stage == "tune":
            return record, {}
        arrays |= self.frames(record, lane)
        which: Which = "test" if run.judge == "test" else "validation"
        last = {r: w[lane : lane + 1] for r, w in sampling_weights(self.lanes, state).items()}
        encoder = self.encoders[lane]
        answer = final = self.judge.answers(alone, [encoder], [run.seed], best, which, "judge")[0]
        if any(not torch.equal(w, last[role]) for role, w in best.items()):  # drawing can take long
            final = self.judge.answers(alone, [encoder], [run.seed], last, which, "last")[0]
        assert answer is not None and final is not None  # diverged runs have ended above
        score = self.judge.score(answer, run.seed, which)
        record |= {
            "score": score.value,
            "se": score.se,
            "last": self.judge.score(final, run.seed, which).value,
            "metrics": self.judge.describe(answer, run.seed, which)
            | self.judge.examined(alone, encoder, run.seed, best, which),
            "last metrics": self.judge.describe(final, run.seed, which) if self.judge.both_ends else {},
            **self.judge.extras(alone, encoder, run.seed, best, which),
        }
        arrays |= self.judge.maps(alone, encoder, best)
        return record, arrays | {"influence": score.influence.numpy(), **self.judge.kept(answer, run.seed)}

    def frames(self, record: dict[str, Any], lane: int) -> dict[str, np.ndarray]:
        """What was kept of a lane's looks, and in its record the shares of the steps after which they were."""
        steps = sorted(int(at.partition("/")[2]) for at in self.film if at.startswith(f"{lane}/"))
        record["film"] = [step / self.steps for step in steps]
        return {"film": np.stack([self.film[f"{lane}/{step}"] for step in steps])} if steps else {}

    def save(self, state: State) -> None:
        """A checkpoint: everything, so that a killed run resumes to the same numbers."""
        arrays = {f"state/{k}": v.numpy() for k, v in state.flat().items()}
        arrays |= {f"best/{k}": v.numpy() for k, v in self.best.items()}
        arrays |= {f"film/{k}": v for k, v in self.film.items()}
        record = {"step": state.step, "scores": self.scores, "curves": self.curves}
        write(self.checkpoint, pack(record, arrays))

    def resume(self) -> State | None:
        """The state of the checkpoint, if there is a sound one."""
        if not self.checkpoint.exists():
            return None
        try:
            record, arrays = unpack(self.checkpoint)
        except StudyError:
            self.checkpoint.unlink()  # the group simply starts again
            return None
        self.scores, self.curves = record["scores"], record["curves"]
        self.film = {k[5:]: v for k, v in arrays.items() if k.startswith("film/")}
        tensors = {k: torch.from_numpy(v.copy()) for k, v in arrays.items()}
        self.best = {k[5:]: v for k, v in tensors.items() if k.startswith("best/")}
        flat = {k[6:]: v for k, v in tensors.items() if k.startswith("state/")}
        return State.of(record["step"], flat)


def make_lanes(judge: Judge, runs: tuple[Run, ...], own: Mapping[str, Any] | None) -> tuple[list[Encoder], Lanes]:
    """The lanes of some runs and the encoding of each."""
    first = runs[0]
    encoders, rows, units = [], [], []
    for run in runs:
        train = judge.split(run.seed).train
        if run.share < 1:
            order = np.random.Generator(np.random.PCG64(run.seed)).permutation(len(train))
            train = train[np.sort(order[: max(2, round(run.share * len(train)))])]
        encoder, encoded = judge.encoded(train)
        encoders.append(encoder)
        rows.append(encoded)
        if (found := judge.units(train)) is not None:
            units.append(torch.from_numpy(np.unique(found, return_inverse=True)[1]))
    sizes = torch.tensor([len(x) for x in rows])
    data = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    names = first.setting
    build: Build = network_builder(judge.task, first.width, own)
    lanes = Lanes(
        objective=find(first.objective).suited(judge.task),
        task=judge.task,
        build=build,
        rng=_keys([run.seed for run in runs]),
        data=data,
        units=torch.nn.utils.rnn.pad_sequence(units, batch_first=True) if units else None,
        sizes=sizes,
        jitter=torch.from_numpy(np.stack([judge.jitter(e) for e in encoders])),
        hyper={k: torch.tensor([run.setting[k] for run in runs]) for k in names},
        batch=judge.batch,
        pixels=judge.pixels,
        salt=first.salt,
    )
    return encoders, lanes


def settled(lanes: Lanes) -> Lanes:
    """The lanes as they are if they can step together, else one by one; the user's networks may do anything."""
    loop = Loop(lanes, lanes.start(), 1)
    if lanes.together:  # vmap refuses whatever a trace would; it need not be traced to know, which takes a second
        loop.work = {i: loop._gradient(i) for i in range(len(loop.updates))}
    try:
        loop.step()
    except Exception:  # if one by one fails too, training says why
        return replace(lanes, stacked=False)
    return lanes


def _keys(seeds: list[int]) -> Rng:
    rng = Rng.of(*seeds)
    return Rng(rng.key.reshape(-1), rng.path)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain(run: Run) -> dict[str, Any]:
    import msgspec

    return dict(msgspec.to_builtins(run))

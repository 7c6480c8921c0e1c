"""What a worker does with one group of runs: train its lanes, judge them, put every run on disk."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import Encoder, Table
from ..errors import StudyError
from ..nets import builder
from ..objectives import Generative, find
from ..objectives.base import Build
from ..rng import Rng
from ..task import Batch, Task
from ..train import Lanes, Loop, State, count, flops_per_step, sampling_weights
from .judge import DESCRIBED, Judge, Which
from .nets import own_networks
from .plan import Group, Run
from .store import Store, pack, unpack, write

QUARTERS = 4
POINTS = 50  # of every recorded curve
KEPT = 1000  # sampled rows kept for the report
BATCH = 256
PAUSE = 20.0  # seconds between checkpoints


@dataclass(frozen=True)
class Job:
    """A group, the study's folder, and the user's own networks if any."""

    folder: str
    group: Group
    nets: bytes | None = None


@lru_cache(maxsize=1)
def judge_of(folder: str) -> Judge:
    """The judge of a study, once per worker."""
    return Judge(Table.load(Path(folder) / "data.safetensors"))


def work(job: Job, tell: Callable[[Any], None]) -> None:
    """Train and judge the group, from its checkpoint if it was interrupted."""
    Trainer(job, tell).run()


@dataclass
class Trainer:
    """One group under way. `best` holds each lane's snapshot with the lowest validation score so far."""

    job: Job
    tell: Callable[[Any], None]
    scores: list[list[float]] = field(default_factory=list)  # quarter -> lane -> validation score
    curves: dict[str, list[list[float]]] = field(default_factory=dict)  # name -> point -> lane
    best: dict[str, Tensor] = field(default_factory=dict)
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
        self.checkpoint = self.store.folder / "partial" / f"{self.job.group.id}.safetensors"

    def run(self) -> None:
        """All steps, a look at every quarter, then one file per run."""
        loop = Loop(self.lanes, self.resume() or self.lanes.start(), self.steps)
        every, saved = max(1, self.steps // POINTS), time.monotonic()
        quarter = [math.ceil(self.steps * (k + 1) / QUARTERS) for k in range(QUARTERS)]
        while loop.state.step < self.steps:
            losses = loop.step()
            step = loop.state.step
            if step % every == 0 or step == self.steps:
                self.note(losses, loop.state)
                self.tell((step, self.steps))
            if step in quarter:
                self.look(loop.state)
            if step in quarter[:-1] or time.monotonic() - saved > PAUSE:
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
        weights = sampling_weights(self.lanes, state)
        scores = []
        for lane, values in enumerate(self.samples(weights, "look")):
            seed = self.runs[lane].seed
            if values is None:
                scores.append(math.inf)
            else:
                scores.append(self.judge.score(values, seed, "validation").value)
        now = torch.tensor(scores)
        past = torch.tensor(self.scores).min(0).values if self.scores else torch.full_like(now, math.inf)
        better = (now < past)[:, None]
        for role, w in weights.items():
            self.best[role] = torch.where(better, w, self.best.get(role, w))
        self.scores.append(scores)

    def samples(self, weights: Mapping[str, Tensor], name: str) -> list[np.ndarray | None]:
        """Rows of the user's table drawn by every lane; None where a lane has diverged."""
        sizes = [self.judge.size(run.seed) for run in self.runs]
        drawn = self.lanes.sample(weights, max(sizes), name).numpy()
        return [
            e.decode(x[:n]) if np.isfinite(x).all() else None
            for e, x, n in zip(self.encoders, drawn, sizes, strict=True)
        ]

    def result(self, lane: int, run: Run, state: State) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The record of a finished run and its arrays."""
        quarters = [_finite(scores[lane]) for scores in self.scores]
        record: dict[str, Any] = {
            "run": _plain(run),
            "steps": self.steps,
            "flops": self.steps * self.flops,
            "parameters": {r: sum(s.numel() for _, s in v) for r, v in self.lanes.layout.items()},
            "quarters": quarters,
            "curves": {k: [_finite(p[lane]) for p in points] for k, points in self.curves.items()},
            "failed": "",
            "lanes": [lane.id for lane in self.runs],
            "clock": {"cpu seconds": (time.process_time() - self.started) / len(self.runs)},
        }
        if any(not torch.isfinite(w[lane]).all() for w in state.weights.values()) or quarters[-1] is None:
            record["failed"] = f"diverged: weights or samples became infinite by step {self.steps}"
            return record, {}
        alone = self.lanes.alone(lane)
        best = {role: w[lane : lane + 1] for role, w in self.best.items()}
        arrays = {f"weights/{role}": w[0].numpy() for role, w in best.items()}
        if self.job.group.stage == "tune":
            return record, {}
        which: Which = "test" if run.judge == "test" else "validation"
        size = self.judge.size(run.seed)
        values = self.encoders[lane].decode(alone.sample(best, size, "judge")[0].numpy())
        last = {r: w[lane : lane + 1] for r, w in sampling_weights(self.lanes, state).items()}
        final = self.encoders[lane].decode(alone.sample(last, size, "judge")[0].numpy())
        score = self.judge.score(values, run.seed, which)
        record |= {
            "score": score.value,
            "se": score.se,
            "last": self.judge.score(final, run.seed, which).value,
            "metrics": self.judge.describe(values, run.seed, which),
            "loss skill": self.loss_skill(lane, best),
            "sampling flops": self.sampling_flops,
            "log likelihood": self.log_likelihood(lane, best, which),
        }
        return record, arrays | {"witness": score.witness.numpy(), "samples": values[:KEPT]}

    @cached_property
    def sampling_flops(self) -> float:
        """Operations that one sampled row costs: the same in every lane."""
        first = {role: w[:1] for role, w in self.best.items()}
        return count(lambda: self.lanes.alone(0).sample(first, BATCH, "cost")) / BATCH

    def loss_skill(self, lane: int, weights: Mapping[str, Tensor]) -> float | None:
        """0 at a trivial predictor's loss, 1 at the least loss, on validation rows; None where neither is known."""
        objective = find(self.runs[lane].objective)(**self.runs[lane].setting)
        if not isinstance(objective, Generative) or type(objective).loss_range is Generative.loss_range:
            return None
        run, encoder = self.runs[lane], self.encoders[lane]
        rows = self.judge.table.values[self.judge.numbers(run.seed, "validation", DESCRIBED)]
        x_new = torch.from_numpy(encoder.encode(rows))
        x = self.lanes.data[lane, : int(self.lanes.sizes[lane])]
        rng = Rng.of(run.seed)["loss skill"]
        known = objective.loss_range(x[:2000], x_new, rng)
        if known is None:
            return None
        nets = self.lanes.nets({role: w[0] for role, w in weights.items()})
        with torch.no_grad():
            loss = float(objective.updates()[0].loss(nets, Batch(x_new, {}, torch.tensor(1.0)), rng))
        trivial, least = known
        return (trivial - loss) / (trivial - least)

    def log_likelihood(self, lane: int, weights: Mapping[str, Tensor], which: Which) -> float | None:
        """Mean log-density of the judging rows in the judge's space, where rows are real vectors."""
        objective = self.lanes.objective
        if not isinstance(objective, Generative) or objective.scores != "log density":
            return None
        return log_likelihood(
            self.judge, self.encoders[lane], self.runs[lane].seed, which,
            lambda x: objective.score(self.lanes.nets({r: w[0] for r, w in weights.items()}), x),
        )  # fmt: skip

    def save(self, state: State) -> None:
        """A checkpoint: everything, so that a killed run resumes to the same numbers."""
        arrays = {f"state/{k}": v.numpy() for k, v in state.flat().items()}
        arrays |= {f"best/{k}": v.numpy() for k, v in self.best.items()}
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
        tensors = {k: torch.from_numpy(v.copy()) for k, v in arrays.items()}
        self.best = {k[5:]: v for k, v in tensors.items() if k.startswith("best/")}
        flat = {k[6:]: v for k, v in tensors.items() if k.startswith("state/")}
        return State.of(record["step"], flat)


def log_likelihood(
    judge: Judge, encoder: Encoder, seed: int, which: Which, density: Callable[[Tensor], Tensor]
) -> float | None:
    """Mean log p of the judging rows, as a density over the judge's space; None if a column is discrete."""
    if encoder.jitter.any() or any(c.missing for c in encoder.schema.columns):
        return None
    rows = judge.table.values[judge.numbers(seed, which)]
    x, y = encoder.encode(rows), judge.space.encode(rows)
    stretch = np.log((x[1:] - x[:-1]).std(0) / (y[1:] - y[:-1]).std(0)).sum()  # x = a y + b per column
    with torch.no_grad():
        found = float(density(torch.from_numpy(x)).double().mean()) + float(stretch)
    return found if math.isfinite(found) else None


def make_lanes(judge: Judge, runs: tuple[Run, ...], own: Mapping[str, Any] | None) -> tuple[list[Encoder], Lanes]:
    """The lanes of some runs and the encoding of each."""
    first = runs[0]
    encoders, rows = [], []
    for run in runs:
        train = judge.split(run.seed).train
        if run.share < 1:
            order = np.random.Generator(np.random.PCG64(run.seed)).permutation(len(train))
            train = train[np.sort(order[: max(2, round(run.share * len(train)))])]
        values = judge.table.values[train]
        encoders.append(Encoder.fit(judge.table.schema, values))
        rows.append(torch.from_numpy(encoders[-1].encode(values)))
    sizes = torch.tensor([len(x) for x in rows])
    data = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    names = first.setting
    build: Build = builder(first.width, own=own)
    lanes = Lanes(
        objective=find(first.objective)(),
        task=Task("generate", judge.space.dim, len(judge.rest)),
        build=build,
        rng=_keys([run.seed for run in runs]),
        data=data,
        sizes=sizes,
        jitter=torch.from_numpy(np.stack([e.jitter for e in encoders])),
        hyper={k: torch.tensor([run.setting[k] for run in runs]) for k in names},
        batch=BATCH,
        salt=first.salt,
    )
    return encoders, lanes


def settled(lanes: Lanes) -> Lanes:
    """The lanes as they are if they can step together, else one by one; the user's networks may do anything."""
    loop = Loop(lanes, lanes.start(), 1)
    if lanes.count > 1:  # vmap refuses whatever a trace would; it need not be traced to know, which takes a second
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

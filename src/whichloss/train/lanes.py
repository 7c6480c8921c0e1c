"""Many seeds at once: every weight carries a leading lane axis, and lane k equals seed k trained alone.

A group of S lanes shares one objective, one task and one architecture; lanes differ by seed, by rows and by the
hyperparameters that are numbers. How many lanes go together is a matter of speed, never of meaning.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from ..objectives.base import Build, Nets, Objective
from ..rng import MASK, Rng, mix
from ..task import Batch, Task
from . import optimise
from .place import back, device, there

FIRST = 1 << 24  # numbers in the pictures from which an objective makes its memory, at most
SAMPLED = 1 << 19  # numbers in the pictures that are drawn at once
DEALT = ("embed", "align")  # goals whose losses take every other row of a batch for another thing
CONVOLUTIONS = torch.nn.modules.conv._ConvNd


def sampled(task: Task) -> int | None:
    """How many pictures are drawn at once: maps of all of them, and slopes through these, would take gigabytes."""
    return max(1, SAMPLED // task.dim) if task.shape else None


def first_pictures(batch: int, dim: int) -> int:
    """How many pictures an objective makes its memory from, at most."""
    return max(batch, FIRST // dim)


@dataclass
class State:
    """Everything a run is, so that a killed run resumes to the same numbers; each tensor leads with lanes."""

    step: int
    weights: dict[str, Tensor]  # role -> (S, P)
    averages: dict[str, Tensor]  # role -> (S, P), a moving average, uncorrected
    slots: dict[str, optimise.Slots]  # update -> optimiser memory
    memory: dict[str, Tensor]  # name -> (S, ...)

    def flat(self) -> dict[str, Tensor]:
        """All tensors by name, on the processor, for a checkpoint."""
        slots = {f"slots/{u}/{k}": v for u, kv in self.slots.items() for k, v in kv.items()}
        named = (("weights", self.weights), ("averages", self.averages), ("memory", self.memory))
        flat = slots | {f"{group}/{k}": v for group, kv in named for k, v in kv.items()}
        return back(flat)  # type: ignore[no-any-return]

    def settle(self) -> None:
        """Move to the device, in place. Steps of an optimiser, a number, are read on the processor."""
        for group in (self.weights, self.averages, self.memory):
            group.update(there(group))
        for slots in self.slots.values():
            slots.update({name: v.to(device()) for name, v in slots.items() if v.dim()})

    @staticmethod
    def of(step: int, flat: Mapping[str, Tensor]) -> "State":
        """The state of a checkpoint."""
        state = State(step, {}, {}, {}, {})
        for name, value in flat.items():
            group, rest = name.split("/", 1)
            if group == "slots":
                update, key = rest.split("/", 1)
                state.slots.setdefault(update, {})[key] = value
            else:
                getattr(state, group)[rest] = value
        return state


@dataclass(frozen=True)
class Lanes:
    """An objective on a task for S lanes: how to start, step, sample and watch them.

    `rng.key` is (S,); `data` is (S, n, d), the encoded training rows of each lane, of which the first `sizes` (S,)
    count, followed in the last dimension by their labels, if any; `jitter` (S, d) is the width of the uniform noise
    that dequantises discrete columns, labels not included; `hyper` holds (S,) values of searched fields.
    Rows of one unit (S, n), whole numbers from 0, are kept apart where batches are dealt; without, each row is its own.
    Of pictures `data` (S, n, 1 and labels) holds row numbers of `pixels` (N, d), the bytes of all pictures, which all
    lanes and workers share; a step reads only its batch. Of pairs of pictures a row of `pixels` is both, (N, 2 d).
    """

    objective: Objective
    task: Task
    build: Build
    rng: Rng
    data: Tensor
    sizes: Tensor
    jitter: Tensor
    hyper: Mapping[str, Tensor] = field(default_factory=dict)
    batch: int = 256
    salt: str = ""  # a twin's name: other draws, same rows
    pixels: Tensor | None = None
    stacked: bool = True  # False: networks that cannot be traced or vmapped; lanes go one by one
    units: Tensor | None = None
    dealt: dict[tuple[int, int], Tensor] = field(init=False, default_factory=dict)  # (lane, round) -> its order
    modules: dict[str, nn.Module] = field(init=False)
    layout: dict[str, list[tuple[str, torch.Size]]] = field(init=False)

    def __post_init__(self) -> None:
        modules = self.objective.networks(self.task, self.build)
        layout = {r: [(n, p.shape) for n, p in m.named_parameters()] for r, m in modules.items()}
        object.__setattr__(self, "modules", modules)
        object.__setattr__(self, "layout", layout)

    @property
    def count(self) -> int:
        """The number of lanes."""
        return len(self.data)

    def start(self) -> State:
        """Fresh weights and memory; equal shapes and roles start alike under equal seeds, whatever the objective."""
        weights = {role: self._initial(role) for role in self.modules}
        state = State(0, weights, {}, {}, self._memory())
        if self.objective.average:
            state.averages = {role: w.new_zeros(w.shape) for role, w in weights.items()}
        for i, update in enumerate(self.objective.updates()):
            for role in update.moves:
                state.slots[f"{i}:{role}"] = optimise.slots(update.optimiser, weights[role])
        return state

    def _memory(self) -> dict[str, Tensor]:
        lanes = []
        for k in range(self.count):  # one by one, since lanes may differ in their number of rows
            hyper = {name: value[k] for name, value in self.hyper.items()}
            rng = Rng(self.draws.key[k], self.draws.path)["memory"]
            rows = self.some(k, first_pictures(self.batch, self.task.dim) if self.pixels is not None else None)
            lanes.append(replace(self.objective, **hyper).memory(self.labelled(rows), rng))
        return {name: torch.stack([lane[name] for lane in lanes]) for name in lanes[0]}

    @property
    def draws(self) -> Rng:
        """The stream of everything but the batches."""
        return self.rng[self.salt] if self.salt else self.rng

    def _initial(self, role: str) -> Tensor:
        lanes = []
        for key in self.draws.key.tolist():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(mix(key & MASK, self.draws["initial"][role].path) >> 1)
                module = self.objective.networks(self.task, self.build)[role]
            lanes.append(torch.cat([p.detach().reshape(-1) for p in module.parameters()]))
        return torch.stack(lanes)

    def nets(self, weights: Mapping[str, Tensor], y: Tensor | None = None) -> Nets:
        """The networks of one lane, bound to its flat weights (P,) by role, and to the classes y (B, K) of the rows
        that they generate, where these are given."""
        return Nets({role: self._bind(role, w) for role, w in weights.items()}, y if self.task.given else None)

    def _bind(self, role: str, flat: Tensor) -> Callable[..., Tensor]:
        shapes = self.layout[role]
        parts = torch.split(flat, [shape.numel() for _, shape in shapes])
        params = {n: p.view(shape) for (n, shape), p in zip(shapes, parts, strict=True)}
        params |= {n: b.to(flat.device) for n, b in self.modules[role].named_buffers()}
        return lambda *inputs: functional_call(self.modules[role], params, inputs)

    def matrices(self, role: str) -> Tensor:
        """1 where a flat weight (P,) is of a matrix or a kernel, 0 where it is a bias, a gain or a single number."""
        return torch.cat([torch.full((shape.numel(),), float(len(shape) > 1)) for _, shape in self.layout[role]])

    @property
    def together(self) -> bool:
        """Do lanes go through one vmap? Not convolutions, which gain nothing from it and lose memory."""
        parts = (part for module in self.modules.values() for part in module.modules())
        return self.stacked and self.count > 1 and not any(isinstance(part, CONVOLUTIONS) for part in parts)

    def vectorise(self, work: Callable[..., Any], shared: tuple[int, ...] = ()) -> Callable[..., Any]:
        """`work` of one lane's arguments, for all lanes: at once by vmap, or one by one, without it. Arguments
        numbered in `shared` have no lane axis."""
        if not self.together:
            return self.in_turn(single(work, shared), shared)

        def together(*arguments: Any) -> Any:
            dims = tuple(None if i in shared else 0 for i in range(len(arguments)))
            return torch.vmap(work, in_dims=dims)(*arguments)

        return together

    def in_turn(self, work: Callable[..., Any], shared: tuple[int, ...] = ()) -> Callable[..., Any]:
        """`work` of a group of one lane, for all lanes, one after the other."""
        if self.count == 1:
            return work

        def turns(*arguments: Any) -> Any:
            lanes = [work(*lane(k, arguments, shared)) for k in range(self.count)]
            return tree_map(lambda *leaves: torch.cat(leaves), *lanes)

        return turns

    def map(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """work(objective, rng, *one lane's arguments) for every lane, without gradients."""

        def one(hyper: Mapping[str, Tensor], key: Tensor, *rest: Any) -> Any:
            objective = replace(self.objective, **hyper) if hyper else self.objective
            return work(objective, Rng(key, self.draws.path), *rest)

        with torch.no_grad(), device():
            hyper, *rest = there((dict(self.hyper), *arguments))
            return back(self.vectorise(one)(hyper, self.draws.key, *rest))

    def trained(self, weights: Mapping[str, Tensor], lane: int = 0) -> tuple[Objective, Nets]:
        """The objective with the values of one lane, and its networks."""
        values = {name: float(value[lane]) for name, value in self.hyper.items()}
        return replace(self.objective, **values), self.nets({role: w[lane] for role, w in weights.items()})

    def alone(self, lane: int) -> "Lanes":
        """One lane of the group, by itself."""
        here = slice(lane, lane + 1)
        hyper = {k: v[here] for k, v in self.hyper.items()}
        rng = Rng(self.rng.key[here], self.rng.path)
        return replace(
            self,
            rng=rng,
            data=self.data[here],
            units=None if self.units is None else self.units[here],
            sizes=self.sizes[here],
            jitter=self.jitter[here],
            hyper=hyper,
        )

    def some(self, lane: int, most: int | None = None) -> Tensor:
        """Training rows of one lane, as encoded: all, or at most so many, spread evenly."""
        rows = self.data[lane, : int(self.sizes[lane])]
        if most is not None and len(rows) > most:
            rows = rows[torch.linspace(0, len(rows) - 1, most).long()]
        return self.read(rows)

    def read(self, rows: Tensor) -> Tensor:
        """Rows of `data` with the pictures that they name, in [-1, 1], in the place of their numbers."""
        if self.pixels is None:
            return rows
        x = self.pixels[rows[:, 0].long().to(self.pixels.device)].to(rows.device, torch.get_default_dtype())
        x = x.div_(127.5).sub_(1)
        return torch.cat([x, rows[:, 1:].to(x)], dim=1) if rows.shape[1] > 1 else x

    def rows(self, number: int) -> Tensor:
        """Batch `number` of every lane (S, B, d): the same rows for every objective that shares the key."""
        rng, (lanes, n, dim) = self.rng.at(number), self.data.shape
        if self.task.goal in DEALT:
            index = torch.stack([self.deal(k, number) for k in range(lanes)])
        else:
            index = rng.integers("rows", (self.batch,), 1 << 40) % self.sizes[:, None]
        offset = torch.arange(lanes).mul_(n).unsqueeze_(1)
        x = self.read(self.data.reshape(lanes * n, dim).index_select(0, (index + offset).reshape(-1)))
        x = x.view(lanes, self.batch, -1)
        if self.jitter.any():
            noise = self.jitter[:, None] * (rng.uniform("jitter", (self.batch, self.task.dim)) - 0.5)
            x = x + torch.nn.functional.pad(noise, (0, x.shape[2] - self.task.dim))
        return x

    def deal(self, lane: int, number: int) -> Tensor:
        """The rows (B,) of a lane's batch: all rows are shuffled, dealt out, and shuffled again.

        Row r of the k rows of a unit gets the place (r + u) / k of the pack, u its own of every unit: they are as far
        from each other as can be. None comes twice in a batch, unless there are fewer.
        """
        n = int(self.sizes[lane])
        turn, place = divmod(number, max(1, n // self.batch))
        if (lane, turn) not in self.dealt:
            for old in [at for at in self.dealt if at[0] == lane]:
                del self.dealt[old]
            rng = Rng(self.rng.key[lane : lane + 1], self.rng.path)["deal"].at(turn)
            units = torch.arange(n) if self.units is None else self.units[lane, :n]
            packs = [places(units, rng[k]).argsort() for k in range(-(-self.batch // n))]
            self.dealt[lane, turn] = torch.cat(packs)
        return self.dealt[lane, turn][place * self.batch : (place + 1) * self.batch]

    def labelled(
        self, rows: Tensor, memory: Mapping[str, Tensor] | None = None, progress: Tensor | None = None
    ) -> Batch:
        """Rows of `data` (B, d and labels) as a step sees them."""
        x, y = rows[:, : self.task.dim], rows[:, self.task.dim :]
        if self.task.labels in ("one", "ordered"):
            y = (y == torch.arange(self.task.classes, dtype=y.dtype)).to(y.dtype)
        progress = torch.zeros(()) if progress is None else progress
        return Batch(x, memory or {}, progress, y, self.task.shape, self.task.words, self.task.second)

    def told(self, n: int) -> Tensor:
        """The classes (S, n, K), one-hot, of n rows to be drawn, in the shares of each lane's training rows."""
        given = self.task.given
        if not given:
            return torch.zeros(self.count, n, 0)
        labels = [rows[: int(size), -1].long() for rows, size in zip(self.data, self.sizes, strict=True)]
        found = torch.stack([in_shares(y.bincount(minlength=given), n) for y in labels])
        return torch.nn.functional.one_hot(found, given).to(torch.get_default_dtype())

    def sample(self, weights: Mapping[str, Tensor], n: int, name: str) -> Tensor:
        """n rows drawn by every lane's networks: (S, n, d); row i is of the class that `told` says."""
        parts = self.told(n).split(sampled(self.task) or n, dim=1)
        found, start = self._drawn(weights, parts[0], (name,)), parts[0].shape[1]
        if len(parts) > 1:  # written where they stay: all parts and their copy would take twice the memory
            found = torch.cat([found, found.new_empty(len(found), n - start, found.shape[2])], dim=1)
        for k, y in enumerate(parts[1:], 1):
            found[:, start : start + y.shape[1]] = self._drawn(weights, y, (name, "part", k))
            start += y.shape[1]
        return found

    def _drawn(self, weights: Mapping[str, Tensor], y: Tensor, key: tuple[str | int, ...]) -> Tensor:
        def work(objective: Any, rng: Rng, weights: Mapping[str, Tensor], y: Tensor) -> Tensor:
            for part in ("sample", *key):
                rng = rng[part]
            rows: Tensor = objective.sample(self.nets(weights, y), (len(y), self.task.dim), rng)
            return rows

        return self.map(work, dict(weights), y)  # type: ignore[no-any-return]

    def watch(self, state: State, steps: int) -> dict[str, Tensor]:
        """The objective's named numbers on a fresh batch, each (S,)."""
        progress = torch.tensor(state.step / steps)

        def work(
            objective: Objective,
            rng: Rng,
            weights: Mapping[str, Tensor],
            rows: Tensor,
            memory: Mapping[str, Tensor],
        ) -> dict[str, Tensor]:
            batch = self.labelled(rows, memory, progress)
            return objective.watch(self.nets(weights, batch.y), batch, rng["watch"][state.step])

        rows = self.rows(-1 - state.step)
        return self.map(work, state.weights, rows, state.memory)  # type: ignore[no-any-return]


def in_shares(shares: Tensor, n: int) -> Tensor:
    """n classes (n,) in these shares (K,), to a row or two, in every part of them too: nothing is drawn.

    The class at a share u_i of all rows, u_i = (i + 1/2) (sqrt 5 - 1) / 2 modulo 1, which spreads any stretch of i
    evenly over [0, 1) (Weyl, 1916).
    """
    u = (torch.arange(n, dtype=torch.float64) + 0.5) * (5**0.5 - 1) / 2 % 1
    ends = shares.double().cumsum(0)
    return torch.searchsorted(ends, u * ends[-1], right=True)


def places(units: Tensor, rng: Rng) -> Tensor:
    """Where in [0, 1) the rows (n,) of units lie in a shuffled pack, those of one unit evenly spread."""
    order = rng.uniform("rows", (len(units),)).reshape(-1).argsort()
    order = order[units[order].argsort(stable=True)]  # by unit, within it at random
    counts = units.bincount()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order)) - (counts.cumsum(0) - counts)[units[order]]
    start = rng.uniform("units", (len(counts),)).reshape(-1)
    return (rank + start[units]) / counts[units]


def lane(k: int, arguments: tuple[Any, ...], shared: tuple[int, ...] = ()) -> list[Any]:
    """Arguments of all lanes -> those of a group of lane k alone."""
    return [a if i in shared else tree_map(lambda leaf: leaf[k : k + 1], a) for i, a in enumerate(arguments)]


def single(work: Callable[..., Any], shared: tuple[int, ...] = ()) -> Callable[..., Any]:
    """`work` of one lane's arguments, for a group of one lane: without vmap."""

    def alone(*arguments: Any) -> Any:
        first = (a if i in shared else tree_map(lambda leaf: leaf[0], a) for i, a in enumerate(arguments))
        return tree_map(lambda leaf: leaf[None], work(*first))

    return alone

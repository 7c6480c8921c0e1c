"""Can a loss succeed at all? With free vectors in the place of networks, one a thing, it must tell what is alike.

What is alike is said by units or classes (n,), equal where things are; or by given pairs (p, 3): the numbers of two
things, and 1 or 0.

No network makes embeddings that free vectors could not be: a loss whose least value leaves these muddled leaves any
network's muddled, whatever the data and however long the training.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from ..doctor.say import Say
from ..metrics import labels
from ..metrics.embeddings import cosines, directions, retrieve
from ..objectives import Aligner, Embedder, Objective, find
from ..objectives.base import Adam, Update
from ..rng import Rng
from ..task import Finding, Task
from ..train import Lanes, Loop, State
from ..train.loop import Losses
from .goals import judge_of
from .store import Store

GOALS = ("embed", "align")
STEPS = 300
RATES = (0.1, 0.01)  # of Adam; the second where vectors that moved by the first do not reach enough
ENOUGH = 0.9  # of what could be reached
LEVEL = 1e-3  # of a loss: nearer ones stand level


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far an objective came with free vectors for so many things. reached, chance: the share of them whose partner
    (or, where classes say what is alike, whose nearest other's class) is right, or where pairs are given how often one
    that is alike has the higher cosine than one that is not; loss: the last; collapse: that of equal vectors, all else
    as it ended; left_out: why it was not tried."""

    objective: str
    things: int = 0
    reached: float = 0.0
    chance: float = 0.0
    loss: float | None = None
    collapse: float | None = None
    steps: int = 0
    left_out: str = ""
    given: bool = False  # things are those of given pairs

    def findings(self, goal: str) -> tuple[Finding, ...]:
        """A fault where even free vectors fail, or where nothing but where they started kept them apart."""
        if self.left_out:
            return ()
        known = {"loss": self.loss, "loss of equal vectors": self.collapse}
        evidence = {"reached": self.reached, "chance": self.chance}
        evidence |= {name: value for name, value in known.items() if value is not None}
        if self.reached < ENOUGH:
            return (self._cannot(goal, evidence),)
        if self.loss is None or self.collapse is None or self.collapse > self.loss + LEVEL * max(1e-3, abs(self.loss)):
            return ()
        return (
            Say(self.objective).fault(
                "contract: collapse costs nothing",
                f"Nothing keeps things apart: equal embeddings have the loss {self.collapse:.4g}, and free vectors "
                f"that tell {self.things} things apart {self.loss:.4g}, which is no less.",
                "The loss only draws together, or a margin of 0 asks for nothing; a network that puts everything in "
                "one place is as good as any.",
                "Compare with others, raise the margin, or hold variances up.",
                evidence,
            ),
        )

    def _cannot(self, goal: str, evidence: dict[str, float]) -> Finding:
        what = f"recall@1 {self.reached:.1%} of {self.things} pairs"
        if self.given:
            what = f"an AUROC of {self.reached:.1%} on the very pairs of {self.things} things that they learn from"
        elif goal == "embed":
            what = f"the right class of the nearest neighbour for {self.reached:.1%} of {self.things} rows"
        least = "" if self.loss is None else f", to a loss of {self.loss:.4g}"
        return Say(self.objective).fault(
            "contract: cannot succeed",
            f"Cannot succeed: even free vectors, one a row and no network, reach only {what} ({self.chance:.1%} by "
            f"chance) when nothing but this loss moves them ({self.steps} steps{least}).",
            "The least value of the loss does not part what differs: cosines without a learnt factor and shift are "
            "logits that cannot be sure.",
            "Let a factor and a shift of the cosines be learnt, weigh alike things as heavily as all others, or "
            "compare with a softmax over the others.",
            evidence,
        )


@dataclass(frozen=True)
class FreeJob:
    """One objective of a plan; `code` is the hash of its source, `data` that of the rows."""

    folder: str
    data: str
    objective: str
    code: str

    @property
    def id(self) -> str:
        """The name on disk."""
        return f"free-{self.data}-{self.code}"


def work(job: FreeJob, tell: Callable[[Any], None]) -> None:
    """Try and keep one objective."""
    judge = judge_of(job.folder)
    alike = judge.kinds()
    found = Reach(objective=job.objective, left_out="nothing but views says what is alike, and a free vector has none")
    if alike is not None:
        found = reach(find(job.objective).suited(judge.task), torch.from_numpy(alike), job.objective)
    Store(job.folder).write(job.id, msgspec.to_builtins(found), {})


def reach(objective: Objective, alike: Tensor, name: str = "") -> Reach:
    """Minimise an objective's own loss over free vectors for rows, or pairs, of which equal entries of `alike` (n,) say
    which are equally right, or of one class; or for the things of given pairs `alike` (p, 3)."""
    try:
        return _reach(objective, alike, name)
    except Exception as error:  # a person's own loss may ask more of its rows than to be told apart
        return Reach(objective=name, left_out=f"its loss on free vectors raised {type(error).__name__}: {error}")


def _reach(objective: Objective, alike: Tensor, name: str) -> Reach:
    if alike.ndim == 1:
        alike = alike.unique(return_inverse=True)[1]
    if not alike.any():  # none, or all of one kind
        return Reach(objective=name, left_out="no two classes have two training rows each")
    made: list[int] = []
    lanes = lanes_of(objective, alike, made)
    if why := objective.unfit(lanes.task):
        return Reach(objective=name, left_out=why)
    if len(made) < (2 if isinstance(objective, Aligner) else 1):
        return Reach(objective=name, left_out="its networks are not made by `build`, which could replace them")
    if isinstance(objective, Embedder) and blind(lanes):
        return Reach(objective=name, left_out="it learns from views, not from labels, and a free vector has no views")
    best = Reach(objective=name, reached=-1.0)
    for rate in RATES:
        found = minimised(replace(lanes, objective=freed(objective, rate)), alike, name)
        best = max(best, found, key=lambda one: one.reached)
        if best.reached >= ENOUGH:
            break
    return best


class Free(nn.Module):
    """A vector for each of n things, looked up by its number: (B, 1) -> (B, e)."""

    def __init__(self, things: int, size: int) -> None:
        super().__init__()
        self.z = nn.Parameter(torch.randn(things, size))

    def forward(self, number: Tensor) -> Tensor:
        return self.z[number[:, 0].long()]


class Same(nn.Module):
    """What goes in comes out: a head that may lose nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.none = nn.Parameter(torch.zeros(0))

    def forward(self, z: Tensor) -> Tensor:
        return z


def lanes_of(objective: Objective, alike: Tensor, made: list[int]) -> Lanes:
    """One lane whose rows are numbers; the networks of numbers are free vectors, counted in `made`."""
    n = things(alike)
    number = torch.arange(n, dtype=torch.get_default_dtype())
    if alike.ndim == 2:
        task, rows = Task("embed", 1, n, second=1), alike.to(number)
    elif isinstance(objective, Aligner):
        task, rows = Task("align", 1, n, second=1), torch.stack([number, number], dim=1)
    else:
        rows = torch.stack([number, alike.to(number)], dim=1)
        task = Task("embed", 1, n, int(alike.max()) + 1, "one")

    def build(role: str, inputs: int, outputs: int, *, smooth: bool = False) -> nn.Module:
        if inputs == 1:
            made.append(outputs)
            return Free(n, outputs)
        return Same() if inputs == outputs else nn.Linear(inputs, outputs)

    sizes, rng = torch.tensor([len(rows)]), Rng(Rng.of(0).key.reshape(-1))["free"]
    return Lanes(objective, task, build, rng, rows[None], sizes, torch.zeros(1, 1), batch=len(rows), stacked=False)


def things(alike: Tensor) -> int:
    """How many things there are."""
    return len(alike) if alike.ndim == 1 else int(alike[:, :2].max()) + 1


def freed(objective: Objective, rate: float) -> Objective:
    """The objective with Adam at this rate for all that it moves: vectors need longer steps than weights."""
    kind: type = type(objective)

    @dataclass(frozen=True)
    class Freed(kind):  # type: ignore[misc]
        def updates(self) -> Sequence[Update]:
            return [replace(update, optimiser=Adam(rate)) for update in super().updates()]

    made: Objective = Freed(**{f.name: getattr(objective, f.name) for f in fields(objective) if f.init})
    return made


def blind(lanes: Lanes) -> bool:
    """Does the loss stay what it is when the labels go to other rows?"""
    x, y = lanes.data[..., :1], lanes.data[..., 1:]
    order = lanes.rng.uniform("other rows", (y.shape[1],))[0].argsort()
    ways = [replace(lanes, data=data) for data in (lanes.data, torch.cat([x, y[:, order]], dim=2))]
    first, second = (Loop(way, way.start(), 1).step() for way in ways)
    return all(torch.equal(first[name], second[name]) for name in first)


def minimised(lanes: Lanes, alike: Tensor, name: str) -> Reach:
    """What is reached after all steps."""
    loop, losses = Loop(lanes, lanes.start(), STEPS), {}
    while loop.state.step < STEPS:
        losses = loop.step()

    def embedded(objective: Any, rng: Rng, weights: dict[str, Tensor], rows: Tensor) -> Tensor:
        nets = lanes.nets(weights)
        if isinstance(objective, Aligner):
            return torch.stack([objective.first(nets, rows[:, :1]), objective.second(nets, rows[:, 1:])])
        if rows.shape[1] == 3:
            return torch.stack([objective.embed(nets, rows[:, k : k + 1]) for k in range(2)])
        z: Tensor = objective.embed(nets, rows[:, :1])
        return z[None]

    z = lanes.map(embedded, loop.state.weights, lanes.data)[0]
    if alike.ndim == 2:
        right, chance = told(z, alike[:, 2])
    else:
        right, chance = retrieved(z, alike) if len(z) > 1 else neighboured(z[0], alike)
    return Reach(
        objective=name,
        things=things(alike),
        given=alike.ndim == 2,
        reached=right,
        chance=chance,
        loss=total(losses),
        collapse=total(collapsed(lanes, loop.state)),
        steps=STEPS,
    )


def collapsed(lanes: Lanes, state: State) -> Losses:
    """The losses where all free vectors that move are equal."""
    moved = {role for update in lanes.objective.updates() for role in update.moves}
    equal = {role: torch.ones_like(w) for role, w in state.weights.items() if free(lanes, role) and role in moved}
    return Loop(lanes, replace(state, weights={**state.weights, **equal}), state.step + 1).step()


def free(lanes: Lanes, role: str) -> bool:
    """Is the network of a role free vectors?"""
    return any(isinstance(part, Free) for part in lanes.modules[role].modules())


def total(losses: Losses) -> float | None:
    """The sum over all updates, where it is finite."""
    found = sum(float(value.sum()) for value in losses.values())
    return found if math.isfinite(found) else None


def retrieved(z: Tensor, alike: Tensor) -> tuple[float, float]:
    """Recall@1 of z (2, n, e), the mean of both ways, and by chance; 0 where z has become infinite."""
    if not bool(z.isfinite().all()):
        return 0.0, 1 / len(alike)
    ways = retrieve(z[0], z[1], alike, alike), retrieve(z[1], z[0], alike, alike)
    chance = (ways[0].answers / len(alike)).mean()
    return float(sum(way.found(1).mean() for way in ways) / 2), float(chance)


def told(z: Tensor, alike: Tensor) -> tuple[float, float]:
    """AUROC of the cosines of pairs z (2, p, e) that are alike (p,) or not, and by chance; 0 where z has become
    infinite."""
    if not bool(z.isfinite().all()):
        return 0.0, 0.5
    found = labels.predicted(cosines(z[0], z[1])[:, None], alike[:, None])
    return 1 - labels.score("auroc", found).value, 0.5


def neighboured(z: Tensor, alike: Tensor) -> tuple[float, float]:
    """The share of rows of z (n, e) whose nearest other row is of their class, each class counting the same, and by
    chance; 0 where z has become infinite."""
    sizes = alike.bincount()
    chance = 1 / int((sizes > 0).sum())
    if not bool(z.isfinite().all()):
        return 0.0, chance
    d = directions("z", z)
    cosine = (d @ d.T).fill_diagonal_(-torch.inf)
    nearest = cosine >= cosine.amax(dim=1, keepdim=True) - 1e-6  # what stands level comes by chance
    right = (nearest & (alike[:, None] == alike)).sum(dim=1) / nearest.sum(dim=1)
    shares = torch.zeros(len(sizes), dtype=right.dtype).index_add_(0, alike, right) / sizes.clamp(min=1)
    return float(shares.sum()) * chance, chance

"""What an objective is: networks, updates, memory, and how the trained networks are used.

An objective is a frozen dataclass whose fields are its hyperparameters. It knows no device, lane, optimiser state,
logger or file; `whichloss.train` moves the weights. A field named in `search` may hold one number per lane.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..losses.denoisers import loss_between
from ..rng import Rng
from ..task import Batch, Goal, Task

Net = Callable[..., Tensor]


class Build(Protocol):
    """Makes the network of a role: build("D", inputs, outputs); it adds inputs for what rows are given (Nets)."""

    def __call__(self, role: str, inputs: int, outputs: int, *, smooth: bool = False) -> nn.Module: ...


class Nets:
    """The networks with their weights bound, by role: nets.D(x).

    given: the classes (B, K), one-hot, that rows are generated given. Every network is told them beside its input: of
    B rows, or of several batches of B below each other, row i is of the class given[i mod B].
    """

    def __init__(self, by_role: Mapping[str, Net], given: Tensor | None = None) -> None:
        self.by_role = by_role
        self.given = given

    def __getattr__(self, role: str) -> Net:
        net, given = self.by_role[role], self.given
        if given is None:
            return net

        def told(x: Tensor) -> Tensor:
            if len(x) % len(given):
                raise UserError(
                    f"{role} was called with {len(x)} rows, but the classes of {len(given)} are given: call it with as "
                    "many, or with whole batches below each other, or say whose they are: nets.told(y)."
                )
            return net(torch.cat([x, given.repeat(len(x) // len(given), 1).to(x.dtype)], dim=1))

        return told

    def told(self, y: Tensor) -> "Nets":
        """The same networks for rows of the classes y (B, K); as they are where K = 0, since nothing is given."""
        return Nets(self.by_role, y) if y.shape[1] else self


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, 2015), eps 1e-8, with bias correction.

    decay: what is taken off each weight of a matrix or a kernel beside the step, times the rate (Loshchilov & Hutter,
    2019); warmup: the share of the run over which the rate rises to `lr`, from which it falls to 0; None: it stays.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    decay: float = 0.0
    warmup: float | None = None

    def pace(self, progress: float) -> float:
        """The share of `lr` at this part of a run, in (0, 1)."""
        if self.warmup is None:
            return 1.0
        return min(progress / self.warmup if self.warmup else 1.0, (1 - progress) / (1 - self.warmup))


@dataclass(frozen=True)
class RMSprop:
    """RMSprop (Tieleman & Hinton, 2012), smoothing .99, eps 1e-8, no momentum."""

    lr: float
    smoothing: float = 0.99
    decay: ClassVar[float] = 0.0

    def pace(self, progress: float) -> float:
        """The rate stays."""
        return 1.0


Loss = Callable[[Nets, Batch, Rng], Tensor]


@dataclass(frozen=True)
class Update:
    """Some gradient steps on one loss that move the named roles only."""

    moves: tuple[str, ...]
    loss: Loss
    optimiser: Adam | RMSprop
    times: int = 1
    project: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)  # role -> what follows a step
    active: tuple[float, float] = (0.0, 1.0)  # the part of the run in which the update acts


@dataclass(frozen=True)
class Objective(ABC):
    """A training rule. Subclasses are final: one file each, found by their file's name."""

    goal: ClassVar[Goal]
    search: ClassVar[Mapping[str, tuple[float, ...]]] = {}  # field -> the few values worth trying
    stops_gradient: ClassVar[bool] = False  # a detach() in a loss is meant
    average: ClassVar[float] = 0.0  # decay of the moving average used for sampling; 0 = none
    pictures: ClassVar[Mapping[str, Any]] = {}  # field -> its default where rows are pictures

    @classmethod
    def suited(cls, task: Task, **setting: float) -> Self:
        """The objective with the defaults that suit a task's rows, and these values."""
        return cls(**{**(cls.pictures if task.shape else {}), **setting})

    def unfit(self, task: Task) -> str | None:
        """Why the objective cannot run on this task, or None."""
        return None

    @classmethod
    def searched(cls, task: Task) -> Mapping[str, tuple[float, ...]]:
        """Of `search`, what makes a difference on this task."""
        return cls.search

    @abstractmethod
    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        """The networks by role."""

    @abstractmethod
    def updates(self) -> Sequence[Update]:
        """The updates of one step, in order."""

    def memory(self, data: Batch, rng: Rng) -> dict[str, Tensor]:
        """What lives between steps, made from all training rows of one lane."""
        return {}

    def refresh(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        """The memory entries to overwrite before each batch's update."""
        return {}

    def watch(self, nets: Nets, batch: Batch, rng: Rng) -> dict[str, Tensor]:
        """Named numbers worth plotting (critic slope, energy gap, acceptance)."""
        return {}


@dataclass(frozen=True)
class Denoised:
    """Losses of rows, each with its own noise, all (B,): the networks', a trivial denoiser's and a good one's."""

    noise: Tensor  # (B,) or (B, 1), in any unit
    loss: Tensor
    trivial: Tensor
    good: Tensor

    @property
    def skill(self) -> float | None:
        """0 at the trivial loss, 1 at the good one; None where one is hardly below the other."""
        known = loss_between(self.trivial, self.good)
        return None if known is None else (known[0] - float(self.loss.mean())) / (known[0] - known[1])

    @property
    def skill_by_level(self) -> tuple[float, ...]:
        """1 - loss / trivial loss over the thirds of the rows with little, middle and much noise."""
        order = self.noise.flatten().argsort(stable=True)
        return tuple(1 - float(self.loss[part].sum() / self.trivial[part].sum()) for part in order.tensor_split(3))


@dataclass(frozen=True)
class Generative(Objective):
    """An objective that learns a distribution and can be sampled."""

    goal = "generate"
    scores: ClassVar[Literal["", "energy", "log density"]] = ""  # what `score` returns, if anything

    rough: ClassVar[Mapping[str, int]] = {}  # field -> its value where a rough sample will do, at less cost

    @abstractmethod
    def sample(self, nets: Nets, shape: tuple[int, ...], rng: Rng) -> Tensor:
        """Draw `shape` = (n, d) rows."""

    def score(self, nets: Nets, x: Tensor) -> Tensor:
        """Energy or log-density of each row (n,), where `scores` says so. Raises UserError elsewhere."""
        raise UserError(f"{type(self).__name__} learns neither an energy nor a density; it cannot score rows.")

    def unlike(self, nets: Nets, x: Tensor) -> Tensor:
        """Energy, or minus log-density, of each row (n,): the higher, the less likely."""
        found = self.score(nets, x).reshape(len(x))
        return -found if self.scores == "log density" else found

    def denoised(self, nets: Nets, x: Tensor, x_new: Tensor, rng: Rng) -> Denoised | None:
        """The loss of new rows, beside those of two denoisers that the rows x give; None where neither is known."""
        return None


@dataclass(frozen=True)
class Embedder(Objective):
    """An objective that learns where rows lie: similar ones close."""

    goal = "embed"
    size: ClassVar[int] = 64  # numbers in an embedding
    apart: ClassVar[str] = (  # why it cannot learn from given pairs, each with 1 or 0, alike or not; "": it can
        "it compares every row of a batch with all others, and a given pair speaks of its own two things only"
    )

    def unfit(self, task: Task) -> str | None:
        return (self.apart or None) if task.second else None

    @abstractmethod
    def embed(self, nets: Nets, x: Tensor) -> Tensor:
        """Rows (B, d) -> embeddings (B, size), whose directions count."""

    @abstractmethod
    def collapsed(self, rows: int) -> float:
        """The loss of a batch of so many rows where all embeddings are equal, as a network that learns nothing makes
        them."""

    def least(self, counts: Sequence[int]) -> float | None:
        """The least loss that any embeddings reach in a batch whose classes (or equal rows) occur so often; None where
        it is 0, or not known."""
        return None


@dataclass(frozen=True)
class Aligner(Objective):
    """An objective that puts two kinds of things into one space: what belongs together close."""

    goal = "align"
    size: ClassVar[int] = 128  # numbers in an embedding

    @abstractmethod
    def first(self, nets: Nets, x: Tensor) -> Tensor:
        """The first things (B, d) -> (B, size), whose directions count."""

    @abstractmethod
    def second(self, nets: Nets, y: Tensor) -> Tensor:
        """The second things (B, e), vectors or ids -> (B, size)."""

    @abstractmethod
    def collapsed(self, rows: int) -> float | None:
        """The loss of a batch of so many pairs where all embeddings are equal, if that is one number."""

    def least(self, counts: Sequence[int]) -> float | None:
        """The least loss that any embeddings reach in a batch whose units occur so often; None where it is 0, or not
        known."""
        return None


@dataclass(frozen=True)
class Classifier(Objective):
    """An objective that learns the classes of rows."""

    goal = "classify"

    @abstractmethod
    def logits(self, nets: Nets, x: Tensor, task: Task) -> Tensor:
        """(B, K): p = softmax of a row over the classes; sigmoid of each number where rows have several labels."""

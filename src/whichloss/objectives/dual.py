"""What aligning two kinds of things shares: a network for each, into one space."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..nets.views import SHADE, cropped, fewer_words, shaded
from ..rng import Rng
from ..task import Batch, Task
from .base import Adam, Aligner, Build, Nets, Update


@dataclass(frozen=True)
class DualEncoder(Aligner):
    """z = I(x), z' = T(y) (Radford et al., 2021); of pictures a random square crop is seen in training, with `augment`
    a bent one in other colours, of texts all but a share of `word_dropout` of their words. The optimiser is the
    paper's, with less decay: runs are short."""

    lr: float = 2e-3
    augment: float = 0.0
    word_dropout: float = 0.0
    search = {"lr": (1e-3, 2e-3, 4e-3), "augment": (0.0, 1.0), "word_dropout": (0.0, 0.3)}

    @classmethod
    def searched(cls, task: Task) -> Mapping[str, tuple[float, ...]]:
        fits = {"augment": bool(task.shape), "word_dropout": bool(task.words)}
        return {k: v for k, v in cls.search.items() if fits.get(k, True)}

    def networks(self, task: Task, build: Build) -> dict[str, nn.Module]:
        return {"I": build("I", task.dim, self.size), "T": build("T", task.second, self.size)}

    def updates(self) -> Sequence[Update]:
        return [Update(("I", "T"), self.loss, self.adam)]

    @property
    def adam(self) -> Adam:
        """What moves all networks."""
        return Adam(self.lr, betas=(0.9, 0.98), decay=0.05, warmup=0.03)

    @abstractmethod
    def loss(self, nets: Nets, batch: Batch, rng: Rng) -> Tensor:
        """Of a batch: a scalar."""

    def embedded(self, nets: Nets, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor]:
        """(z, z') of a batch, (B, size) each."""
        x = self.seen(batch, rng) if batch.shape else batch.x
        y = fewer_words(batch.y, rng["words"], self.word_dropout) if batch.words else batch.y
        return nets.I(x), nets.T(y)

    def seen(self, batch: Batch, rng: Rng) -> Tensor:
        """The pictures of a batch as training sees them."""
        x = cropped(batch.x, rng["crop"], batch.shape, bend=self.augment)
        return shaded(x, rng["light"], SHADE * self.augment, batch.shape[0])

    def first(self, nets: Nets, x: Tensor) -> Tensor:
        return nets.I(x)

    def second(self, nets: Nets, y: Tensor) -> Tensor:
        return nets.T(y)

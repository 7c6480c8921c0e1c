"""A quick objective of the user's own, and an engine without processes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

MINE = '''"""Mine: match means and variances."""

from dataclasses import dataclass

from whichloss.objectives.base import Adam, Generative, Update


@dataclass(frozen=True)
class Mine(Generative):
    """min_G |mean x - mean G(z)|^2 + |var x - var G(z)|^2"""

    lr: float = 1e-2

    def networks(self, task, build):
        return {"G": build("G", 2, task.dim)}

    def updates(self):
        return [Update(("G",), self.loss, Adam(self.lr))]

    def loss(self, nets, batch, rng):
        x, y = batch.x, self.sample(nets, batch.x.shape, rng)
        return ((x.mean(0) - y.mean(0)) ** 2 + (x.var(0) - y.var(0)) ** 2).sum()

    def sample(self, nets, shape, rng):
        return nets.G(rng.normal("z", (shape[0], 2)))
'''


@dataclass
class Here:
    """The engine's contract in this process: quick, and easy to interrupt. `broken` may raise before an item."""

    broken: Callable[[Any], None] = lambda item: None
    done: list[Any] = field(default_factory=list)

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *error: object) -> None: ...

    def map(
        self, work: Callable[..., Any], items: Sequence[Any], tell: Callable[..., None] = lambda item, message: None
    ) -> Iterator[Any]:
        from whichloss.engines import Failure, Outcome

        for item in items:
            try:
                self.broken(item)
                result = work(item, lambda message, item=item: tell(item, message))
            except Exception as error:
                kind = type(error).__name__
                result = Failure(str(error), kind)
            self.done.append(item)
            yield Outcome(item, result)

"""What was seen of a training loop: numbers and names only, so that rules can be pure.

A look is one round of the loop, from one step of every optimiser to the next, that was watched closely. Curves have one
point a look, at the steps of `looks`.
"""

from dataclasses import dataclass, field
from statistics import median

import numpy as np

Curve = list[float]


class Curves:
    """What has curves, by name."""

    curves: dict[str, Curve]

    def note(self, name: str, value: float) -> None:
        """One point of a curve."""
        self.curves.setdefault(name, []).append(value)

    def late(self, name: str, share: float = 0.5) -> float | None:
        """The median of the last part of a curve, where there is one."""
        return late(self.curves.get(name, []), share)


@dataclass
class Network(Curves):
    """A network of the loop: its curves, and which of its parameters learn."""

    name: str
    parameters: int = 0
    unowned: tuple[str, ...] = ()  # parameters that no optimiser holds
    unlisted: tuple[str, ...] = ()  # that a loss reaches, in lists of the network: its parameters() does not give them
    alike: tuple[str, ...] = ()  # whose rows were all equal at the start
    still: tuple[str, ...] = ()  # held by an optimiser, yet as they were at the start
    without: tuple[str, ...] = ()  # held by an optimiser that never finds a gradient in them
    curves: dict[str, Curve] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)


@dataclass
class Loss(Curves):
    """A place where backward is called: what it computes, and whom it reaches."""

    site: str  # "train.py:41"
    text: str = ""  # the line
    values: Curve = field(default_factory=list)
    reaches: set[str] = field(default_factory=set)  # networks
    moves: set[str] = field(default_factory=set)  # networks that an optimiser stepped with this loss's gradient
    stale: set[str] = field(default_factory=set)  # networks whose gradient held that of an earlier step already
    inputs: bool = False  # does it also reach inputs that want a gradient?
    operations: frozenset[str] = frozenset()
    curves: dict[str, Curve] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    rows: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))  # of the last looks, where they have labels
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0))
    judged: tuple[
        np.ndarray, ...
    ] = ()  # of pairs that are alike (1) or not (0): how far apart their rows are, and which
    denoised: tuple[
        np.ndarray, ...
    ] = ()  # of the last looks: inputs, noise levels, what was wanted, errors, later half?


@dataclass
class Game(Curves):
    """Two players: a maker of samples and their judge. Pulls: the mean slope of a loss at the judge's outputs."""

    maker: str
    judge: str
    curves: dict[str, Curve] = field(default_factory=dict)
    real: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))  # rows that the judge was shown at the end
    made: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))
    first_made: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))


@dataclass
class Trace:
    """One loop, from its start to its end."""

    name: str
    steps: int = 0
    looks: list[int] = field(default_factory=list)
    networks: dict[str, Network] = field(default_factory=dict)
    losses: dict[str, Loss] = field(default_factory=dict)
    games: dict[tuple[str, str], Game] = field(default_factory=dict)
    pairs: dict[tuple[str, str], tuple[np.ndarray, ...]] = field(default_factory=dict)  # rows given to two networks
    bad: str = ""  # where something stopped being a finite number, and by which operation
    bad_at: int = 0  # the step
    ended: str = "finished"
    trouble: str = ""  # the first error of ours while watching
    share: float = 0.0  # of the time, spent on watching
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def crashed(self) -> bool:
        """Did an error end it?"""
        return self.ended.startswith("ended")


def late(curve: Curve, share: float = 0.5) -> float | None:
    """The median of the last part of a curve, of its finite points."""
    tail = [v for v in curve[-max(1, round(share * len(curve))) :] if np.isfinite(v)]
    return median(tail) if tail else None

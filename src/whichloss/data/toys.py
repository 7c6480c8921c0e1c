"""Built-in data with a known density: points or a curve, with Gaussian noise.

    p(x) = sum_j w_j N(x; c_j, std^2 I)

Points c_j have equal weights. On a curve c(u), u uniform in [0, 1], the sum is Gauss-Legendre
quadrature of the integral over u, exact to about 1e-8. The ring has 8 distinct centres, at angles
2 pi i / 8, i = 0 .. 7. Modes are wider than in most papers (std .01 to .05), so that a short
budget can learn them, and still 7 to 10 std apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from whichloss.errors import DataUnfit, UserError, nearest
from whichloss.rng import key

ROWS = 10_000
STACKED, CHANNELS, POOLS = "toy:stacked", 3, 20
PANELS, NODES, BLOCK = 128, 8, 4096


@dataclass(frozen=True, eq=False)
class Toy:
    """A known distribution on R^dim; centers (M, dim) if it is M equal normals of width std."""

    name: str
    dim: int
    std: float
    about: str
    centers: np.ndarray | None = None
    curve: Callable[[np.ndarray], np.ndarray] | None = None

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """(n, dim) float64; the same for the same seed."""
        generator = np.random.Generator(np.random.PCG64(key("toy", self.name, seed)))
        if self.curve is None:
            assert self.centers is not None
            middle = self.centers[generator.integers(0, len(self.centers), n)]
        else:
            middle = self.curve(generator.random(n))
        return np.asarray(middle + self.std * generator.standard_normal((n, self.dim)))

    @cached_property
    def _mixture(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres (J, dim) and log weights (J,)."""
        if self.curve is None:
            assert self.centers is not None
            return self.centers, np.full(len(self.centers), -np.log(len(self.centers)))
        at, weight = np.polynomial.legendre.leggauss(NODES)
        u = (np.arange(PANELS)[:, None] + (at + 1) / 2) / PANELS
        return self.curve(u.ravel()), np.log(np.tile(weight / 2 / PANELS, PANELS))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """(n, dim) -> (n,) float64: log p(x)."""
        x = np.asarray(x, np.float64)
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise UserError(f"toy '{self.name}': x must have shape (rows, {self.dim}); got {x.shape}.")
        centers, log_w = self._mixture
        constant = -self.dim * np.log(self.std * np.sqrt(2 * np.pi))
        parts = [np.empty(0)]
        for block in (x[i : i + BLOCK] for i in range(0, len(x), BLOCK)):
            square = sum((block[:, None, d] - centers[None, :, d]) ** 2 for d in range(self.dim))
            exponent = log_w - square / (2 * self.std**2)
            top = exponent.max(axis=1)
            parts.append(top + np.log(np.exp(exponent - top[:, None]).sum(axis=1)) + constant)
        return np.concatenate(parts)


def _ring(u: np.ndarray, radius: float) -> np.ndarray:
    return radius * np.stack([np.cos(2 * np.pi * u), np.sin(2 * np.pi * u)], axis=1)


def _swissroll(u: np.ndarray) -> np.ndarray:
    t = 1.5 * np.pi * (1 + 2 * u)
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1) / 7.5


def _moons(u: np.ndarray) -> np.ndarray:
    t = 2 * np.pi * (u % 0.5)
    upper = np.stack([np.cos(t), np.sin(t)], axis=1)
    lower = np.stack([1 - np.cos(t), 0.5 - np.sin(t)], axis=1)
    return np.where((u < 0.5)[:, None], upper, lower)


_GRID = np.stack(np.meshgrid(*[np.arange(-4.0, 5.0, 2.0)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
_ALL = (
    Toy("grid25", 2, 0.2, "25 normals on the grid {-4, -2, 0, 2, 4}^2, std 0.2", _GRID),
    Toy("moons", 2, 0.1, "two interleaved half circles of radius 1, noise 0.1", curve=_moons),
    Toy("normal1d", 1, 0.5, "a normal with mean 4 and std 0.5", np.array([[4.0]])),
    Toy("ring8", 2, 0.2, "8 normals on a circle of radius 2, std 0.2", _ring(np.arange(8) / 8, 2.0)),
    Toy(
        "swissroll",
        2,
        0.25 / 7.5,
        "a spiral of 1.5 turns with noise 0.25, all divided by 7.5",
        curve=_swissroll,
    ),
    Toy(
        "two-normals-1d",
        1,
        0.5,
        "two equal normals at -2 and 2, std 0.5",
        np.array([[-2.0], [2.0]]),
    ),
)
TOYS: dict[str, Toy] = {toy.name: toy for toy in _ALL}


def find_toy(source: str) -> tuple[Toy, int]:
    """The toy and the number of rows that `toy:NAME` or `toy:NAME:ROWS` names."""
    name, rows = _parted(source)
    if name == "stacked":
        raise UserError(f"'{source}' holds pictures, and a table is needed here: {', '.join(TOYS)}.")
    if name not in TOYS:
        raise UserError(f"There is no toy '{name}'; {nearest(name, (*TOYS, 'stacked'))}")
    return TOYS[name], rows


def _parted(source: str) -> tuple[str, int]:
    name, _, rows = source.removeprefix("toy:").partition(":")
    if rows and not (rows.isascii() and rows.isdigit()):
        raise UserError(f"'{source}': '{rows}' is no number of rows; write toy:{name}:5000.")
    return name, int(rows) if rows else ROWS


def is_stacked(source: object) -> bool:
    """Whether a source is stacked pictures: `toy:stacked`, perhaps with :ROWS and then ?source=PICTURES."""
    return isinstance(source, str) and source.partition("?")[0].split(":")[:2] == STACKED.split(":")


def find_stacked(source: str) -> tuple[int, str]:
    """How many pictures, and whose originals: a path, or nothing for scikit-learn's digits."""
    toy, _, option = source.partition("?")
    name, _, path = option.partition("=")
    if option and (name != "source" or not path):
        raise UserError(f"'{source}': '{option}' is no option; write {STACKED}?source=train-images-idx3-ubyte.gz.")
    return _parted(toy)[1], path


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 handwritten digits: pictures (n, 64) uint8 of 8 x 8, and what they show."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.rint(found.data * (255 / 16)).astype(np.uint8), found.target.astype(np.int64)


def stack(x: np.ndarray, y: np.ndarray, n: int, label: str = STACKED) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey pictures x (m, d) of classes y (m,), 0 .. K - 1 -> pictures (n, 3 d), their modes (n,), their pools (n,).

    Mode (K a + b) K + c, each as likely as every other, has a random picture of class a, of b, of c as its colours.
    Originals are dealt into 20 pools, each with every class, and all colours of a picture come from its pool: a split
    that keeps pools whole parts the originals too. Raises DataUnfit where a class has fewer than 20 pictures.
    """
    counts = np.bincount(y)
    if counts.min() < POOLS:
        raise DataUnfit(
            f"{label} needs at least {POOLS} pictures of every class to stack; one has {counts.min()}. Give a folder "
            "or file with more."
        )
    generator = np.random.Generator(np.random.PCG64(key("toy", "stacked", 0)))
    order = generator.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]  # by class, and dealt out in that order
    cell = np.arange(len(y)) % POOLS * len(counts) + y[order]  # pool, then class
    order, size = order[np.argsort(cell, kind="stable")], np.bincount(cell)
    first = np.cumsum(size) - size
    pool = np.arange(n) % POOLS
    shown = generator.integers(0, len(counts), (n, CHANNELS))
    cells = pool[:, None] * len(counts) + shown
    chosen = order[first[cells] + (generator.random((n, CHANNELS)) * size[cells]).astype(np.int64)]
    mode = shown @ len(counts) ** np.arange(CHANNELS)[::-1]
    return x[chosen].reshape(n, -1), mode.astype(np.int64), pool.astype(np.int64)

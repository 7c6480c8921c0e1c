"""How good are embeddings? Neighbours, a linear probe, retrieval, and how they fill the sphere.

Embeddings are rows (n, e) of any length other than 0; only their directions count.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from ..errors import UserError
from .labels import Outcome

BLOCK = 1 << 24  # cosines held at once
NEIGHBOURS = 15
FEW = 2000  # rows whose pairs are looked at
ROUNDING = 1e-6  # of a cosine of embeddings in float32


@dataclass(frozen=True)
class Retrieval:
    """For each query: how many wrong answers stand before its best right one, how many wrong and right ones stand
    level with that, and how many right ones there are, each (m,); `gallery` answers were searched."""

    before: Tensor
    level: Tensor
    right: Tensor
    answers: Tensor
    gallery: int

    def found(self, k: int) -> Tensor:
        """The chance (m,) that a right answer is among the first k, where what stands level comes in random order.

        1 - C(w, m) / C(w + r, m) with w wrong and r right ones level and m = k - before places left.
        """
        places = (k - self.before).clamp(min=0)
        missed = torch.ones_like(self.before, dtype=torch.float64)
        for j in range(int(places.max()) if len(places) else 0):
            left = (self.level - j).clamp(min=0) / (self.level + self.right - j).clamp(min=1)
            missed = torch.where(places > j, missed * left, missed)
        return 1 - missed

    @property
    def rank(self) -> Tensor:
        """The expected place (m,) of the first right answer, 1 = first."""
        return 1 + self.before + self.level / (self.right + 1)


def directions(name: str, z: Tensor) -> Tensor:
    """z / |z| in float64. Raises UserError for what is not (n, e) or not finite."""
    if z.ndim != 2 or not len(z):
        raise UserError(f"{name} must be (n, e), one row each; got {tuple(z.shape)}.")
    if not bool(z.isfinite().all()):
        row = int((~z.isfinite()).any(1).nonzero()[0, 0])
        raise UserError(f"{name}, row {row + 1}: not finite. Has the model diverged?")
    return normalize(z.double(), dim=1)


def retrieve(queries: Tensor, gallery: Tensor, wanted: Tensor, groups: Tensor) -> Retrieval:
    """Search a gallery (n, e) by cosine for queries (m, e); right for query i are all j with groups_j = wanted_i.

    Cosines that differ by less than rounding stand level: embeddings that have collapsed find nothing. Raises
    UserError for shapes, numbers that are not finite, and a query without a right answer.
    """
    a, b = directions("queries", queries), directions("gallery", gallery)
    if wanted.shape != (len(a),) or groups.shape != (len(b),):
        raise UserError(
            f"wanted must be ({len(a)},) and groups ({len(b)},); got {tuple(wanted.shape)} and {tuple(groups.shape)}."
        )
    found = []
    for part, mine in zip(a.split(max(1, BLOCK // len(b))), wanted.split(max(1, BLOCK // len(b))), strict=True):
        cosine, right = part @ b.T, mine[:, None] == groups
        if not bool(right.any(1).all()):
            raise UserError("a query has no right answer in the gallery: every one of `wanted` must be among `groups`.")
        best = cosine.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
        level = (cosine - best).abs() <= ROUNDING
        above = (cosine > best) & ~level & ~right
        counts = (above, level & ~right, level & right, right)
        found.append(torch.stack([each.sum(1) for each in counts]))
    before, same, good, answers = torch.cat(found, dim=1)
    return Retrieval(before, same, good, answers, len(b))


def neighbours(known: Tensor, codes: Tensor, z: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """The class (m,) of most of the k nearest of `known` (n, e), by cosine; of equally many, the nearer ones'."""
    b, classes = directions("known", known), int(codes.max()) + 1
    nearer = 1e-6 * torch.arange(k, 0, -1, dtype=torch.float64)[:, None]  # decides between equal votes only
    said = []
    for part in directions("z", z).split(max(1, BLOCK // len(b))):
        close = (part @ b.T).topk(min(k, len(b)), dim=1).indices
        said.append((one_hot(codes[close], classes) * (1 + nearer[: close.shape[1]])).sum(1).argmax(1))
    return torch.cat(said)


def probe(known: Tensor, codes: Tensor, z: Tensor) -> Tensor:
    """The class (m,) that logistic regression on the directions of `known` (n, e) predicts."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x, y = directions("known", known).numpy(), codes.numpy()
    if len(np.unique(y)) == 1:
        return codes.new_full((len(z),), int(y[0]))
    scale = 1 / max(float(x.std(0).mean()), 1e-3)  # directions are short; a ridge must not decide for them
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=300, tol=1e-3).fit(scale * (x - x.mean(0)), y)
    return torch.from_numpy(model.predict(scale * (directions("z", z).numpy() - x.mean(0))))


def share_wrong(said: Tensor, codes: Tensor) -> Outcome:
    """The share of wrong classes, its standard error over rows, and each row's influence."""
    return mean_of((said != codes).double())


def least_noise(rows: int) -> float:
    """The standard error of a share of so many rows where one of them, or all but one, is wrong: where none is, the
    rows at hand do not tell the noise."""
    p = 1 / (rows + 2)
    return float((p * (1 - p) / rows) ** 0.5)


def mean_of(losses: Tensor) -> Outcome:
    """The mean of row losses (m,), its standard error, and each row's influence."""
    mean = losses.mean()
    return Outcome(float(mean), float(losses.std() / len(losses) ** 0.5), losses - mean)


def spread_evenly(z: Tensor) -> float:
    """Uniformity, log E exp(-2 |z_i - z_j|^2) over pairs (Wang & Isola, 2020): 0 where all rows are equal, about
    -4 + 8 / e where they fill the sphere evenly."""
    d = directions("z", z)[:FEW]
    squares = (2 - 2 * d @ d.T)[~torch.eye(len(d), dtype=torch.bool)]
    return float((-2 * squares).logsumexp(0) - np.log(len(squares)))


def alignment(z: Tensor, codes: Tensor) -> float:
    """E |z_i - z_j|^2 over pairs of equal codes (Wang & Isola, 2020); nan where there is no such pair."""
    d, codes = directions("z", z)[:FEW], codes[:FEW]
    same = (codes[:, None] == codes) & ~torch.eye(len(d), dtype=torch.bool)
    return float((2 - 2 * d @ d.T)[same].mean())


def pairs_apart(a: Tensor, b: Tensor) -> float:
    """E |a_i - b_i|^2 of directions (Wang & Isola, 2020): the alignment of pairs."""
    return float((directions("a", a) - directions("b", b)).square().sum(1).mean())


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """cos(a_i, b_i) of pairs (m, e) each, in steps of rounding, so that what has collapsed stands level: (m,)."""
    return ((directions("a", a) * directions("b", b)).sum(1) / ROUNDING).round() * ROUNDING


def threshold(cosine: Tensor, alike: Tensor) -> float:
    """The cosine (m,) above which calling pairs alike (m,), 0 or 1, is right most often; midway between two of them."""
    order = cosine.argsort(stable=True)
    c, t = cosine[order].double(), alike[order].double()
    right = torch.cat([t.sum()[None], t.sum() + (1 - 2 * t).cumsum(0)])  # with the first k called not alike
    ends = torch.cat([c[:1] - 2 * ROUNDING, c, c[-1:] + 2 * ROUNDING])
    right[1:-1][c[1:] <= c[:-1]] = -1.0  # equal cosines cannot be told apart
    best = int(right.argmax())
    return float(ends[best] + ends[best + 1]) / 2


def effective_rank(z: Tensor) -> float:
    """exp H(p), p the singular values of the centred directions over their sum (Roy & Vetterli, 2007): 1 to e."""
    d = directions("z", z)
    s = torch.linalg.svdvals(d - d.mean(0))
    if float(s.sum()) <= ROUNDING * len(d) ** 0.5:
        return 1.0
    p = s / s.sum()
    return float(torch.exp(-torch.xlogy(p, p).sum()))

"""How rows share themselves out over well separated groups of real rows: what scores cannot see, and densities can.

The groups are unions of k-means cells. Two cells belong together unless Ashman's distance between them,

    D = |m_i - m_j| / sqrt((s_i^2 + s_j^2) / 2),   s_i^2 the variance of cell i along the line between the two means,

is above 6 (Ashman, Bird & Zepf, 1994, who call modes of D > 2 apart; here cells are cut out of modes, which alone gives
2.65 where a normal and 3.46 where a uniform is cut in half). So arcs and long groups stay whole.
"""

from dataclasses import dataclass

import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from .rows import checked

CELLS, FULL = 48, 40  # most cells; rows that a cell has on average at least
FEWEST = 5  # rows of a cell whose variance means something
APART = 6.0
MOST, SMALL = 16, 0.02  # groups; the share below which a group is left out
FIT = 2000


@dataclass(frozen=True)
class Groups:
    """Centres of cells (k, d), and the group of every cell (k,), 0 .. count - 1."""

    centers: Tensor
    group: Tensor
    count: int

    @torch.no_grad()
    def shares(self, x: Tensor) -> Tensor:
        """The share of the rows x (n, d) whose nearest centre is one of the group's, (count,).

        Raises UserError for empty or non-finite x, and for x of other columns.
        """
        x, centers = checked(x, self.centers, 1, ("x", "centers"))
        of = self.group[torch.cdist(x, centers).argmin(1)]
        return torch.bincount(of, minlength=self.count).double() / len(x)


@dataclass(frozen=True)
class Shares:
    """difference: total variation distance of two sets' shares; least: the smallest ratio of a group's shares."""

    difference: float
    least: float


def share_difference(found: Groups, x: Tensor, y: Tensor) -> Shares:
    """Samples x (n, d) against real rows y (m, d):   difference = sum_g |p_g - q_g| / 2,   least = min_g p_g / q_g.

    p, q: shares of x and y. 0 and 1 where they agree; n = m fresh rows of G equal groups are about
    sqrt((G - 1) / (pi n)) apart by chance. A group that y lacks does not count in `least`.
    Raises UserError as `Groups.shares` does.
    """
    p, q = found.shares(x), found.shares(y)
    seen = q > 0
    return Shares(float((p - q).abs().sum() / 2), float((p[seen] / q[seen]).min()))


@torch.no_grad()
def groups(x: Tensor, seed: int = 0) -> Groups | None:
    """The well separated groups of real rows x (n, d), at most 16 (near ones are merged); None if there are not two.

    Raises UserError for fewer than 2 or non-finite rows.
    """
    from sklearn.cluster import KMeans

    x, _ = checked(x, x)
    x = x[:: -(-len(x) // FIT)]
    count = min(CELLS, len(x) // FULL, len(x.unique(dim=0)))
    if count < 2:
        return None
    of = torch.from_numpy(KMeans(count, n_init=3, random_state=seed).fit(x.numpy()).labels_).long()
    cells = [rows for rows in (x[of == i] for i in range(count)) if len(rows) >= FEWEST]
    if len(cells) < 2:
        return None
    centers = torch.stack([rows.mean(0) for rows in cells])
    group = torch.from_numpy(connected_components(_near(cells, centers).numpy(), directed=False)[1]).long()
    sizes = torch.zeros(int(group.max()) + 1).index_add_(0, group, torch.tensor([float(len(c)) for c in cells]))
    kept = (sizes / len(x) >= SMALL)[group]
    centers, group = centers[kept], group[kept].unique(return_inverse=True)[1]
    if not len(group) or int(group.max()) == 0:
        return None
    middles = torch.stack([centers[group == g].mean(0) for g in range(int(group.max()) + 1)])
    merged = torch.from_numpy(fcluster(linkage(middles.numpy(), "average"), MOST, "maxclust")).long() - 1
    return Groups(centers, merged[group], int(merged.max()) + 1)


def _near(cells: list[Tensor], centers: Tensor) -> Tensor:
    """(k, k): are two cells not apart? Squared and multiplied out, so that a variance of 0 needs no care."""
    lines = centers[None] - centers[:, None]
    square = lines.square().sum(2)
    variance = torch.stack(
        [((rows - c) @ line.T).var(0) for rows, c, line in zip(cells, centers, lines, strict=True)]
    )  # times `square`
    return square.square() <= APART**2 * (variance + variance.T) / 2

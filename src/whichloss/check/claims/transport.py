"""Transport between sets of points: on the line, by assignment, along directions, with entropy."""

import math

import torch
from torch import Tensor

from ..arguments import number, points
from ..claim import Argument, Claim, Form, Size, Source, Variant
from ..invariance import symmetric

X, Y = points("x", "x a real data first p source"), points("y", "y b fake gen second q target")
X1, Y1 = (
    points("x", "x a real data first p u source", line=True),
    points("y", "y b fake gen second q v target", line=True),
)
P1, P2 = number("p", "p power order", 1.0, (1.0, 2.0)), number("p", "p power order", 2.0, (2.0, 1.0))
BOTH = (symmetric("x", "y"),)


def on_line(x: Tensor, y: Tensor, p: float) -> Tensor:
    return ((x.sort().values - y.sort().values).abs() ** p).mean()


def assigned(x: Tensor, y: Tensor, p: float) -> Tensor:
    from scipy.optimize import linear_sum_assignment  # a third of a second

    square = ((x.unsqueeze(1) - y) ** 2).sum(dim=-1)
    cost = torch.where(square > 0, square, 1) ** (p / 2) * (square > 0)
    i, j = linear_sum_assignment(cost.detach().numpy())
    return cost[i, j].mean()


def sliced(x: Tensor, y: Tensor, directions: Tensor, p: float) -> Tensor:
    u = directions.T
    return (((x @ u).sort(dim=0).values - (y @ u).sort(dim=0).values).abs() ** p).mean()


def _directions(n: Size, s: Source) -> Tensor:
    u = s.real((3, n.width))
    u[(u == 0).all(dim=1), 0] = 1.0
    unit: Tensor = u / u.norm(dim=1, keepdim=True)
    return unit


DIRECTIONS = Argument(
    "directions",
    frozenset(["directions", "projections", "theta", "thetas", "u", "proj"]),
    _directions,
    "unit directions (L, d)",
    learns=False,
    per_row=False,
)


def _cost(x: Tensor, y: Tensor) -> Tensor:
    return ((x.unsqueeze(1) - y) ** 2).sum(dim=-1)


def _potentials(cost: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """By 80 rounds in the log domain from eps = the diameter down."""
    n, m = cost.shape
    f, g = torch.zeros(n, dtype=cost.dtype), torch.zeros(m, dtype=cost.dtype)
    now = max(float(cost.detach().max()), eps)
    for _ in range(80):
        f = -now * ((g - cost) / now).logsumexp(dim=1) + now * math.log(m)
        g = -now * ((f.unsqueeze(1) - cost) / now).logsumexp(dim=0) + now * math.log(n)
        now = max(now * 0.8, eps)
    return f, g


def _plan(cost: Tensor, f: Tensor, g: Tensor, eps: float) -> Tensor:
    return ((f.unsqueeze(1) + g - cost) / eps).exp() / cost.numel()


def _entropic(x: Tensor, y: Tensor, eps: float) -> Tensor:
    """OT_eps with squared cost."""
    cost = _cost(x, y)
    f, g = _potentials(cost.detach(), eps)
    plan = _plan(cost.detach(), f, g, eps)
    return f.mean() + g.mean() + (plan * (cost - cost.detach())).sum()  # the envelope: only the cost moves


def sinkhorn(x: Tensor, y: Tensor, blur: float = 0.0, eps: float = 0.0) -> Tensor:
    eps = eps or 2 * blur**2
    return _entropic(x, y, eps) - _entropic(x, x, eps) / 2 - _entropic(y, y, eps) / 2


def sinkhorn_plain(x: Tensor, y: Tensor, blur: float = 0.0, eps: float = 0.0) -> Tensor:
    return _entropic(x, y, eps or 2 * blur**2)


def sinkhorn_cost(x: Tensor, y: Tensor, blur: float = 0.0, eps: float = 0.0) -> Tensor:
    """sum P C, without the entropy; its gradient through P too."""
    cost, eps = _cost(x, y), eps or 2 * blur**2
    return (_plan(cost, *_potentials(cost, eps), eps) * cost).sum()


ROOT = "The distance itself; the formula is its p-th power, whose gradient is finite at equality."
BLURRED, CORRECT = "It is not least at equality: it draws points together.", "Take OT(P, P) / 2 and OT(Q, Q) / 2 off."
UNSORTED = Variant(
    "rows paired as they come, not sorted",
    lambda x, y, p: ((x - y).abs() ** p).mean(),
    "That is the mean error of arbitrary pairs: it depends on the order of the rows.",
    "Sort both first.",
)
PAIRS = Variant(
    "all pairs averaged (no plan)",
    lambda x, y, p: (_cost(x, y) + 1e-300).pow(p / 2).mean(),
    "The mean distance of all pairs is not 0 for equal sets.",
    "Minimise over plans: an assignment for equal sizes.",
)

CLAIMS = (
    Claim(
        "wasserstein-1d",
        "W_p^p on the line: mean |sort(x) - sort(y)|^p",
        (
            Form(
                (X1, Y1),
                {"mean |sort(x) - sort(y)|^p": on_line},
                (P1,),
                least=2,
                whole=True,
                per_sample=False,
                invariances=BOTH,
                variants=(
                    UNSORTED,
                    Variant(
                        "its root",
                        lambda x, y, p: on_line(x, y, p) ** (1 / p),
                        ROOT,
                        "Leave the root out.",
                        fault=False,
                    ),
                ),
            ),
        ),
        ("w1-1d", "wasserstein-distance-1d", "w1"),
        "wasserstein-1d",
        ("transport.wasserstein_1d",),
        fragile=False,
    ),
    Claim(
        "earth-movers",
        "min over plans of sum_ij pi_ij |x_i - y_j|^p",
        (
            Form(
                (X, Y),
                {"min over plans of sum pi |x - y|^p": assigned},
                (P1,),
                least=2,
                whole=True,
                per_sample=False,
                invariances=BOTH,
                variants=(PAIRS,),
            ),
        ),
        ("emd", "earth-movers-distance", "earth-mover", "optimal-transport"),
        "earth-movers",
        ("transport.earth_movers",),
        fragile=False,
    ),
    Claim(
        "sliced-wasserstein",
        "mean over directions u of W_p^p(u'x, u'y)",
        (
            Form(
                (X, Y, DIRECTIONS),
                {"mean over u of W_p^p(u'x, u'y)": sliced},
                (P2,),
                least=2,
                whole=True,
                per_sample=False,
                invariances=BOTH,
                variants=(
                    Variant(
                        "its root",
                        lambda x, y, directions, p: sliced(x, y, directions, p) ** (1 / p),
                        ROOT,
                        "Leave the root out.",
                        fault=False,
                    ),
                ),
            ),
        ),
        ("swd", "sliced-w2"),
        "sliced-wasserstein",
        ("transport.sliced_wasserstein",),
        fragile=False,
    ),
    Claim(
        "sinkhorn-divergence",
        "OT_eps(P, Q) - OT_eps(P, P) / 2 - OT_eps(Q, Q) / 2, eps = 2 blur^2, cost |x - y|^2",
        tuple(
            Form(
                (X, Y),
                {"S": sinkhorn},
                (option,),
                least=2,
                whole=True,
                per_sample=False,
                close=0.03,
                invariances=BOTH,
                variants=(
                    Variant("the entropic cost without its corrections", sinkhorn_plain, BLURRED, CORRECT),
                    Variant("the cost of the entropic plan, without corrections", sinkhorn_cost, BLURRED, CORRECT),
                ),
            )
            for option in (
                number(
                    "eps", "eps epsilon reg regularisation regularization lambda", 0.1, (0.005, 0.02, 0.1, 0.5, 1.0)
                ),
                number("blur", "blur sigma", 0.05, (0.05,)),
            )
        ),
        ("sinkhorn",),
        "sinkhorn-divergence",
        ("sinkhorn.sinkhorn_divergence",),
        fragile=False,
    ),
)

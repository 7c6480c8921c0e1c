"""The No-U-Turn sampler: a trajectory doubles until it turns back, and a point of it is drawn by its weight."""

from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from ..errors import UserError
from ..rng import Rng
from .hmc import DIVERGENCE, Chains, Energy, Hamiltonian, Length, Moved, State
from .langevin import Info

T = TypeVar("T")
AT_ONCE = 32  # leaves whose uniforms are drawn together


def nuts(
    energy: Energy,
    x: Tensor,
    rng: Rng,
    *,
    draws: int,
    step: float | None = None,
    depth: int = 10,
    inverse_mass: Tensor | None = None,
    temperature: float = 1.0,
    warmup: int = 0,
    target: float = 0.8,
    keep: bool = True,
    grad: Energy | None = None,
) -> tuple[Tensor, Info]:
    """A trajectory doubles, forward or back at random, until q_first . sum q <= 0 or q_last . sum q <= 0 in any half.

    The next state is one of its points, with probability proportional to e^-H and a preference for the last doubling
    (Hoffman & Gelman, 2014; Betancourt, 2017), and turns are looked for across halves, too. At most `depth` doublings.
    All chains leap together; the trajectories that have ended are not computed on. x (B, ...) -> the last states, info
    as `hmc` returns it; acceptance is the mean over the points of a trajectory. Info also has depth, the mean number of
    doublings (depth + 1 where `depth` cut it), and cut, the share of those. Raises UserError as `hmc` does.
    """
    if not 1 <= depth <= 20:
        raise UserError(f"nuts needs 1 <= depth <= 20; got depth = {depth}: a trajectory has up to 2^depth leaps.")
    law, depths = Hamiltonian("nuts", energy, grad, temperature), []

    def move(state: State, rng: Rng, length: Length) -> tuple[State, Moved]:
        state, moved, doublings = _transition(law, state, rng, length, depth)
        depths.append(doublings)
        return state, moved

    x, info = Chains(law, draws, warmup, target, step, inverse_mass, keep).run(move, x, rng)
    reached = torch.stack(depths[-draws:])
    return x, info | {"depth": float(reached.float().mean()), "cut": float((reached > depth).float().mean())}


class Point(NamedTuple):
    """A point of a trajectory: state, momentum, H."""

    state: State
    q: Tensor
    h: Tensor


class Span(NamedTuple):
    """A stretch of a trajectory, in the order it was built: momenta at its ends, and the sum of all, (rows, d)."""

    first: Tensor
    last: Tensor
    total: Tensor


class Tree(NamedTuple):
    """The trajectories of the chains `ids`: far end, end to go on from, its direction, sum of momenta, draw, weight."""

    ids: Tensor
    far: Point
    near: Point
    sign: Tensor
    total: Tensor
    drawn: Point
    weight: Tensor


class Branch(NamedTuple):
    """A doubling that grows: the rows of the tree it belongs to, its last point, its draw, its weight."""

    at: Tensor
    end: Point
    drawn: Point
    weight: Tensor


class Tally:
    """What happens on the way, per chain (B,)."""

    def __init__(self, like: Tensor) -> None:
        self.accepted, self.leaps = torch.zeros_like(like), torch.zeros_like(like)
        self.refused = torch.zeros_like(like, dtype=torch.bool)
        self.diverged = torch.zeros_like(like, dtype=torch.bool)

    def add(self, ids: Tensor, live: Tensor, gain: Tensor, refused: Tensor, diverged: Tensor) -> None:
        """A leaf of the chains `ids`, of which some are still live."""
        self.accepted[ids] += torch.where(live, gain.clamp(max=0).exp(), 0)
        self.leaps[ids] += live
        self.refused[ids] |= live & refused
        self.diverged[ids] |= live & diverged


def _transition(law: Hamiltonian, state: State, rng: Rng, length: Length, depth: int) -> tuple[State, Moved, Tensor]:
    """One draw of every chain, and the doublings of each, depth + 1 where they were cut."""
    q = rng.normal("momentum", state.x.shape).to(state.x)
    h = law.total(state.e, q)
    start, tally, ids = Point(state, q, h), Tally(h), torch.arange(len(h), device=h.device)
    drawn, doublings = _rows(start, ids), torch.zeros_like(ids)
    tree = Tree(ids, start, start, torch.ones_like(h), _flat(q), start, torch.zeros_like(h))
    for k in range(depth):
        turn = rng.uniform(f"turn {k}", h.shape)[tree.ids] < 0.5
        near, far = _pick(turn, tree.far, tree.near), _pick(turn, tree.near, tree.far)
        tree = tree._replace(near=near, far=far, sign=torch.where(turn, -tree.sign, tree.sign))
        doublings[tree.ids] += 1
        branch, span = _grow(law, tree, h, rng[f"branch {k}"], length, 2**k, tally)
        tree = _rows(tree, branch.at)
        jump = rng.uniform(f"jump {k}", h.shape)[tree.ids].log() < branch.weight - tree.weight
        chosen = _pick(jump, branch.drawn, tree.drawn)
        _write(drawn, tree.ids, chosen)
        whole, turned = _join(Span(_flat(tree.far.q), _flat(tree.near.q), tree.total), span)
        weight = torch.logaddexp(tree.weight, branch.weight)
        tree = Tree(tree.ids, tree.far, branch.end, tree.sign, whole.total, chosen, weight)
        tree = _rows(tree, (~turned).nonzero()[:, 0])
        if not len(tree.ids):
            break
    doublings[tree.ids] += 1
    return drawn.state, Moved(tally.accepted / tally.leaps, tally.refused, tally.diverged, drawn.h), doublings


def _grow(
    law: Hamiltonian, tree: Tree, start: Tensor, rng: Rng, length: Length, leaves: int, tally: Tally
) -> tuple[Branch, Span]:
    """`leaves` further points from the near ends, for the chains whose branch neither turns nor breaks.

    Complete halves wait on a stack, one of each size, as bits in a binary counter: a leaf closes as many as its number
    has trailing ones. All chains are at the same leaf, so that the stack is the same for all.
    """
    branch = Branch(
        torch.arange(len(tree.ids), device=start.device), tree.near, tree.near, torch.full_like(tree.weight, -torch.inf)
    )
    live, stack = torch.ones_like(branch.at, dtype=torch.bool), list[Span]()
    for leaf in range(leaves):
        ids, x = tree.ids[branch.at], branch.end.state.x
        sign = tree.sign[branch.at].reshape(-1, *[1] * (x.ndim - 1))
        state, q = law.leapfrog(branch.end.state, branch.end.q, sign * length, 1)
        end = Point(state, q, law.total(state.e, q))
        gain = start[ids] - end.h
        sound = gain.isfinite()
        gain = torch.where(sound, gain, -torch.inf)
        broken = gain < -DIVERGENCE
        tally.add(ids, live, gain, ~sound, sound & broken)
        weight = torch.logaddexp(branch.weight, gain)
        if leaf % AT_ONCE == 0:
            logs = rng.uniform(leaf, (min(AT_ONCE, leaves), len(start))).log()
        take = logs[leaf % AT_ONCE, ids] < gain - weight
        branch = Branch(branch.at, end, _pick(take, end, branch.drawn), weight)
        live, span = live & ~broken, Span(*[_flat(q)] * 3)
        while leaf & 1:
            span, turned = _join(stack.pop(), span)
            live, leaf = live & ~turned, leaf >> 1
        stack.append(span)
        if 2 * int(live.sum()) <= len(live):  # not at every loss: to copy costs too
            alive = live.nonzero()[:, 0]
            branch, stack, live = _rows(branch, alive), [_rows(half, alive) for half in stack], live[alive]
            if not len(alive):
                break
    alive = live.nonzero()[:, 0]
    return _rows(branch, alive), _rows(stack[0], alive)


def _join(a: Span, b: Span) -> tuple[Span, Tensor]:
    """Two neighbouring stretches as one, and whether it turns: as a whole, or from one into the other's first point.

    Without the two checks across the gap a trajectory may pass a whole turn unseen between its halves.
    """
    total = a.total + b.total
    turned = _turned(a.first, b.last, total)
    if a.first is not a.last:  # of two single points the three checks are one
        turned |= _turned(a.first, b.first, a.total + b.first) | _turned(a.last, b.last, a.last + b.total)
    return Span(a.first, b.last, total), turned


def _turned(first: Tensor, last: Tensor, total: Tensor) -> Tensor:
    return ((first * total).sum(dim=1) <= 0) | ((last * total).sum(dim=1) <= 0)


def _flat(x: Tensor) -> Tensor:
    return x.reshape(len(x), x.shape[1:].numel())


def _rows(tree: T, rows: Tensor) -> T:
    """The same structure with some rows of every tensor, copied."""
    if isinstance(tree, Tensor):
        return cast(T, tree[rows])
    return type(tree)(*(_rows(part, rows) for part in cast(tuple[Any, ...], tree)))


def _pick(mask: Tensor, a: T, b: T) -> T:
    """Rows of a where the mask (rows,) holds, else of b."""
    if isinstance(a, Tensor):
        return cast(T, torch.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, cast(Tensor, b)))
    pairs = zip(cast(tuple[Any, ...], a), cast(tuple[Any, ...], b), strict=True)
    return type(a)(*(_pick(mask, p, q) for p, q in pairs))


def _write(into: Point, ids: Tensor, point: Point) -> None:
    for a, b in zip((*into.state, into.q, into.h), (*point.state, point.q, point.h), strict=True):
        a[ids] = b

"""How a loop came out, as far as the loop itself shows: only where it came out poorly is a symptom a fault."""

import numpy as np
import torch

from .. import metrics
from .trace import Curve, Game, Loss, Trace, late

LEARNT = 0.5  # of the way from guessing to certainty
FALLEN = 0.9  # of its first value: a loss above that has hardly moved
INFORMED = 0.95  # of the entropy of a batch's labels
RANKED = 0.57  # of pairs of rows; by chance a half
ROWS = 500


def poor(trace: Trace, name: str) -> bool:
    """Does what the network of this name learns look poor?"""
    games = [game for players, game in trace.games.items() if name in players]
    if games:
        return any(badly(game) for game in games)
    losses = [loss for loss in trace.losses.values() if name in loss.moves or name in loss.reaches]
    return any(unlearnt(loss) for loss in losses)


def skill(loss: Loss) -> float | None:
    """Of a cross-entropy: 0 where the most frequent class is guessed, 1 where all are told right; the last looks.
    Accuracy or, where that is more, accuracy balanced over the classes: what weights on the classes ask for.

    Guessing is scored on the same batches, so that which rows they hold makes no difference."""
    right, largest = loss.curves.get("accuracy", []), loss.curves.get("largest class", [])
    if loss.facts.get("pairs"):
        largest = [1 / loss.facts["rows"]] * len(right)
    fair = [1 / max(1.0, k) for k in loss.curves.get("classes in a batch", [])]
    known = [_beyond(right, largest), _beyond(loss.curves.get("balanced accuracy", []), fair)]
    return max((one for one in known if one is not None), default=None)


def _beyond(right: Curve, guess: Curve) -> float | None:
    """Of what guessing leaves, the share that is told right at the last looks."""
    both = [(a, b) for a, b in zip(right, guess, strict=False) if np.isfinite(a) and np.isfinite(b)]
    if not both:
        return None
    told, guessed = np.mean(both[-max(1, round(0.25 * len(right))) :], axis=0)
    return float((told - guessed) / (1 - guessed)) if guessed < 1 else 0.0


def unlearnt(loss: Loss) -> bool:
    """Has this loss taught little?"""
    told = skill(loss)
    if told is not None:
        return told < LEARNT
    explained = loss.late("explained", 0.25)
    if explained is not None:
        return explained < 0.1
    right = loss.late("binary accuracy", 0.25)
    if right is not None:
        if informed(loss):
            return False
        ones = loss.late("share of ones", 1.0) or 0.5
        return right < max(ones, 1 - ones) + 0.1
    first, last = late(loss.values[: max(1, len(loss.values) // 10)], 1.0), late(loss.values, 0.25)
    return first is None or last is None or last > first - (1 - FALLEN) * abs(first)


def informed(loss: Loss) -> bool:
    """Does a cross-entropy say more of the labels than their frequencies do, be it short of telling the class: by its
    size, or because rows of a class come before others, at no greater cost?"""
    entropy, labels = loss.late("cross-entropy", 0.25), loss.late("entropy of labels", 1.0)
    if entropy is not None and labels is not None and entropy < INFORMED * labels:
        return True
    ranked = _last(loss, "ranked", 0.5)
    costs, frequent = (_last(loss, name, 0.25) for name in ("cross-entropy", "entropy of labels"))
    worth = not costs or not frequent or np.mean(costs) < np.mean(frequent)
    return len(ranked) >= 3 and bool(np.mean(ranked) > RANKED and worth)


def _last(loss: Loss, name: str, share: float) -> Curve:
    """The finite points of the last part of a curve."""
    curve = loss.curves.get(name, [])
    return [v for v in curve[-max(1, round(share * len(curve))) :] if np.isfinite(v)]


def mixed(loss: Loss) -> bool:
    """Is a cross-entropy made smaller for some rows and larger for others, as rewards and preferences ask?"""
    return loss.facts.get("least factor", 0.0) < 0 < loss.facts.get("most factor", 0.0)


def nothing(loss: Loss) -> bool:
    """Is it known that this loss has taught next to nothing?"""
    told, explained, right = skill(loss), loss.late("explained", 0.25), loss.late("binary accuracy", 0.25)
    ones = loss.late("share of ones", 1.0) or 0.5
    if told is not None:
        return told < 0.1 and not informed(loss)
    if explained is not None:
        return explained < 0.03
    return right is not None and right < max(ones, 1 - ones) + 0.02 and not informed(loss)


def spread(game: Game) -> float | None:
    """The spread of samples over that of data."""
    if min(len(game.real), len(game.made)) < 16:
        return None
    with np.errstate(invalid="ignore", over="ignore"):  # of rows that ran away
        real, made = (float(np.sqrt(rows.var(0).sum())) for rows in (game.real, game.made))
    return made / real if real > 0 else None


def coverage(game: Game) -> tuple[float, float] | None:
    """The share of data that has samples near it, and the same of other data instead of samples."""
    if not (np.isfinite(game.made).all() and np.isfinite(game.real).all()):
        return None
    whole = np.unique(game.real, axis=0)  # looks may show a row again
    n = min(len(whole) // 2, len(game.made), ROWS)
    if n < 32:
        return None
    order = np.random.Generator(np.random.PCG64(0))
    real, made = (torch.from_numpy(order.permutation(x).astype(np.float64)) for x in (whole, game.made))
    return metrics.neighbours(made[:n], real[:n]).coverage, metrics.neighbours(real[n : 2 * n], real[:n]).coverage


def badly(game: Game, least: float = 0.25) -> bool:
    """Do samples and data differ in what the eye would see: spread, and coverage below that share of the data's?"""
    wide, covered = spread(game), coverage(game)
    if wide is not None and not 0.5 < wide < 2:
        return True
    return covered is not None and covered[0] < least * covered[1]

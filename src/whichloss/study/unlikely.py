"""How unlikely is a row? A model's scores held against those of rows that nothing was trained on.

An energy says which of two rows is likelier, not how likely either is. What it is on held-out rows turns it into a
p-value: p = (1 + #{held-out rows at least as unlike}) / (held-out rows + 1). If a row came as the held-out rows did,
P(p <= a) <= a, whatever the model (Vovk, Gammerman & Shafer, 2005). log Z, where it can be had, turns it into a
log-density: log p(x) = -E(x) - log Z.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..data import Column, Encoder, Pictures, Scale, Schema, Table
from ..data.encode import Block
from ..errors import UserError
from ..rng import Rng
from ..samplers import mala
from ..samplers.partition import LogZ, grid_log_z, log_z

if TYPE_CHECKING:
    from .model import Model

MOST = 5000  # held-out scores that are kept
GRID, WIDE = (2000, 300, 60), 2.0  # points a side for 1, 2 and 3 dimensions; how far beyond the rows the box reaches
ERROR = "standard_error"
PLACES, REACH = 13, 3.0  # amounts that are tried for a column, and how many standard deviations they reach
CHAINS, STEPS = 300, 500  # of the samples from which log Z is bounded above, in more dimensions


def held_out(model: "Model", values: np.ndarray, y: Tensor | None = None) -> list[float]:
    """The scores of held-out rows as the model keeps them: none where it has no energy, or one is no number.

    y (n, K): their classes, where rows are given them.
    """
    try:
        unlike = model.estimates(values, y).mean(axis=1)
    except UserError:
        return []
    return sorted(map(float, unlike)) if np.isfinite(unlike).all() else []


def constant(model: "Model", rows: Tensor) -> dict[str, Any] | None:
    """log Z as a model keeps it, or None where an energy is no number."""
    try:
        found = partition(model, rows)
    except UserError:
        return None
    names = ("value", "lower", "upper", "label", "says")
    return {name: getattr(found, name) for name in names} if math.isfinite(found.value) else None


def partition(model: "Model", rows: Tensor) -> LogZ:
    """log Z of a trained energy: by a grid in up to 3 dimensions, else between bounds, chains starting from real rows.

    In the model's encoding, where rows have mean 0 and variance 1. Raises UserError where an energy is no number.
    """
    d, rng = model.task.dim, Rng.of(0)["log Z"]

    def energy(x: Tensor) -> Tensor:
        return model.unlike(x, grad=x.requires_grad)

    if d <= len(GRID):
        reach = WIDE * rows.abs().amax(0).clamp(min=1.0)
        return grid_log_z(energy, (-reach).tolist(), reach.tolist(), points=GRID[d - 1])
    start = rows[torch.linspace(0, len(rows) - 1, min(CHAINS, len(rows))).long()]
    walked, _ = mala(energy, start, rng["chains"], draws=STEPS, warmup=STEPS, keep=False)
    one = torch.ones(d)
    return log_z(energy, rng, mean=0 * one, sd=one, samples=walked, chains=CHAINS)


def p_values(unlike: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(n,) the share of held-out rows with scores `known` at least as unlike, the row itself counted among them."""
    below = np.searchsorted(np.sort(known), unlike, side="left")
    return np.asarray((1 + len(known) - below) / (len(known) + 1))


def named(rows: Table | Pictures) -> tuple[tuple[Column, ...], np.ndarray]:
    """What tells pictures apart in a table of answers, as columns: their files, or their places in the array; rows of
    a table need no name."""
    if isinstance(rows, Table):
        return (), np.zeros((len(rows), 0))
    if not rows.files:
        return (Column("index", "integer", sql_type="BIGINT"),), np.arange(float(len(rows)))[:, None]
    files, place = np.unique(np.array(rows.files), return_inverse=True)
    return (Column("file", "category", categories=tuple(files.tolist()), sql_type="VARCHAR"),), place[:, None] * 1.0


def judged(model: "Model", table: Table | Pictures, false_alarms: float, explain: bool) -> Table:
    """For every row its score, its p-value, whether that is unlikely, and the slopes.

    Where a score is the mean of estimates, their standard error stands beside it. Raises UserError for a rate of false
    alarms that so few held-out rows cannot tell, and for slopes along the pixels of pictures.
    """
    if explain and isinstance(table, Pictures):
        raise UserError("--explain names the columns that make a row unlikely; pictures have none. Leave it out.")
    known = np.array(model.record["held out"])
    if not len(known):
        raise UserError(
            f"{model.run.objective} gives rows no scores that could be compared: no energy, or none that is finite."
        )
    least = 1 / (len(known) + 1)
    if not least <= false_alarms < 1:
        raise UserError(
            f"--false-alarms must lie between 1 / {len(known) + 1} = {least:.2g}, what {len(known):,} held-out rows "
            f"can tell, and below 1; got {false_alarms:g}."
        )
    values, y = model.choice.parts(table)
    estimates = model.estimates(values, y)
    unlike = estimates.mean(axis=1)
    p = p_values(unlike, known)
    stretch = data_units(model.encoder)
    score = stretch - unlike if model.scores == "log density" else unlike
    names, which = named(table)
    columns, found = [*names, Column(model.scores.replace(" ", "_"), "number")], [*which.T, score]
    if (k := estimates.shape[1]) > 1:
        columns.append(Column(ERROR, "number"))
        found.append(estimates.std(axis=1, ddof=1) / math.sqrt(k))
    constant = model.record.get("log Z")
    if constant and constant["label"] != "not trustworthy":
        columns.append(Column("log_density", "number"))
        found.append(stretch - unlike - constant["value"])
    columns += [Column("p_value", "number"), Column("unlikely", "boolean", sql_type="BOOLEAN")]
    found += [p, (p <= false_alarms).astype(np.float64)]
    if explain:
        x = model.encoded(values, y)
        for word, values in (("excess", excesses(model, x, torch.from_numpy(unlike))), ("slope", slopes(model, x))):
            found += list(values.T)
            columns += [Column(f"{word} {c.name}", "number") for c in model.encoder.schema.columns]
    return Table(Schema(tuple(columns)), np.stack(found, axis=1), f"{model.run.objective} scores", notes=table.notes)


def told(model: "Model", rows: Table, false_alarms: float, explain: bool) -> Iterator[str]:
    """What to know of scores, a line each; rows: what `judged` returned."""
    yield from (f"note: {note}" for note in rows.notes)
    count, what = sum(rows.column("unlikely")), "pictures" if model.shape else "rows"
    yield f"{count:,} of {len(rows):,} {what} are unlikely at a false-alarm rate of {false_alarms:g}"
    if known := model.record.get("log Z"):
        yield f"log Z is {known['value']:.3f} nats, {known['label']}: {known['says']}"
    if model.choice.name:
        yield f"every score is that of a row given its {model.choice.name}: how unlike others of its class it is"
    if "log_density" in rows.schema.names:
        whose = "the data's own units" if data_units(model.encoder) else "standardised columns"
        yield f"log_density: nats, per {'level (of 256) of every pixel' if model.shape else f'unit of {whose}'}"
    if ERROR in rows.schema.names:
        yield (
            f"each log_density is the mean of {model.objective.probes} estimates by random signs, always the same "  # type: ignore[attr-defined]
            f"ones; {ERROR}, of that mean: {np.median(rows.column(ERROR)):.2g} nats for the middle picture"
        )
    if model.task.goal == "classify":
        yield (
            "a classifier's energy is low wherever it is sure, and far from all rows it often is: what is unlike "
            "everything is better found by an objective of the goal generate"
        )
    if explain:
        yield (
            "excess: nats by which a row would be less unlike, had that column alone its best value; slope: how "
            "steeply it grows more unlike there, per standard deviation; for words, against the best other one"
        )


def data_units(encoder: Encoder | Scale) -> float:
    """What turns a log-density of encoded rows into one in the data's own units: sum log(dz / dv).

    Of pictures: per level, since noise has filled the gaps between them. 0 where a column is whole, a word or can be
    missing: there is no density in such units, and it stays that of the standardised columns.
    """
    if isinstance(encoder, Scale):
        return -encoder.dim * math.log(127.5)
    if encoder.jitter.any() or any(c.missing for c in encoder.schema.columns):
        return 0.0
    return float(sum(math.log(b.factor / b.scale) for b in encoder.blocks if b.width))


def excesses(model: "Model", x: Tensor, now: Tensor) -> np.ndarray:
    """(n, columns): how much less unlike a row would be if that column alone had its best value, in nats; 0 or more.

    now (n,): how unlike each row is. Best of PLACES amounts across the column (mean +- REACH standard deviations), of
    all words, or of 0 and 1, and missing where that occurs: what a far value costs is named whatever the slope there.
    """
    least = []
    for column, block in zip(model.encoder.schema.columns, model.encoder.blocks, strict=True):
        best = now
        for code in codes(column, block):
            other = x.clone()
            other[:, block.start : block.start + block.width] = code
            best = torch.fmin(best, model.unlike(other))
        least.append(now - best)
    return torch.stack(least, dim=1).numpy()


def codes(column: Column, block: Block) -> Tensor:
    """(k, width): encodings of values that a column may have, spread over what was learned from."""
    if block.width == 0:
        return torch.zeros(0, 0)
    if column.kind == "category":
        return torch.from_numpy(block.factor * (np.eye(block.width) - np.array(block.shares))).float()
    amounts = torch.linspace(-REACH, REACH, PLACES) * block.factor
    if column.kind == "boolean":
        amounts = (torch.tensor([0.0, 1.0]) - (block.mean or 0.0)) / block.scale * block.factor
    if block.width == 1:
        return amounts[:, None]
    there = torch.stack([amounts, torch.full_like(amounts, -block.shares[0] * block.factor)], dim=1)
    return torch.cat([there, torch.tensor([[0.0, (1 - block.shares[0]) * block.factor]])])


def slopes(model: "Model", x: Tensor) -> np.ndarray:
    """(n, columns): how steeply a row grows more unlike along each column, in nats.

    Amounts: per standard deviation of the column; positive: smaller would be likelier. Words and booleans: what
    changing to the best other level would lower the energy by, to first order; 0 or less where no level is better.
    """
    x = x.clone().requires_grad_(True)
    parts = []
    for rows in torch.split(x, 2000):
        with torch.enable_grad():
            total = model.unlike(rows, grad=True).sum()
        parts.append(torch.autograd.grad(total, rows)[0].double())
    g, z = torch.cat(parts).numpy(), x.detach().double().numpy()
    pairs = zip(model.encoder.schema.columns, model.encoder.blocks, strict=True)
    return np.stack([along(column, block, g, z) for column, block in pairs], axis=1)


def along(column: Column, block: Block, g: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The slope along one column (n,)."""
    place = slice(block.start, block.start + block.width)
    if block.width == 0:
        return np.zeros(len(g))
    if column.kind == "category":
        level = z[:, place].argmax(1)
        gains = block.factor * (np.take_along_axis(g[:, place], level[:, None], 1) - g[:, place])
        np.put_along_axis(gains, level[:, None], -np.inf, 1)
        return np.asarray(gains.max(1))
    if column.kind == "boolean":
        step = block.factor / block.scale
        now = z[:, block.start] > (0.5 - (block.mean or 0.0)) * step
        return np.asarray(np.where(now, 1, -1) * step * g[:, block.start])
    return np.asarray(g[:, block.start] * block.factor)

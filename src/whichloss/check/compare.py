"""Is what the function gives the formula's, up to a reduction, a factor, a constant, or the weights of its terms?

value = factor(B, d) (sum_k c_k term_k) + constant, found by least squares over all recorded calls; gradients must
follow with the same numbers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .claim import Form, Formula
from .record import Record, columns_of, gradients

EXACT, CLOSE = 1e-7, 2e-4  # relative; CLOSE allows a small epsilon inside, or float32; a form may allow more
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Factor:
    """How a mean over rows turns into what the function returns: B^rows d^columns."""

    says: str
    rows: int = 0
    columns: int = 0

    def at(self, record: Record) -> float:
        """Its value for one call."""
        return float(record.rows**self.rows) * float(columns_of(record.inputs)) ** self.columns


PLAIN = Factor("")
FACTORS = (
    PLAIN,
    Factor("summed over the batch", 1, 0),
    Factor("summed over columns where the formula takes their mean", 0, 1),
    Factor("averaged over columns where the formula sums them", 0, -1),
    Factor("summed over rows and columns", 1, 1),
    Factor("divided by the number of rows once more", -1, 0),
    Factor("divided by the numbers of rows and columns", -1, -1),
)


@dataclass(frozen=True)
class Image:
    """One term at every recorded call: its values (as the function returns them: mean, or per row) and gradients."""

    values: list[Tensor]
    grads: list[dict[str, Tensor]]


@dataclass(frozen=True)
class Law:
    """How the function's value follows from terms, and how well."""

    factor: Factor
    weights: tuple[float, ...]
    constant: float
    value_error: float
    gradient_error: float
    worst_role: str = ""

    @property
    def turned(self) -> bool:
        """The formula with its sign turned round."""
        return max(self.weights) < 0 and max(self.weights) - min(self.weights) < 1e-5 * abs(self.weights[0])

    def holds(self, tolerance: float) -> bool:
        """Value and every gradient agree."""
        return self.value_error <= tolerance and self.gradient_error <= 10 * tolerance


def image(
    term: Formula, records: Sequence[Record], form: Form, options: Mapping[str, float], *, slopes: bool = True
) -> Image:
    """The term at the inputs of every call."""
    values, grads = [], []
    for r in records:
        reduced = _as(torch.as_tensor(term(**r.inputs, **options), dtype=torch.float64), r)
        values.append(reduced.detach())
        grads.append(gradients(reduced, r.weights, r.inputs, form) if slopes else {})
    return Image(values, grads)


def _as(out: Tensor, record: Record) -> Tensor:
    """Reduced as the function reduced: to one number, or kept per row."""
    if not record.per_example:
        return out.mean()
    return out.expand(record.rows) if out.ndim == 0 else out.reshape(record.rows, -1).mean(dim=1)


def laws(records: Sequence[Record], images: Sequence[Image]) -> Iterator[Law]:
    """The exact law, then one with a factor and a constant, then one with a weight per term; likeliest first."""
    for factor in _factors(records):
        yield direct(records, images, factor)
    for factor in _factors(records):
        yield fitted(records, images, factor, together=True)
    if len(images) > 1:
        for factor in _factors(records):
            yield fitted(records, images, factor)


def _factors(records: Sequence[Record]) -> list[Factor]:
    wide = any(columns_of(r.inputs) > 1 for r in records)
    rows = not records[0].per_example
    return [f for f in FACTORS if (wide or not f.columns) and (rows or not f.rows)]


def direct(records: Sequence[Record], images: Sequence[Image], factor: Factor) -> Law:
    """Weights 1 and no constant."""
    return _law(records, images, factor, np.ones(len(images)), 0.0)


def fitted(records: Sequence[Record], images: Sequence[Image], factor: Factor, *, together: bool = False) -> Law:
    """Weights and a constant by least squares; `together`: one weight for all terms."""
    design, y = _design(records, images, factor)
    if together:
        design = np.stack([design[:, :-1].sum(axis=1), design[:, -1]], axis=1)
    weights, constant = [np.nan], 0.0
    if np.isfinite(design).all():  # LAPACK complains on stderr of anything else
        with suppress(np.linalg.LinAlgError):
            *weights, constant = np.linalg.lstsq(design, y, rcond=None)[0]
    every = np.resize(np.asarray(weights, dtype=np.float64), len(images))
    return _law(records, images, factor, every, float(constant))


def _column(values: Iterable[Tensor]) -> Floats:
    return np.concatenate([np.atleast_1d(v.numpy()) for v in values])


def _design(records: Sequence[Record], images: Sequence[Image], factor: Factor) -> tuple[Floats, Floats]:
    columns = [
        _column(factor.at(r) * v for r, v in zip(records, seen.values, strict=True))  # one column per term
        for seen in images
    ]
    y = _column(r.value for r in records)
    return np.stack([*columns, np.ones(len(y))], axis=1), y


def _law(records: Sequence[Record], images: Sequence[Image], factor: Factor, weights: Floats, constant: float) -> Law:
    design, y = _design(records, images, factor)
    guess = design @ np.append(weights, constant)
    size = max(float(np.std(y)), 1e-9 * float(np.abs(y).max(initial=0.0)), 1e-12)
    value_error = float(np.abs(y - guess).max(initial=0.0)) / size
    bounded = bool(np.all(np.isfinite(weights)) and np.abs(weights).max() < 1e6 and np.abs(weights).max() > 1e-6)
    worst, role = _gradient_error(records, images, factor, weights) if bounded and value_error < 0.1 else (np.inf, "")
    return Law(factor, tuple(map(float, weights)), constant, value_error if bounded else np.inf, worst, role)


def _gradient_error(
    records: Sequence[Record], images: Sequence[Image], factor: Factor, weights: Floats
) -> tuple[float, str]:
    roles = records[0].grads
    if not roles or images[0].grads[0].keys() != roles.keys():
        return 0.0, ""
    errors: dict[str, float] = {}
    for role in roles:
        wrong, size = 0.0, 0.0
        for k, r in enumerate(records):
            parts = [float(w) * i.grads[k][role] for w, i in zip(weights, images, strict=True)]
            ours = factor.at(r) * torch.stack(parts).sum(dim=0)
            wrong = max(wrong, float((r.grads[role] - ours).abs().max()))
            size = max(size, float(r.grads[role].abs().max()), float(ours.abs().max()))
        errors[role] = wrong / size if size > 1e-12 else 0.0
    role = max(errors, key=lambda name: errors[name])
    return errors[role], role


def solve(
    term: Formula, records: Sequence[Record], form: Form, known: Mapping[str, float], *, refine: bool = True
) -> dict[str, float]:
    """The options that are not known, from the values: the best of a grid, refined, and rounded if that is as good."""
    unknown = [o for o in form.options if o.role not in known and o.tried]
    if not unknown:
        return dict(known)
    few = list(records[:8])
    y = _column(r.value for r in few)
    sizes = [_column(torch.full_like(r.value, factor.at(r)) for r in few) for factor in _factors(few)]

    def error(numbers: Sequence[float]) -> float:
        options = dict(known) | {o.role: float(v) for o, v in zip(unknown, numbers, strict=True)}
        try:
            seen = _column(image(term, few, form, options, slopes=False).values)
        except Exception:  # a formula outside its domain
            return np.inf
        return min(_misfit(size * seen, y) for size in sizes) if np.all(np.isfinite(seen)) else np.inf

    best = min(product(*(o.tried for o in unknown)), key=error)
    if refine and error(best) > 1e-5:
        from scipy.optimize import minimize

        found = minimize(error, best, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 100})
        best = min(tuple(found.x), best, key=error)
        rounded = tuple(float(f"{v:.4g}") if abs(v) > 1e-6 else 0.0 for v in best)
        best = rounded if error(rounded) <= max(error(best), CLOSE) else best
    return dict(known) | {o.role: float(v) for o, v in zip(unknown, best, strict=True)}


def _misfit(x: Floats, y: Floats) -> float:
    """How far y is from x, or, all but as good, from a x + b."""
    size = max(float(np.std(y)), 1e-12)
    from_mean = x - x.mean()
    slope = float(from_mean @ y) / max(float(from_mean @ from_mean), 1e-300)
    line = float(np.abs(y - y.mean() - slope * from_mean).max())
    return min(float(np.abs(y - x).max()), 1e-9 * size + line) / size

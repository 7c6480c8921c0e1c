"""What the targets, weights, counts and settings of a classification loss must be: shapes always, values where they
can be read, which is not inside `torch.func.vmap`, a trace or `torch.compile`.

Each function returns nothing or raises UserError, begun with the name of the loss.
"""

import torch
from torch import Tensor

from ..errors import UserError

ROUNDING = 1e-3  # how far a row of probabilities may sum from 1 (half precision: the root of its step)


def check_rows(loss: str, z: Tensor, name: str, least: int = 2) -> None:
    """`z` (B, K), K at least 2, or `least`."""
    if z.ndim != 2 or z.shape[1] < least:
        raise UserError(
            f"{loss}: '{name}' must be (B, K), one column for each of K >= {least} classes; got {tuple(z.shape)}. "
            "One logit per row is the binary case (binary_cross_entropy_with_logits); more axes: "
            f"{name}.movedim(1, -1).flatten(0, -2) with target.flatten()."
        )


def check_labels(loss: str, z: Tensor, target: Tensor, ignore_index: int | None = None, name: str = "z") -> None:
    """`z` (B, K), K >= 2, and `target` (B,) of whole numbers in 0 .. K - 1, or `ignore_index`."""
    check_rows(loss, z, name)
    check_numbers(loss, target, z, z.shape[1], ignore_index, name)


def check_numbers(
    loss: str, target: Tensor, z: Tensor, classes: int, ignore_index: int | None = None, name: str = "z"
) -> None:
    """`target` (B,) of whole numbers in 0 .. classes - 1, or `ignore_index`, one for each row of `z`."""
    if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
        raise UserError(
            f"{loss}: 'target' must hold class numbers as integers; got {target.dtype}. Use target.long(), or "
            "target.argmax(dim=1) for one-hot rows."
        )
    if target.shape != z.shape[:1]:
        raise UserError(
            f"{loss}: 'target' must be ({len(z)},), one class number for each row of '{name}' {tuple(z.shape)}; got "
            f"{tuple(target.shape)}. Use target.squeeze(1) for (B, 1) and target.argmax(dim=1) for one-hot rows."
        )
    counted = target if ignore_index is None else target.masked_fill(target == ignore_index, 0)
    if _outside(counted, 0, classes - 1):
        row, value = _first(counted, (counted < 0) | (counted >= classes))
        skipped = "" if ignore_index is None else f" (or ignore_index = {ignore_index})"
        raise UserError(
            f"{loss}: 'target' must lie in 0 .. {classes - 1}{skipped}, as '{name}' is {tuple(z.shape)}; got "
            f"target[{row}] = {value:g}. Classes count from 0: torch.unique(target, return_inverse=True)[1] renumbers."
        )


def check_probabilities(loss: str, name: str, p: Tensor) -> None:
    """`p` (B, K), K >= 2: each row >= 0 with sum 1."""
    check_rows(loss, p, name)
    if not p.is_floating_point():
        raise UserError(f"{loss}: '{name}' must be probabilities in a floating-point type; got {p.dtype}.")
    if _outside(p, 0, torch.inf):
        where, value = _first(p, ~((p >= 0) & (p < torch.inf)))
        raise UserError(
            f"{loss}: '{name}' must be probabilities; got {name}[{where}] = {value:g}. Apply softmax first."
        )
    total, far = p.detach().sum(dim=1), max(ROUNDING, torch.finfo(p.dtype).eps ** 0.5)
    if _outside(total, 1 - far, 1 + far):
        row, value = _first(total, (total - 1).abs() > far)
        raise UserError(
            f"{loss}: each row of '{name}' must sum to 1; row {row} sums to {value:g}. Divide by its sum, or apply "
            "softmax to scores. (For several labels per row use a multi-label loss.)"
        )


def check_same_shape(loss: str, z: Tensor, target: Tensor, name: str = "z") -> None:
    """`target` of the shape of `z`: a wrong one would broadcast to all pairs."""
    if z.shape != target.shape:
        raise UserError(
            f"{loss}: '{name}' and 'target' must have one shape; got {tuple(z.shape)} and {tuple(target.shape)}, which "
            "would broadcast or fail. Squeeze both or neither."
        )


def check_chances(loss: str, z: Tensor, target: Tensor, name: str = "z") -> None:
    """`target` of the shape of `z`, each the probability in [0, 1] (or the label 0 or 1) of the positive class."""
    check_same_shape(loss, z, target, name)
    check_interval(loss, "target", target, "Labels of +-1 are (labels + 1) / 2; class numbers need a multi-class loss.")


def check_interval(loss: str, name: str, p: Tensor, fix: str) -> None:
    """Every entry of `p` in [0, 1]."""
    if p.dtype != torch.bool and _outside(p, 0, 1):
        where, value = _first(p, ~((p >= 0) & (p <= 1)))
        raise UserError(f"{loss}: '{name}' must lie in [0, 1]; got {name}[{where}] = {value:g}. {fix}")


def check_sets(loss: str, z: Tensor, target: Tensor) -> None:
    """`z` and `target` (B, K), every target 0 or 1: the set of labels of each row."""
    check_rows(loss, z, "z", least=1)
    check_same_shape(loss, z, target)
    between = ((target != 0) & (target != 1)).to(torch.uint8)
    if _outside(between, 0, 0):
        where, value = _first(target, between > 0)
        raise UserError(
            f"{loss}: 'target' must hold 0 or 1 (a label is there or not); got target[{where}] = {value:g}."
        )


def check_per_class(loss: str, name: str, values: Tensor, z: Tensor, fix: str = "") -> None:
    """`values` (K,), one for each column of `z`; above 0 if there is a `fix` to offer."""
    if values.shape != z.shape[1:]:
        raise UserError(
            f"{loss}: '{name}' must be ({z.shape[1]},), one number for each column of 'z' {tuple(z.shape)}; got "
            f"{tuple(values.shape)}."
        )
    if fix:
        check_positive(loss, name, values, fix)


def check_positive(loss: str, name: str, values: Tensor, fix: str) -> None:
    """Every entry finite and above 0."""
    least = torch.finfo(torch.float64).tiny
    if _outside(values, least, torch.finfo(torch.float64).max):
        where, value = _first(values, ~((values > 0) & (values < torch.inf)))
        raise UserError(f"{loss}: '{name}' must be finite and above 0; got {name}[{where}] = {value:g}. {fix}")


def check_broadcasts(loss: str, name: str, weight: Tensor, z: Tensor) -> None:
    """`weight` broadcasts to `z` without enlarging it."""
    trailing = zip(reversed(weight.shape), reversed(z.shape), strict=False)
    if weight.ndim > z.ndim or any(w not in (1, size) for w, size in trailing):
        raise UserError(
            f"{loss}: '{name}' must broadcast to 'z' {tuple(z.shape)}; got {tuple(weight.shape)}. Give one number per "
            "column (K,), per row (B, 1) or per entry (B, K)."
        )


def check_setting(loss: str, name: str, value: Tensor | float, least: float, most: float = torch.inf) -> None:
    """A plain number in [least, most]; a tensor, one number per lane, is taken as it is."""
    if not isinstance(value, Tensor) and not least <= value <= most:
        raise UserError(f"{loss}: '{name}' must lie in [{least:g}, {most:g}]; got {value}.")


def _outside(values: Tensor, low: float, high: float) -> bool:
    """Whether an entry is below `low`, above `high` or nan; False where there is none, or none can be read."""
    if values.numel() == 0 or torch.compiler.is_compiling():
        return False
    try:
        least, most = torch.stack(torch.aminmax(values.detach())).tolist()
    except RuntimeError:  # inside vmap or a trace a tensor has no value yet
        return False
    return not (low <= least and most <= high)


def _first(values: Tensor, wrong: Tensor) -> tuple[str, float]:
    """Where the first wrong entry stands, as "row, column", and its value."""
    where = wrong.nonzero()[0].tolist()
    return ", ".join(map(str, where)), values[tuple(where)].item()

"""Inputs: many drawn with keyed random numbers, and a strategy for hypothesis, which finds the smallest of a kind."""

from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from ..rng import Rng
from .claim import Form, Inputs, Size


class Keyed:
    """Numbers that depend on (seed, how many draws came before) alone, in float64."""

    def __init__(self, seed: int) -> None:
        self.rng, self.drawn = Rng.of(seed), 0

    def _next(self) -> int:
        self.drawn += 1
        return self.drawn

    def real(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers."""
        return self.rng.normal(self._next(), shape).double()

    def unit(self, shape: Sequence[int]) -> Tensor:
        """Uniform numbers inside (.02, .98)."""
        return 0.02 + 0.96 * self.rng.uniform(self._next(), shape).double()

    def integers(self, shape: Sequence[int], top: int) -> Tensor:
        """Uniform whole numbers."""
        return self.rng.integers(self._next(), shape, top)


class Searched:
    """Numbers that hypothesis chooses: quarters and twentieths, so that what is shrunk reads well."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def _whole(self, shape: Sequence[int], low: int, high: int) -> Tensor:
        count = int(torch.Size(shape).numel())
        drawn = self.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))
        return torch.tensor(drawn, dtype=torch.float64).reshape(tuple(shape))

    def real(self, shape: Sequence[int]) -> Tensor:
        """Quarters in [-3, 3]."""
        return self._whole(shape, -12, 12) / 4

    def unit(self, shape: Sequence[int]) -> Tensor:
        """Twentieths inside (0, 1), simplest at one half."""
        return 0.5 + self._whole(shape, -9, 9) / 20

    def integers(self, shape: Sequence[int], top: int) -> Tensor:
        """Whole numbers."""
        return self._whole(shape, 0, top - 1).long()


def bank(form: Form, count: int) -> list[Inputs]:
    """`count` inputs of different sizes."""
    sizes = [Size(form.least + 1 + i % 4, 2 + 2 * (i % 3), 3 + i % 3) for i in range(count)]
    return [_drawn(form, size, Keyed(i)) for i, size in enumerate(sizes)]


def strategy(form: Form) -> st.SearchStrategy[Inputs]:
    """Small inputs, simplest first."""

    @st.composite
    def inputs(draw: st.DrawFn) -> Inputs:
        size = Size(
            draw(st.integers(form.least, form.least + 3)), draw(st.sampled_from((2, 4))), draw(st.integers(2, 4))
        )
        return _drawn(form, size, Searched(draw))

    return inputs()


def _drawn(form: Form, size: Size, source: Any) -> Inputs:
    return {a.role: a.draw(size, source) for a in form.arguments if a.of is None}

"""Keyed, stateless random numbers: a draw depends only on (key, name), never on what was drawn before.

    draw(key, path) = the first numbers of a generator seeded with mix(key, path)

`rng["critic"]["eps"]` walks a path of names; two equal paths under equal keys give equal numbers, so inserting
a draw changes no other, a resumed run continues exactly, and objectives that share a key see the same batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from hashlib import blake2b

import torch
from torch import Tensor

MASK = (1 << 64) - 1


def mix(a: int, b: int) -> int:
    """SplitMix64 of two 64-bit words (Steele, Lea & Flood, 2014)."""
    x = (a + 0x9E3779B97F4A7C15 * (b + 1)) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


@lru_cache(maxsize=4096)
def word(name: str) -> int:
    """A 64-bit word for a name, the same on every machine and in every process."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def signed(word: int) -> int:
    """The same 64 bits as a signed integer, which is what a tensor can hold."""
    return word - (1 << 64) if word >> 63 else word


def key(*path: str | int) -> int:
    """The 64-bit key of a path of names, for example key("split", 7)."""
    state = 0
    for part in path:
        state = mix(state, part & MASK if isinstance(part, int) else word(part))
    return state


@cache
def _generator() -> torch.Generator:
    return torch.Generator()  # re-seeded before every draw, so it carries no state


def _fill(kind: str, keys: list[int], path: int, out: Tensor, top: int) -> None:
    for lane, lane_key in zip(out, keys, strict=True):
        seed = mix(lane_key & MASK, path & MASK) >> 1
        generator = _generator().manual_seed(seed)
        if kind == "normal":
            lane.normal_(generator=generator)
        elif kind == "uniform":
            lane.uniform_(generator=generator)
        else:
            lane.random_(0, top, generator=generator)


_library = torch.library.Library("whichloss", "DEF")
_library.define("draw(Tensor key, str kind, int path, int[] shape, int top, Device device) -> Tensor")


def _empty(key: Tensor, kind: str, shape: Sequence[int], device: torch.device) -> Tensor:
    dtype = torch.int64 if kind == "integers" else torch.get_default_dtype()
    return torch.empty((*key.shape, *shape), dtype=dtype, device=device)


def _draw(key: Tensor, kind: str, path: int, shape: Sequence[int], top: int, device: torch.device) -> Tensor:
    out = _empty(key, kind, shape, torch.device("cpu"))  # the same numbers on every device
    _fill(kind, key.reshape(-1).tolist(), path, out.view(-1, *shape), top)
    return out.to(device)


def _draw_lanes(info: object, dims: tuple[int | None, ...], key: Tensor, *rest: object) -> tuple[Tensor, int]:
    return torch.ops.whichloss.draw(key, *rest), 0  # a key of S lanes draws S lanes


_library.impl("draw", _draw, "CompositeExplicitAutograd")
_library.impl("draw", torch.library.fallthrough_kernel, "Autograd")
_library._register_fake("draw", lambda key, kind, path, shape, top, device: _empty(key, kind, shape, device))
torch.library.register_vmap("whichloss::draw", _draw_lanes, lib=_library)


@dataclass(frozen=True)
class Rng:
    """A key (one 64-bit integer per lane) and the path of names walked from it."""

    key: Tensor
    path: int = 0

    @staticmethod
    def of(*seeds: int) -> "Rng":
        """The generator of one seed, or of several lanes."""
        keys = torch.tensor([signed(mix(0, seed)) for seed in seeds], device="cpu")
        return Rng(keys if len(seeds) > 1 else keys[0])

    def __getitem__(self, name: str | int) -> "Rng":
        """The stream of a name: constant while a step is traced, so names are few."""
        return replace(self, path=mix(self.path, name & MASK if isinstance(name, int) else word(name)))

    def at(self, *numbers: int) -> "Rng":
        """The stream of a step: the numbers enter the keys, so that one trace serves every step."""
        path = self.path
        for number in numbers:
            path = mix(path, number & MASK)
        keys = [signed(mix(k & MASK, path)) for k in self.key.reshape(-1).tolist()]
        return Rng(torch.tensor(keys, device="cpu").view(self.key.shape))

    def _draw(self, kind: str, name: str | int, shape: Sequence[int], top: int = 0) -> Tensor:
        here = torch.get_default_device()  # `with torch.device(...)` around a step decides where its draws go
        draw: Tensor = torch.ops.whichloss.draw(self.key, kind, signed(self[name].path), shape, top, here)
        return draw

    def normal(self, name: str | int, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers of the given shape."""
        return self._draw("normal", name, shape)

    def uniform(self, name: str | int, shape: Sequence[int]) -> Tensor:
        """Uniform numbers in [0, 1)."""
        return self._draw("uniform", name, shape)

    def integers(self, name: str | int, shape: Sequence[int], top: int) -> Tensor:
        """Uniform integers in 0 .. top - 1."""
        return self._draw("integers", name, shape, top)

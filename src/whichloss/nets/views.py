"""Views of rows: what an embedding must not tell apart when there are no labels to say so.

A view is a function of the rows and of keyed draws, so that it can be traced, and of lanes side by side.
"""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from ..rng import Rng

LEAST = 0.6  # of a picture's side, in a crop
SHADE = 0.4  # by how much contrast and brightness vary, either way
TURN, STRETCH, SHEAR = 0.4, 0.2, 0.3  # radians, log of the ratio of sides, tangent: the most at bend 1, either way
SWAPPED = 0.3  # of a row's numbers, in a view of it


def view(x: Tensor, rng: Rng, shape: tuple[int, ...] = ()) -> Tensor:
    """Another look at rows (B, d): of pictures (C, H, W) a crop in another light, of vectors a partial exchange."""
    return shaded(cropped(x, rng, shape), rng) if shape else exchanged(x, rng)


def cropped(x: Tensor, rng: Rng, shape: tuple[int, ...], least: float = LEAST, bend: float | Tensor = 0.0) -> Tensor:
    """A random square part of each picture (B, C H W), of `least` to 1 of its sides, enlarged to its size; with `bend`
    in [0, 1] a turned, stretched and sheared one."""
    n, (_, h, w) = len(x), shape
    share = least + (1 - least) * rng.uniform("share", (n,))
    middle = (1 - share)[:, None] * (2 * rng.uniform("middle", (n, 2)) - 1)  # [-1, 1]^2 is the picture
    turn, stretch, shear = (
        (bend * most * (2 * rng.uniform(name, (n, 1, 1)) - 1))
        for name, most in (("turn", TURN), ("stretch", STRETCH), ("shear", SHEAR))
    )
    across, down = (share[:, None] * ((2 * torch.arange(side) + 1) / side - 1) for side in (w, h))
    across, down = across[:, None, :], down[:, :, None]
    across, down = stretch.exp() * across + shear * down, (-stretch).exp() * down
    places = turn.cos() * across - turn.sin() * down, turn.sin() * across + turn.cos() * down
    grid = torch.stack([p + middle[:, axis, None, None] for axis, p in enumerate(places)], dim=-1)
    seen = grid_sample(x.reshape(n, *shape), grid.to(x), padding_mode="border", align_corners=False)
    return seen.reshape(n, -1)


def fewer_words(ids: Tensor, rng: Rng, share: float | Tensor) -> Tensor:
    """Texts (B, context), as `data.captions` codes them, without this share of what stands between start and end."""
    place, end = torch.arange(ids.shape[1]), ids.argmax(dim=1, keepdim=True)
    left_out = (rng.uniform("left out", tuple(ids.shape)) < share) & (place > 0) & (place < end)
    kept = torch.where(left_out, 0, ids)
    return kept.gather(1, (left_out | (place > end)).to(torch.uint8).argsort(dim=1, stable=True))


def shaded(x: Tensor, rng: Rng, most: float | Tensor = SHADE, channels: int = 1) -> Tensor:
    """Contrast around the mean times 1 +- most, brightness +- most, of each picture (B, d), levels in [-1, 1]; where
    channels are told apart, of each of them, which changes the colours."""
    n, bands = len(x), x.reshape(len(x), channels, -1)
    contrast, light = (most * (2 * rng.uniform(name, (n, channels, 1)) - 1) for name in ("contrast", "light"))
    mean = bands.mean(dim=2, keepdim=True)
    return (mean + (bands - mean) * (1 + contrast) + light).reshape(n, -1)


def exchanged(x: Tensor, rng: Rng, share: float = SWAPPED) -> Tensor:
    """A share of every row's numbers (B, d), drawn anew from the other rows of the batch (Bahri et al., 2022)."""
    other = x.gather(0, rng.integers("other", tuple(x.shape), len(x)))
    return torch.where(rng.uniform("kept", tuple(x.shape)) < share, other, x)

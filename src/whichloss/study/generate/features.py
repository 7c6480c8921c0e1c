"""What pictures are compared by: the last map of a small network, averaged over the picture.

The network is trained on the user's own labels where there are any, else to tell by how many quarter turns a picture
was turned (Gidaris et al., 2018); where height and width differ, by which flips. Trained once per study by a fixed
recipe, never on test rows, and kept with it, so that all objectives and workers see with the same eyes.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from ...data import Pictures, Scale
from ...data.write import aside
from ...errors import UserError
from ...nets import pictures as nets
from ...objectives import find
from ...rng import Rng, key
from ...task import Task
from ...train import Lanes, Loop

WIDTH, STEPS, BATCH = 64, 400, 128
LEARNED = 10_000  # pictures that are learned from, turned ones counted
BLOCK = 500  # pictures seen at once


@dataclass(frozen=True, eq=False)
class Features:
    """A trained network for pictures of one shape; kind: "labels" or "turns"."""

    shape: tuple[int, int, int]
    classes: int
    kind: str
    weights: np.ndarray

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any weight."""
        return sha256(self.weights.tobytes()).hexdigest()[:16]

    @cached_property
    def net(self) -> nets.Critic:
        """The network."""
        net = nets.builder(self.shape, WIDTH)("F", int(np.prod(self.shape)), self.classes)
        assert isinstance(net, nets.Critic)
        nn.utils.vector_to_parameters(torch.from_numpy(self.weights), net.parameters())
        return net.requires_grad_(False)

    @torch.no_grad()
    def of(self, values: np.ndarray) -> Tensor:
        """Features (n, k) of pictures uint8 (n, d), float64."""
        scale, out = Scale(self.shape), []
        for start in range(0, len(values), BLOCK):
            x = torch.from_numpy(scale.encode(np.asarray(values[start : start + BLOCK])))
            seen = self.net.judge[0](self.net.see(x.view(-1, *self.shape)))
            out.append(seen.mean(dim=(2, 3)).double())
        return torch.cat(out) if out else torch.zeros(0, 1).double()

    def save(self, path: str | Path) -> None:
        """Write it to one safetensors file."""
        about = np.array([*self.shape, self.classes, self.kind == "labels"])
        with aside(Path(path)) as part:
            save_file({"about": about, "weights": self.weights}, part)

    @classmethod
    def load(cls, path: str | Path) -> "Features":
        """Read what `save` wrote. Raises UserError where there is none."""
        try:
            arrays = load_file(str(path))
        except Exception as error:
            raise UserError(f"'{path}' is missing, damaged or holds no features: {error}.") from error
        c, h, w, classes, labelled = map(int, arrays["about"])
        return cls((c, h, w), classes, "labels" if labelled else "turns", arrays["weights"])


def learned(pictures: Pictures, rows: np.ndarray) -> Features:
    """Features trained on these rows."""
    generator = np.random.Generator(np.random.PCG64(key("features")))
    rows = generator.permutation(rows)
    if pictures.labels is not None and len(np.unique(pictures.labels)) > 1:
        rows = np.sort(rows[:LEARNED])
        values, y, kind = np.asarray(pictures.values[rows]), pictures.labels[rows], "labels"
        classes = len(pictures.classes)
    else:
        values, y = turned(np.asarray(pictures.values[np.sort(rows[: LEARNED // 4])]), pictures.shape)
        kind, classes = "turns", 4
    weights = trained(values, y, pictures.shape, classes)
    return Features(pictures.shape, classes, kind, weights)


def turned(values: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every picture (n, d) in four ways (4 n, d), and which way each is: quarter turns, or flips of oblong ones."""
    x = values.reshape(-1, *shape)
    if shape[1] == shape[2]:
        ways = [np.rot90(x, k, axes=(2, 3)) for k in range(4)]
    else:
        ways = [x, x[:, :, ::-1], x[:, :, :, ::-1], x[:, :, ::-1, ::-1]]
    rows = np.concatenate([np.ascontiguousarray(way).reshape(values.shape) for way in ways])
    return rows, np.repeat(np.arange(4), len(values))


def trained(values: np.ndarray, y: np.ndarray, shape: tuple[int, int, int], classes: int) -> np.ndarray:
    """The flat weights of a classifier after a fixed number of steps of cross-entropy."""
    n, d = values.shape
    data = torch.stack([torch.arange(n).double(), torch.from_numpy(y).double()], dim=1)
    rng = Rng.of(0)["features"]
    lanes = Lanes(
        find("cross-entropy")(),
        Task("classify", d, n, classes, "one", shape),
        nets.builder(shape, WIDTH),
        Rng(rng.key[None], rng.path),
        data[None],
        torch.tensor([n]),
        torch.zeros(1, d),
        batch=min(BATCH, n),
        pixels=torch.from_numpy(values),
    )
    loop = Loop(lanes, lanes.start(), STEPS)
    while loop.state.step < STEPS:
        loop.step()
    return np.asarray(loop.state.weights["F"][0].numpy())

"""What pictures are compared by: the last map of a network, averaged over the picture.

The usual network is small and trained once per study by a fixed recipe, never on test rows, and kept with it, so that
all objectives and workers see with the same eyes:

    labels     it tells the user's own labels
    turns      without labels, by how many quarter turns a picture was turned (Gidaris et al., 2018); where height and
               width differ, by which flips
    random     it is left as it starts, where it learns to tell neither: round pictures look alike however turned
    channels   stacked pictures: it tells the class of one channel, and every channel is seen by itself

On request the network is EfficientNet-Lite0, trained on photographs, which sees every picture 64 pixels wide.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor, nn

from ...data import Pictures, Scale
from ...data.pixels import taken
from ...data.toys import CHANNELS, STACKED
from ...data.write import aside
from ...errors import UserError, nearest
from ...nets import efficientnet
from ...nets import pictures as nets
from ...objectives import find
from ...rng import Rng, key
from ...task import Task
from ...train import Lanes, Loop

LITE = "efficientnet-lite0"
NAMES = {
    "labels": "label features",
    "turns": "turn features",
    "random": "features of a random network",
    LITE: "EfficientNet-Lite0 features",
    "channels": "channel features",
}
ASKED = ("labels", "turns", "random", LITE)
WIDTH, STEPS, BATCH = 64, 400, 128
LEARNED = 10_000  # pictures that are learned from, turned ones and channels counted
HELD, TOLD = 0.1, 1000  # the share of the units, and the most pictures, that tell what was learned
LEAST = 0.1  # of the way from guessing to certainty: what a network must have learned to be of use
BLOCK = 100  # pictures seen at once
SIDE = 64  # pixels of the longer side, for the large one


@dataclass(frozen=True, eq=False)
class Features:
    """A network for pictures of one shape; accuracy, guess: how often it tells what it was trained to tell, and how
    often the most frequent answer is right, on pictures held out of training."""

    shape: tuple[int, int, int]
    classes: int
    kind: str
    weights: np.ndarray
    accuracy: float = float("nan")
    guess: float = float("nan")

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any weight."""
        return sha256(efficientnet.PRINT.encode() if self.kind == LITE else self.weights.tobytes()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """As it stands in the names of numbers."""
        return NAMES[self.kind]

    @property
    def said(self) -> str:
        """What pictures are compared by, and how good it is, in a sentence."""
        right = f"{self.accuracy:.1%} of held-out cases right, guessing {self.guess:.1%}"
        return {
            "labels": f"Pictures are compared in features of a network trained on their labels: {right}.",
            "turns": f"Pictures are compared in features of a network trained to tell how they were turned: {right}.",
            "random": "Pictures are compared in features of a network as it starts: it learned neither labels nor how "
            "pictures were turned. These see less of shapes; EfficientNet-Lite0 may see more (--features).",
            LITE: "Pictures are compared in features of EfficientNet-Lite0, trained on photographs (ImageNet), which "
            f"sees them {SIDE} pixels wide.",
            "channels": f"Every channel is compared in features of a network trained to tell its class: {right}.",
        }[self.kind]

    @property
    def learned(self) -> float:
        """How far the network came from guessing (0) to certainty (1)."""
        return (self.accuracy - self.guess) / (1 - self.guess) if self.guess < 1 else 0.0

    @property
    def one(self) -> tuple[int, int, int]:
        """The shape of what the network sees at once: a picture, or one channel."""
        return (1, *self.shape[1:]) if self.kind == "channels" else self.shape

    @cached_property
    def net(self) -> nets.Critic:
        """The small network."""
        net = nets.builder(self.one, WIDTH)("F", int(np.prod(self.one)), self.classes)
        assert isinstance(net, nets.Critic)
        nn.utils.vector_to_parameters(torch.from_numpy(self.weights), net.parameters())
        return net.requires_grad_(False)

    def of(self, values: np.ndarray) -> Tensor:
        """Features (n, k) of pictures uint8 (n, d), float64; k is 3 times as large where channels are seen."""
        seen = [self._large(x) if self.kind == LITE else self._small(x) for x in self._blocks(values)]
        return torch.cat(seen).view(len(values), -1)

    def told(self, values: np.ndarray) -> np.ndarray:
        """What the network takes pictures (n, d) for: classes (n,), or (n, 3) of channels."""
        with torch.no_grad():
            found = [self.net(self._encoded(x)).argmax(1) for x in self._blocks(values)]
        told = torch.cat(found).numpy()
        return told.reshape(-1, CHANNELS) if self.kind == "channels" else told

    def _blocks(self, values: np.ndarray) -> Iterator[np.ndarray]:
        rows = np.asarray(values).reshape(-1, int(np.prod(self.one)))
        return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))

    def _encoded(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(Scale(self.one).encode(rows))

    @torch.no_grad()
    def _small(self, rows: np.ndarray) -> Tensor:
        seen: Tensor = self.net.judge[0](self.net.see(self._encoded(rows).view(-1, *self.one)))
        return seen.mean((2, 3)).double()

    @torch.no_grad()
    def _large(self, rows: np.ndarray) -> Tensor:
        x = torch.from_numpy(rows.copy()).view(-1, *self.shape).float().expand(-1, 3, -1, -1)
        scale = SIDE / max(self.shape[1:])
        sides = [max(1, round(side * scale)) for side in self.shape[1:]]
        x = nn.functional.interpolate(x, sides, mode="bilinear").contiguous(memory_format=torch.channels_last)
        out: Tensor = efficientnet.pretrained()(x)
        return out.double()

    def save(self, path: str | Path) -> None:
        """Write one safetensors file."""
        about = {"shape": self.shape, "classes": self.classes, "kind": self.kind, "marks": [self.accuracy, self.guess]}
        with aside(Path(path)) as part:
            save_file({"weights": self.weights}, part, {"about": json.dumps(about)})

    @classmethod
    def load(cls, path: str | Path) -> "Features":
        """Read what `save` wrote. Raises UserError where there is none."""
        try:
            with safe_open(str(path), "numpy") as file:
                about, weights = json.loads(file.metadata()["about"]), file.get_tensor("weights")
            return cls(tuple(about["shape"]), about["classes"], about["kind"], weights, *about["marks"])
        except Exception as error:
            raise UserError(f"'{path}' is missing, damaged or holds no features: {error}.") from error


def stacked(pictures: Pictures) -> bool:
    """Do these pictures stack three of one set as their channels?"""
    return pictures.source.startswith(STACKED) and pictures.labels is not None


def labelled(pictures: Pictures) -> bool:
    """Do the pictures have labels that differ?"""
    return pictures.labels is not None and len(np.unique(pictures.labels)) > 1


def check_asked(pictures: Pictures, kind: str | None) -> None:
    """Refuse features that do not exist, or not for these pictures, or not on this machine."""
    if kind is None:
        return
    if kind not in ASKED:
        raise UserError(f"--features '{kind}': {nearest(kind, ASKED)}")
    if kind == "labels" and not labelled(pictures):
        raise UserError(
            f"--features labels: {pictures.source} has no labels. Put each class into a sub-folder of its own, or "
            "leave --features out."
        )
    if kind == LITE:
        efficientnet.pretrained()


def learned(pictures: Pictures, rows: np.ndarray, asked: str | None = None) -> Features:
    """The features asked for; else the first of the recipes that learns, on pictures held out of these rows, more than
    a tenth of the way from guessing to certainty."""
    if asked == LITE:
        return Features(pictures.shape, 0, LITE, np.zeros(0, np.float32))
    generator = np.random.Generator(np.random.PCG64(key("features")))
    rows = generator.permutation(rows)
    units = rows if pictures.groups is None else pictures.groups[rows]
    names = generator.permutation(np.unique(units))
    held = np.isin(units, names[: max(1, round(HELD * len(names)))])
    usual = ("channels",) if stacked(pictures) else ("labels",) * labelled(pictures) + ("turns", "random")
    for kind in (asked,) if asked else usual:
        found = recipe(pictures, rows[~held], rows[held][:TOLD], kind)
        if kind in ("channels", "random", asked) or found.learned > LEAST:
            break
    return found


def recipe(pictures: Pictures, rows: np.ndarray, held: np.ndarray, kind: str) -> Features:
    """Features of one kind from these rows, and what they have learned by other rows."""
    values, y, classes = example(
        pictures, rows[: LEARNED // {"turns": 4, "random": 4, "channels": CHANNELS}.get(kind, 1)], kind
    )
    shape = (1, *pictures.shape[1:]) if kind == "channels" else pictures.shape
    found = Features(pictures.shape, classes, kind, trained(values, y, shape, classes, STEPS * (kind != "random")))
    values, y, _ = example(pictures, held, kind)
    return replace(found, accuracy=float((found.told(values).ravel() == y).mean()), guess=np.bincount(y).max() / len(y))


def example(pictures: Pictures, rows: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, int]:
    """What a network learns from: pictures (m, d), what it has to tell of them (m,), one of how many."""
    values = taken(pictures.values, np.sort(rows))
    if kind in ("turns", "random"):
        return *turned(values, pictures.shape), 4
    assert pictures.labels is not None
    y, classes = pictures.labels[np.sort(rows)], len(pictures.classes)
    if kind == "labels":
        return values, y, classes
    each = of_channels(y, classes)
    return values.reshape(each.size, -1), each.ravel(), round(classes ** (1 / CHANNELS))


def of_channels(modes: np.ndarray, count: int) -> np.ndarray:
    """Modes (n,) of stacked pictures, K^3 in all -> the class (n, 3) of each channel."""
    base = round(count ** (1 / CHANNELS))
    return np.asarray(modes[:, None] // base ** np.arange(CHANNELS)[::-1] % base)


def turned(values: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every picture (n, d) in four ways (4 n, d), and which way each is: quarter turns, or flips of oblong ones."""
    x = values.reshape(-1, *shape)
    if shape[1] == shape[2]:
        ways = [np.rot90(x, k, axes=(2, 3)) for k in range(4)]
    else:
        ways = [x, x[:, :, ::-1], x[:, :, :, ::-1], x[:, :, ::-1, ::-1]]
    rows = np.concatenate([np.ascontiguousarray(way).reshape(values.shape) for way in ways])
    return rows, np.repeat(np.arange(4), len(values))


def trained(
    values: np.ndarray, y: np.ndarray, shape: tuple[int, int, int], classes: int, steps: int | None = None
) -> np.ndarray:
    """The flat weights of a classifier after a fixed number of steps of cross-entropy; the same on any number of cores,
    since it uses one."""
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
    with one_thread():
        loop = Loop(lanes, lanes.start(), STEPS)
        while loop.state.step < (STEPS if steps is None else steps):
            loop.step()
    return np.asarray(loop.state.weights["F"][0].cpu().numpy())


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

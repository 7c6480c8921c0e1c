"""The loop as people write it, and what is seen where it ends."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from whichloss.data import Pictures, read_pictures
from whichloss.data.toys import digits
from whichloss.errors import UserError
from whichloss.metrics.embeddings import NEIGHBOURS, neighbours
from whichloss.objectives.cosine_bce import Line

from .settings import LOSSES, Pairs, Setting

CLASSES, SIZE, SHIFT = 8, 32, 2  # SIZE: of an embedding; SHIFT: pixels by which a view is moved, at most


@dataclass(frozen=True)
class Look:
    """Who is asked for the classes of whom: the k nearest known ones decide."""

    known: Tensor
    codes: Tensor
    asked: Tensor
    truth: Tensor
    k: int = NEIGHBOURS


@dataclass(frozen=True)
class Data:
    """Pictures (n, 1, H, W) in [0, 1] to learn from and their labels (n,); where to look how well it went."""

    x: Tensor
    y: Tensor
    looks: Mapping[str, Look]
    fresh: bool = False  # every batch shows new noise

    @property
    def classes(self) -> int:
        """The number of different labels."""
        return int(self.y.max()) + 1


def pool(folder: Path | None, each: int) -> Pictures:
    """Pictures with labels 0 .. 7: of Fashion-MNIST's folder, or scikit-learn's digits. UserError where too few."""
    if folder is None:
        values, codes = digits()
        real = read_pictures(values.reshape(-1, 8, 8), labels=codes)
    else:
        paths = sorted(folder.glob("train-images-idx3-ubyte*"))
        if not paths:
            raise UserError(f"'{folder}' holds no train-images-idx3-ubyte(.gz). Give the folder of Fashion-MNIST.")
        real = read_pictures(paths[0])
    if real.labels is None or min(np.bincount(real.labels, minlength=CLASSES)[:CLASSES]) < 2 * each:
        raise UserError(f"{real!r}: each of the classes 0 to {CLASSES - 1} must have {2 * each} pictures or more.")
    return real


def make(kind: str, real: Pictures, each: int, seed: int) -> Data:
    """Data of one kind, of `each` pictures a class to learn from and as many to be tested on."""
    draw, rows = np.random.default_rng(seed), []
    for code in range(CLASSES):
        rows.append(draw.permutation(np.flatnonzero(real.labels == code))[: 2 * each])
    values = torch.from_numpy(np.asarray(real.values)[np.concatenate(rows)].reshape(-1, *real.shape)).float() / 255
    y = torch.arange(CLASSES).repeat_interleave(2 * each)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(y), generator=generator)
    x, y, n = values[order], y[order], len(y) // 2
    if kind in ("noise", "fresh"):
        x = torch.randint(256, x.shape, generator=generator) / 255
    if kind == "shuffled":
        y = y[torch.randperm(len(y), generator=generator)]
    if kind == "views":
        return of_views(x, n, generator)
    half = n // 2
    trained = Look(x[:half], y[:half], x[half:n], y[half:n])
    return Data(x[:n], y[:n], {"train": trained, "test": Look(x[:n], y[:n], x[n:], y[n:])}, kind == "fresh")


def of_views(x: Tensor, n: int, generator: torch.Generator) -> Data:
    """Two views of every picture, alike with each other only; tested on the pictures from n on."""
    one, two = moved(x, generator), moved(x, generator)
    own = torch.arange(n)
    looks = {"train": Look(one[:n], own, two[:n], own, 1), "test": Look(one[n:], own, two[n:], own, 1)}
    return Data(torch.cat([one[:n], two[:n]]), torch.cat([own, own]), looks)


def moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """Every picture moved by up to SHIFT pixels each way, and dimmed, to half its light at most."""
    n, _, height, width = x.shape
    wide = pad(x, (SHIFT,) * 4)
    places = torch.randint(2 * SHIFT + 1, (n, 2), generator=generator).tolist()
    views = [wide[i, :, top : top + height, left : left + width] for i, (top, left) in enumerate(places)]
    return torch.stack(views) * (0.5 + 0.5 * torch.rand(n, 1, 1, 1, generator=generator))


def network(setting: Setting, shape: torch.Size) -> nn.Sequential:
    """Convolutions, the first two halving the sides, and one linear layer: (B, 1, H, W) -> (B, SIZE)."""
    layers: list[nn.Module] = []
    channels, kernel = shape[0], setting.kernel
    for depth in range(setting.depth):
        width, stride = (16, 2) if depth == 0 else (32, 2 if depth == 1 else 1)
        layers += [nn.Conv2d(channels, width, kernel, stride, kernel // 2), nn.ReLU()]
        channels = width
    inner = nn.Sequential(*layers, nn.Flatten())
    return nn.Sequential(inner, nn.Linear(inner(torch.zeros(1, *shape)).shape[1], SIZE))


def batches(data: Data, setting: Setting, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Numbers of both sides of a batch's pairs, for ever: all rows in a new order, each with a drawn partner."""
    same = data.y[:, None] == data.y
    alike, other = (same & ~torch.eye(len(same), dtype=torch.bool)).float(), (~same).float()
    while True:
        for rows in torch.randperm(len(same), generator=generator).split(setting.batch):
            wanted = torch.rand(len(rows), 1, generator=generator) < LOSSES[setting.loss].positives
            yield rows, torch.where(wanted, alike[rows], other[rows]).multinomial(1, generator=generator)[:, 0]


def train(setting: Setting, data: Data, seed: int) -> dict[str, float]:
    """Train once; what is seen before and after. The loss and its levels are means over the last epoch."""
    torch.manual_seed(seed)
    F, line, loss = network(setting, data.x.shape[1:]), Line(), LOSSES[setting.loss]
    adam = torch.optim.AdamW([*F.parameters(), *line.parameters()], setting.lr, weight_decay=setting.decay)
    generator = torch.Generator().manual_seed(seed)
    seen = {f"untrained {name}": value for name, value in at(F, data).items()}
    epoch, curve = -(-len(data.y) // setting.batch), []
    for i, j in itertools.islice(batches(data, setting, generator), setting.epochs * epoch):
        x = torch.cat([data.x[i], data.x[j]])
        a, b = F(torch.rand(x.shape, generator=generator) if data.fresh else x).chunk(2)
        pairs = Pairs(a, b, data.y[i], data.y[j], data.classes, line())
        value = loss.value(pairs).mean()
        adam.zero_grad()
        value.backward()
        adam.step()
        curve.append((float(value.detach()), loss.least(pairs), loss.constant(pairs)))
    means = np.mean(curve[-epoch:], axis=0).tolist()
    return seen | at(F, data) | dict(zip(("loss", "least", "constant"), means, strict=True))


@torch.no_grad()
def at(F: nn.Module, data: Data) -> dict[str, float]:
    """Accuracy by nearest neighbours, mean and spread of the cosines of alike pairs and of others, on both looks."""
    found = {}
    for name, look in data.looks.items():
        z, known = normalize(F(look.asked), dim=1), normalize(F(look.known), dim=1)
        found[f"{name} accuracy"] = float((neighbours(known, look.codes, z, look.k) == look.truth).double().mean())
        cosine, same = z @ known.T, look.truth[:, None] == look.codes
        for kind, some in (("alike", cosine[same]), ("other", cosine[~same])):
            found |= {f"{name} {kind}": float(some.mean()), f"{name} {kind} spread": float(some.std())}
    return found

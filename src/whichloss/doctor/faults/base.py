"""What planted faults share: data, small networks, and a run that is watched."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from ..watch import Watch

WIDTHS = (32, 96)  # thresholds were set on the first; the second scores


@dataclass(frozen=True)
class Fault:
    """One class of faults: what is planted, and the rules that name it."""

    name: str
    rules: tuple[str, ...]
    contract: bool = False


@dataclass(frozen=True)
class Family:
    """One kind of training: its data, its loop, the faults that are planted, and controls that only look
    like faults."""

    name: str
    data: tuple[str, ...]
    loop: Callable[[str, int, int, str], Iterator[Watch]]
    faults: tuple[Fault, ...]
    controls: tuple[str, ...] = ()


def seeded(seed: int) -> torch.Generator:
    """All global generators of the seed, as a loop would do; and one of its own for the data."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def graded(fault: str, name: str, usual: float) -> float:
    """How much of it is planted: "label noise" means the usual share, "label noise 0.1" a tenth; 0 for other faults."""
    if fault == name:
        return usual
    return float(fault.removeprefix(name)) if fault.startswith(name + " ") else 0.0


def mlp(*widths: int, act: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers with an activation between them."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


def batches(x: Tensor, size: int, steps: int, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Rows drawn anew each epoch."""
    order = torch.zeros(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(len(x))
        part, order = order[:size], order[size:]
        yield (x[part], *(y[part] for y in others))


@lru_cache(maxsize=8)
def labelled(name: str) -> tuple[Tensor, Tensor]:
    """Standardised rows and their classes."""
    from sklearn import datasets

    if name == "digits":
        x, y = datasets.load_digits(return_X_y=True)
    elif name == "wine":
        x, y = datasets.load_wine(return_X_y=True)
    elif name == "moons":
        x, y = datasets.make_moons(1500, noise=0.15, random_state=0)
    elif name == "blobs":
        x, y = datasets.make_classification(
            2000, 12, n_informative=8, n_classes=5, n_clusters_per_class=1, class_sep=2.0, random_state=0
        )
    else:
        x, y = datasets.load_breast_cancer(return_X_y=True)
    sd = x.std(0)
    return torch.from_numpy((x - x.mean(0)) / np.where(sd > 0, sd, 1)).float(), torch.from_numpy(y).long()


@lru_cache(maxsize=8)
def points(name: str) -> Tensor:
    """Rows to generate, of mean 0 and variance 1 a column."""
    generator = torch.Generator().manual_seed(7)
    n = 4000
    if name == "ring8":
        k = torch.randint(0, 8, (n,), generator=generator)
        angle = k * (2 * torch.pi / 8)
        x = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(n, 2, generator=generator)
    elif name == "normal":
        x = torch.randn(n, 2, generator=generator) @ torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    elif name == "moons":
        from sklearn.datasets import make_moons

        x = torch.from_numpy(make_moons(n, noise=0.1, random_state=0)[0]).float()
    elif name == "line":
        k = torch.randint(0, 3, (n, 1), generator=generator).float()
        x = 2 * k + 0.3 * torch.randn(n, 1, generator=generator)
    else:
        from sklearn.datasets import load_diabetes

        x = torch.from_numpy(load_diabetes().data).float() if name == "diabetes" else labelled(name)[0]
        x = x[:, x.std(0) > 0]
        _, _, v = torch.linalg.svd(x - x.mean(0), full_matrices=False)  # the first principal directions
        x = (x - x.mean(0)) @ v[:8].T
    return (x - x.mean(0)) / x.std(0)

"""How sampled pictures are judged: rounded to the levels that a picture holds, compared in features of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import metrics
from ...data import Pictures, Scale, evenly
from ...data.pixels import FLOATED, blocks_of, taken
from ...data.toys import CHANNELS
from ...engines import trim
from ...errors import UserError
from ...rng import key
from ...task import Task
from ...train import Lanes
from ..judge import Anchor, Weights, Which
from ..store import mapped
from . import anchors, damages, strips
from .features import Features, labelled, learned
from .judge import DESCRIBED, DIRECTIONS, SampleJudge

LOOK = 500  # pictures that score a point of a curve
SHOWN = 64  # sampled pictures kept for the report
FRAMES = 8  # of them kept at every look, all from the same noise; shown with their nearest training pictures
BLOCK = 1 << 20  # distances at once
NUMBERS = 1 << 24  # in the pictures from which these come, at most
FITTED = 1 << 25  # in those that simple models are fitted on
AXES = 64  # principal directions in which the simple models of pictures live
BATCH, FEWEST = 64, 16  # pictures in a step
PLACES = 1 << 16  # in them together, at most: the maps of a step, which are kept for its backward pass, grow with these
SHARE = "share of "  # begins the name of a class's share
COPIED, THUMB = 1000, 8  # pictures in the copy test, on each side; the fewest pixels of a side of their thumbnails
MOST_CLASSES, COUNTED = 100, 5000  # classes that are counted, and the pictures from which counting is learnt


@dataclass(frozen=True, eq=False)
class PictureJudge(SampleJudge):
    """The real pictures of a study and the features they are compared in."""

    table: Pictures  # type: ignore[assignment]  # its sibling: rows of bytes, not of columns
    features: Features | None = None
    see: str | None = None  # the features asked for
    folder: Path | None = None  # of the study: there its workers share what each would keep for itself
    draws = 3

    @property
    def batch(self) -> int:  # type: ignore[override]
        """Fewer large pictures: at equal compute that gives more steps, too."""
        _, height, width = self.table.shape
        return max(FEWEST, min(BATCH, PLACES // (height * width)))

    @property
    def asked(self) -> Mapping[str, object]:
        """The shape of a picture, and the features, if some were asked for."""
        return {"shape": self.table.shape} | ({"features": self.see} if self.see else {})

    @property
    def usual(self) -> tuple[str, ...]:
        """Those of rows, but for likelihoods by importance weights, which no proposal reaches in so many dimensions."""
        return tuple("latent-ebm" if name == "ml" else name for name in super().usual)

    @property
    def tables(self) -> Mapping[str, Any]:
        """The pictures, and the features."""
        return {"data": self.table, "features": self.eyes}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noticed while the pictures were read."""
        return self.table.notes

    @cached_property
    def eyes(self) -> Features:
        """The features, trained where they are not given."""
        return self.features or learned(self.table, self.rest, self.see)

    def resumed(self, folder: Path) -> "PictureJudge":
        """With the features in the folder: trained again elsewhere, they might differ in a bit."""
        with suppress(UserError):  # missing or damaged
            return replace(self, features=Features.load(folder / "features.safetensors"))
        return self

    @property
    def score_name(self) -> str:  # type: ignore[override]
        """The score, with the name of the features it is taken in."""
        return f"MMD^2 of {self.eyes.name}"

    @property
    def method(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is done, and what the pictures are compared by."""
        return ("A row, in what follows, is a picture.", *SampleJudge.method, self.eyes.said)

    @property
    def labelled(self) -> bool:
        """Do the pictures have labels?"""
        return labelled(self.table)

    @property
    def task(self) -> Task:
        """The width of a picture as a row, how many may be learned from, and its shape."""
        return Task("generate", self.space.dim, len(self.rest), shape=self.table.shape)

    def encoded(self, rows: np.ndarray) -> tuple[Any, Tensor]:
        """The encoding, and the numbers of these pictures."""
        return self.space, torch.from_numpy(rows.astype(np.float64))[:, None]

    def jitter(self, encoder: Any) -> np.ndarray:
        """Noise within a level, so that a density exists."""
        return np.asarray(encoder.jitter)

    @cached_property
    def space(self) -> Any:
        """Bytes to [-1, 1] and back."""
        return Scale(self.table.shape)

    @cached_property
    def directions(self) -> Tensor:
        """The directions of the sliced distance, in the features."""
        return metrics.directions(self.place(self.table.values[:1]).shape[1], DIRECTIONS, seed=0)

    def answers(
        self, lanes: Lanes, encoders: Sequence[Any], seeds: Sequence[int], weights: Weights, which: Which, name: str
    ) -> list[Any]:
        """Pictures drawn by every lane, fewer for what only describes, and in fewer steps for a point of a curve; None
        where it has diverged."""
        trim()  # what training, or judging the last answer, took
        if name == "judge":
            found = super().answers(lanes, encoders, seeds, weights, which, name)
            trim()  # maps, and the pictures as floats
            return found
        rough: Mapping[str, Any] = getattr(lanes.objective, "rough", {}) if name == "look" else {}
        lanes = replace(lanes, objective=replace(lanes.objective, **rough))
        drawn = lanes.sample(weights, min(LOOK, self.size(seeds[0])), name).numpy()
        return [e.decode(x) if np.isfinite(x).all() else None for e, x in zip(encoders, drawn, strict=True)]

    def place(self, values: np.ndarray) -> Tensor:
        """Features (n, k) of pictures uint8 (n, d); those of the last ones are kept: every metric asks for them."""
        if self._last[0] is not values:
            self._last[:] = values, self.eyes.of(values)
        found: Tensor = self._last[1]
        return found

    @cached_property
    def _last(self) -> list[Any]:
        return [None, None]

    def of_all(self, name: str, of: Callable[[np.ndarray], Tensor]) -> np.ndarray:
        """What `of` says of every real picture (N, k), float32: found once, in one order, so that no bit depends on
        when, and kept where all workers of a study see it."""
        blocks = (of(block).float().numpy() for block in blocks_of(self.table.values))
        if self.folder is None:
            found = np.concatenate(list(blocks))
        else:
            path = self.folder / "partial" / f"{name}-{self.eyes.fingerprint}.float32"
            found = mapped(path, blocks).reshape(len(self.table), -1)
        trim()  # the maps that the features came from; they are not needed again
        return found

    @cached_property
    def placed(self) -> np.ndarray:
        """Features of all real pictures."""
        return self.of_all("features", self.eyes.of)

    def at(self, numbers: np.ndarray) -> Tensor:
        """Features of real pictures."""
        return torch.from_numpy(taken(self.placed, numbers)).double()

    def thumbs(self, rows: np.ndarray) -> Tensor:
        """Means of blocks of pixels (n, t), so that a side has 8 to 15 of them: what copies have in common to the eye,
        while features may part them for one odd pixel."""
        x = torch.from_numpy(np.array(rows, np.float32)).view(-1, *self.table.shape)
        blocks = [max(1, side // THUMB) for side in self.table.shape[1:]]
        return torch.nn.functional.avg_pool2d(x, blocks, ceil_mode=True).flatten(1)

    @cached_property
    def small(self) -> np.ndarray:
        """All real pictures as thumbnails."""
        return self.of_all("thumbnails", self.thumbs)

    def versions(self, rows: np.ndarray) -> Tensor:
        """Thumbnails (n, v, t) of pictures as they are, mirrored, and moved by one pixel."""
        return torch.cat([self._versions(block) for block in blocks_of(rows, FLOATED)])

    def _versions(self, rows: np.ndarray) -> Tensor:
        x = rows.reshape(-1, *self.table.shape)
        wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
        h, w = x.shape[2:]
        moved = [wide[:, :, i : i + h, j : j + w] for i, j in ((0, 1), (2, 1), (1, 0), (1, 2))]
        return torch.stack([self.thumbs(way) for way in (x, x[..., ::-1], *moved)], dim=1)

    @cached_property
    def held_out(self) -> Tensor:
        """All versions of some test pictures."""
        return self.versions(taken(self.table.values, self.numbers(0, "test", COPIED)))

    def copying(self, versions: Tensor, seed: int) -> metrics.CopyTest:
        """The copy test of pictures in all versions."""
        train = torch.from_numpy(taken(self.small, self.split(seed).train))
        return metrics.copy_test(versions, train, self.held_out)

    def copies(self, rows: np.ndarray, seed: int) -> dict[str, float]:
        """The copy test: are the pictures nearer to training pictures than held-out ones are?"""
        trim()  # what the other metrics took: this one holds thumbnails of all training pictures
        found = self.copying(self.versions(evenly(rows, COPIED)), seed)
        return {"copy test p": found.p, "copied share": found.share}

    def damaged(self, numbers: np.ndarray, draw: int) -> Iterator[tuple[str, float, Tensor]]:
        """(kind, size, points): real pictures with every planted damage."""
        return ((kind, size, points) for kind, size, points, _ in damages.planted(self, numbers, draw))

    def copied(self) -> Iterator[tuple[float, float, bool]]:
        """(share, z, seen): what the copy test sees of planted copies."""
        return damages.copies(self)

    def glimpse(self, answer: np.ndarray) -> np.ndarray:
        """The first pictures; their noise is that of every look."""
        return answer[:FRAMES]

    def describe(self, answer: np.ndarray, seed: int, which: Which) -> dict[str, float]:
        """The descriptive metrics, in features named in their names."""
        two = self.at(self.numbers(seed, which, min(len(answer), DESCRIBED)))
        one = self.place(answer)[evenly(np.arange(len(answer)), len(two))]
        named = self.eyes.name
        return super().describe(answer, seed, which) | {
            f"Frechet distance ({named})": metrics.frechet(one, two),
            f"KID ({named})": metrics.kid(one, two),
        }

    @cached_property
    def counter(self) -> Any | None:
        """Tells the classes of pictures from their features; None without labels, or with too many classes."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        labels, learnt = self.table.labels, evenly(self.rest, COUNTED)
        if labels is None or len(self.table.classes) > MOST_CLASSES or len(np.unique(labels[learnt])) < 2:
            return None
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(self.at(learnt), labels[learnt])

    @cached_property
    def told_right(self) -> float:
        """How often the counter is right, on test pictures."""
        assert self.counter is not None and self.table.labels is not None
        test = self.split(0).test
        return float(self.counter.score(self.at(test), self.table.labels[test]))

    def counts(self, points: Tensor) -> np.ndarray:
        """The share (K,) of every class among pictures with these features, as the counter sees them."""
        assert self.counter is not None
        return np.bincount(self.counter.predict(points), minlength=len(self.table.classes)) / len(points)

    def shares(self, answer: np.ndarray, seed: int, which: Which) -> dict[str, float]:
        """How pictures share themselves out over the classes, and how far that is from real ones, which are counted
        in the same way, so that what is mistaken there is mistaken here."""
        found = super().shares(answer, seed, which)
        if self.counter is None:
            return found
        drawn, real = self.counts(self.place(answer)), self.counts(self.at(self.numbers(seed, which)))
        found |= {f"{SHARE}{name}": float(s) for name, s in zip(self.table.classes, drawn, strict=True)}
        return found | {
            "class share difference": float(np.abs(drawn - real).sum()) / 2,
            "classes told right": self.told_right,
        }

    def toy(self, values: np.ndarray) -> dict[str, float]:
        """Of stacked pictures: how their modes share themselves out, by what the network takes each channel for."""
        if self.eyes.kind != "channels":
            return {}
        base = self.eyes.classes
        modes = self.eyes.told(values) @ base ** np.arange(CHANNELS)[::-1]
        found = metrics.mode_shares(modes, base**CHANNELS)
        return {
            "modes covered": float(found.covered),
            "modes": float(base**CHANNELS),
            "modes covered at best": found.perfect_covered,
            "KL of modes": found.kl,
            "KL floor": found.floor,
            "channels told right": self.eyes.accuracy,
        }

    def kept(self, answer: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """Some pictures, for the report, and the nearest training pictures of the first: in features, in pixels."""
        some, train = answer[:SHOWN], self.split(seed).train
        apart, near = nearest(self.place(answer)[:FRAMES], train, self.at)
        held_out = nearest(self.at(self.numbers(seed, "test", COPIED)), train, self.at)[0].median()
        in_pixels = nearest(floats(some[:FRAMES]), train, self.levels)[1]
        return {
            "samples": some,
            "near": train[near.numpy()],
            "near in pixels": train[in_pixels.numpy()],
            "distance": (apart / held_out).numpy(),
        }

    def levels(self, numbers: np.ndarray) -> Tensor:
        """The pixels of real pictures (n, d)."""
        return floats(taken(self.table.values, numbers))

    def anchors(self, seed: int, which: Which) -> Iterator[Anchor]:
        """Simple models of pictures, fresh real ones, and copies of training pictures; one after the other, since each
        is as large as what it is compared with."""
        parts = self.split(seed)
        learnt = evenly(parts.train, min(anchors.FIT, FITTED // self.space.dim))
        train, fresh = (taken(self.table.values, n) for n in (learnt, self.fresh(seed)))
        for anchor in simple(train, fresh, self.space, seed):
            trim()
            yield anchor
            del anchor
            trim()  # what judging it took

    def examined(self, lanes: Lanes, encoder: Any, seed: int, weights: Weights, which: Which) -> dict[str, float]:
        """Nothing: bytes have no density."""
        return {}

    def maps(self, lanes: Lanes, encoder: Any, weights: Weights) -> dict[str, np.ndarray]:
        """Ways from one picture to another; real and drawn pictures as an autoencoder rebuilds them. Rows of bytes."""
        numbers = self.numbers(0, "test", 2 * strips.LINES)
        x = torch.from_numpy(encoder.encode(self.table.values[numbers]))
        y = torch.zeros(len(x), 0)
        if lanes.task.given and self.table.labels is not None:
            y = torch.nn.functional.one_hot(torch.from_numpy(self.table.labels[numbers]), lanes.task.given).to(x)
        found = strips.between(lanes, weights, x, y)
        if strips.rebuilds(lanes):
            drawn, told = lanes.sample(weights, len(x), "rebuilt")[0], lanes.told(len(x))[0]
            found |= {"real": x, "real rebuilt": strips.rebuilt(lanes, weights, x, y)}
            found |= {"drawn": drawn, "drawn rebuilt": strips.rebuilt(lanes, weights, drawn, told)}
        return {k: encoder.decode(v.numpy()) for k, v in found.items() if v.isfinite().all()}

    def log_likelihood(
        self, encoder: Any, seed: int, which: Which, density: Callable[[Tensor], Tensor]
    ) -> float | None:
        """None: the exact divergence of a network of pictures costs too much."""
        return None


def floats(rows: np.ndarray) -> Tensor:
    """Pictures as numbers that distances can be taken of."""
    return torch.from_numpy(rows.astype(np.float32))


def nearest(x: Tensor, numbers: np.ndarray, of: Callable[[np.ndarray], Tensor]) -> tuple[Tensor, Tensor]:
    """How far the nearest of the rows of(numbers) is from each of x (m, k), and its place among them; in blocks, since
    all distances at once would take gigabytes."""
    best, place = torch.full((len(x),), torch.inf, dtype=x.dtype), torch.zeros(len(x), dtype=torch.int64)
    block = max(1, BLOCK // max(x.shape))
    for start in range(0, len(numbers), block):
        found = torch.cdist(x, of(numbers[start : start + block])).min(1)
        place = torch.where(found.values < best, start + found.indices, place)
        best = torch.minimum(best, found.values)
    return best, place


def principal(x: np.ndarray, count: int) -> np.ndarray:
    """The first principal axes (count, d) of centred rows (m, d), orthonormal; from the smaller of x x' and x' x, since
    a singular value decomposition takes ten times the memory of x."""
    wide = len(x) < x.shape[1]
    _, vectors = np.linalg.eigh((x @ x.T if wide else x.T @ x).astype(np.float64))
    last = vectors[:, : -count - 1 : -1]
    return np.asarray(np.linalg.qr((x.T @ last.astype(x.dtype)).astype(np.float64) if wide else last)[0].T)


def simple(train: np.ndarray, fresh: np.ndarray, scale: Any, seed: int) -> Iterator[Anchor]:
    """Every anchor as pictures (n, d), as many as the fresh real ones."""
    n = len(fresh)
    generator = np.random.Generator(np.random.PCG64(key("anchors", seed)))
    yield Anchor("independent marginals", anchors.marginals(train, n, generator))
    x = scale.encode(evenly(train, max(2 * AXES, NUMBERS // train.shape[1])))
    mean = x.mean(0)
    x -= mean
    axes = principal(x, min(AXES, len(train) - 1))
    del x
    z = np.concatenate([(scale.encode(part) - mean) @ axes.T for part in np.array_split(train, -(-len(train) // 100))])
    for name, components in (("Gaussian", (1,)), ("Gaussian mixture", anchors.COMPONENTS)):
        model = anchors.mixture(z, components, seed)
        drawn = model.sample(n)[0][generator.permutation(n)]
        parts = [scale.decode((part @ axes + mean).astype(np.float32)) for part in np.array_split(drawn, -(-n // 100))]
        yield Anchor(name, np.concatenate(parts))
    yield Anchor("fresh real rows", fresh)
    yield Anchor("copies of training rows", train[generator.integers(0, len(train), n)])

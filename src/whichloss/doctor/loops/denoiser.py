"""A denoiser that learns nothing, does not look at the noise level, or sees too much data in the noise."""

from collections.abc import Iterator

import numpy as np

from ...task import Finding
from ..say import Say
from ..trace import Loss, Trace

LEAST = 0.05
WORSE = 0.15  # of the target's variance, at one of the levels


def _looks_normal(x: np.ndarray) -> bool:
    """Is the kurtosis of these numbers that of a normal law?"""
    z = x.ravel() - x.mean()
    return abs(float((z**4).mean() / max((z**2).mean() ** 2, 1e-12)) - 3) < 0.5


def _told_by_level(x: np.ndarray, t: np.ndarray, wanted: np.ndarray) -> list[float]:
    """The square of the correlation of input and target at the two ends of the noise levels, 4 % of the rows each."""
    order, many = np.argsort(t, kind="stable"), max(20, len(t) // 25)
    with np.errstate(invalid="ignore", divide="ignore"):  # of numbers that are all the same
        found = [np.corrcoef(x[part].ravel(), wanted[part].ravel())[0, 1] for part in (order[:many], order[-many:])]
    return [float(np.nan_to_num(r) ** 2) for r in found]


def _levels(
    loss: Loss, say: Say, x: np.ndarray, t: np.ndarray, wanted: np.ndarray, error: np.ndarray
) -> Iterator[Finding]:
    """Fifths of the noise levels where a straight line through the input does better than the network."""
    if len(x) < 100 or x.shape != wanted.shape:
        return
    for fifth in np.array_split(np.argsort(t, kind="stable"), 5):
        a, b = x[fifth] - x[fifth].mean(0), wanted[fifth] - wanted[fifth].mean(0)
        slope = (a * b).sum() / max((a * a).sum(), 1e-12)
        line, network = (((e**2).sum(1) / max((b**2).sum(1).mean(), 1e-12)) for e in (b - slope * a, error[fifth]))
        more = network - line
        if more.mean() > max(WORSE, 3 * more.std() / len(more) ** 0.5):
            yield say.fault(
                "worse than a line at some levels",
                f"At noise levels {t[fifth].min():.2g} to {t[fifth].max():.2g} the network at {loss.site} leaves "
                f"{network.mean():.0%} of what it should predict; a straight line through its input leaves "
                f"{line.mean():.0%}.",
                "These levels have next to no weight in the loss, are hardly ever drawn, or the level's number means "
                "another thing there.",
                "Weigh the levels evenly in what is predicted (eps: weight 1), or clip the weight (min-SNR); draw "
                "levels from the whole range.",
                {"left by the network": float(network.mean()), "left by a line": float(line.mean())},
                "Hang et al., 2023",
            )
            return


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for loss in trace.losses.values():
        explained, change = loss.late("explained", 0.25), loss.late("change with level")
        if explained is None or not loss.denoised or loss.facts.get("given away"):
            continue
        x, t, wanted, error, later = loss.denoised
        if explained < LEAST:
            yield say.fault(
                "denoiser explains nothing",
                f"The network at {loss.site} explains {explained:.1%} of what it should predict: no more than its "
                "mean does.",
                "What it should predict is not in its input (drawn afresh, or of other rows), or it has not begun to "
                "learn.",
                "Use one and the same noise for the input and the target; look at the learning rate.",
                {"explained": explained},
                "Ho et al., 2020",
            )
        if change is not None and change < 1e-3:
            yield say.fault(
                "noise level ignored",
                f"What the network at {loss.site} says does not change with the noise level it is given "
                f"({change:.1g}).",
                "The level does not reach it: multiplied by 0, of a wrong shape, or too small a number.",
                "Feed an embedding of the level, in [0, 1] or as sines, into the layers.",
                {"change": change},
            )
        yield from _levels(loss, say, *(part[later] for part in (x, t, wanted, error)))
        if len(x) < 400 or x.shape != wanted.shape:
            continue  # too few, or a condition stands beside the row
        normal = abs(float(wanted.mean())) < 0.1 and abs(float(wanted.var()) - 1) < 0.15 and _looks_normal(wanted)
        if normal:
            told = _told_by_level(x, t, wanted)
            if max(told) < 0.95:
                yield say.fault(
                    "schedule ends before the noise",
                    f"At the noisiest level the input still holds {1 - max(told):.0%} of other things than noise: "
                    "sampling, which "
                    "starts from pure noise, starts where the network was never trained.",
                    "The schedule's product does not reach 0: too few or too small steps, or steps that were not "
                    "multiplied up.",
                    "alpha_bar = cumprod(1 - beta), near 0 at the end; the cosine schedule.",
                    {"noise in the noisiest input": max(told)},
                    "Nichol & Dhariwal, 2021; Lin et al., 2024",
                )
            sizes = [float(part.var()) for part in np.array_split(x[np.argsort(t, kind="stable")], 10)]
            ratio = max(sizes) / max(min(sizes), 1e-12)
            if max(told) >= 0.95 and (np.argmax(sizes) >= 5) == (told[1] > told[0]):
                continue  # noise that grows until it covers everything
            if ratio > 1.6 and max(sizes) > 1.6 and max(told) >= 0.3:
                yield say.fault(
                    "scale of noised data",
                    f"The variance of the noised rows goes from {min(sizes):.2g} to {max(sizes):.2g} over the noise "
                    "levels; with "
                    "data of variance 1 it should stay near 1.",
                    "The data were not standardised, or data and noise were added without sqrt(alpha_bar), sqrt(1 - "
                    "alpha_bar).",
                    "Standardise the data; x_t = sqrt(alpha_bar) x + sqrt(1 - alpha_bar) noise.",
                    {"least": min(sizes), "most": max(sizes)},
                    "Ho et al., 2020",
                )

"""Curves of classification losses: one example, its score or probability along the horizontal axis."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ...losses import classification as c
from ...losses import long_tail, multi_label, noisy_labels, ordinal
from .draw import Panel, curve, last, over, pair, slope

Function = Callable[[Tensor], Tensor]
CHANCE = "p, the probability given to label 1"
TRUE = "p, the probability given to the true class"
MARGIN = "z, the true class's logit; two others are 0"


def _class_zero(loss: Callable[..., Tensor], **options: object) -> Function:
    """z -> the loss of logits (z, 0, 0) at class 0."""

    def f(z: Tensor) -> Tensor:
        rows = torch.stack([z, torch.zeros_like(z), torch.zeros_like(z)], dim=1)
        return loss(rows, torch.zeros(len(z), dtype=torch.long), **options)

    return f


def _by_chance(loss: Callable[..., Tensor], **options: object) -> Function:
    """p -> the loss of logits whose softmax gives class 0 the probability p, and two others the rest."""
    inner = _class_zero(loss, **options)
    return lambda p: inner(torch.log(2 * p / (1 - p)))


def _binary(loss: Callable[..., Tensor], label: float, **options: object) -> Function:
    return lambda z: loss(z, torch.full_like(z, label), **options)


def _of_chance(f: Function) -> Function:
    return lambda p: f(torch.logit(p))


def binary_cross_entropy() -> list[Panel]:
    """BCE on probabilities, and on logits against the naive form in float32."""
    f = {f"label {k}": _binary(c.binary_cross_entropy, k) for k in (1, 0)}
    panels = pair(
        "Binary cross-entropy",
        "Without bound where a sure answer is wrong; 0 where it is right.",
        CHANCE,
        f,
        over(0.005, 0.995),
        range=(0, 5.5),
        slopes=(-30, 30),
        below="-1/p and 1/(1 - p): never 0, not even for the right answer.",
    )
    z = torch.linspace(-100, 100, 401)

    def naive(z: Tensor) -> Tensor:
        return -torch.log(1 - torch.sigmoid(z))

    safe = _binary(c.binary_cross_entropy_with_logits, 0)
    says = "float32, label 0. The naive -log(1 - sigmoid(z)) is infinite from z = 17: its line ends at the cross."
    lost = "The naive gradient is 0 times infinity there: not a number, and from then on so are all weights."
    title, axis = "On logits, to ±100", "z, the logit"
    values = {"whichloss": curve(safe, z), "naive": curve(naive, z)}
    slopes = {"whichloss": slope(safe, z), "naive": slope(naive, z)}
    return [
        *panels,
        Panel(title, says, axis, "loss", values, ends=last(values["naive"])),
        Panel(f"{title}: the gradient", lost, axis, "d loss / d z", slopes, ends=last(slopes["naive"])),
    ]


def logit() -> list[Panel]:
    """Logit and sigmoid, and that a logit is no log-probability."""
    p, z = over(0.002, 0.998), over(-6, 6)
    log_p: Function = torch.log
    return [
        Panel(
            "The logit is a log-odds",
            "log p is negative for every p < 1; the logit changes sign at one half.",
            "p",
            "",
            {"logit p": curve(c.logit, p), "log p": curve(log_p, p)},
            (0, 1),
        ),
        Panel(
            "The sigmoid undoes it",
            "Slope 1/4 at 0; each unit multiplies the odds by e.",
            "z",
            "",
            {"sigmoid z": curve(c.sigmoid, z), "its slope": slope(c.sigmoid, z)},
            (-6, 6),
        ),
    ]


def categorical_cross_entropy() -> list[Panel]:
    """Cross-entropy against the margin."""
    return pair(
        "Cross-entropy",
        "A straight line where wrong, and nearly 0 where right.",
        MARGIN,
        {"cross-entropy": _class_zero(c.cross_entropy)},
        over(-6, 8),
        below="p - 1: between -1, all wrong, and 0.",
    )


def label_smoothing() -> list[Panel]:
    """With and without smoothing."""
    f = {f"smoothing {s:g}" if s else "none": _class_zero(c.cross_entropy, smoothing=s) for s in (0.0, 0.1, 0.3)}
    return pair(
        "Cross-entropy with and without smoothing",
        "Smoothed, the loss has a least point at a finite logit, and it is not 0: being surer costs again.",
        MARGIN,
        f,
        over(-4, 12),
        below="It crosses 0 where p is 1 - s + s/3; without smoothing it never does.",
    )


def focal() -> list[Panel]:
    """Focal loss for some gammas."""
    f = {f"gamma {g:g}": _binary(c.focal, 1, gamma=g) for g in (0.0, 0.5, 1.0, 2.0, 5.0)}
    by_p = {name: _of_chance(g) for name, g in f.items()}
    note = "gamma 0 is cross-entropy. A larger gamma forgets examples that are already right."
    value = pair("Focal loss", note, TRUE, by_p, over(0.01, 0.99), range=(0, 4))[0]
    below = (
        "Against the logit. With gamma > 0 the pull of a hopeless example is nearly the same, that of an easy one gone."
    )
    return [value, pair("Focal loss", "", "z, the logit of the true class", f, over(-6, 6), below=below)[1]]


def asymmetric() -> list[Panel]:
    """The negative half."""
    f = {
        "binary cross-entropy": _binary(c.binary_cross_entropy_with_logits, 0),
        "gamma 4": _binary(multi_label.asymmetric, 0, clip=0.0),
        "gamma 4, clip .05": _binary(multi_label.asymmetric, 0),
    }
    return pair(
        "Asymmetric loss of an absent label",
        "Easy negatives count for nothing; below p = clip exactly nothing.",
        "z, the logit of an absent label",
        f,
        over(-6, 6),
        below="A very sure wrong answer is pulled less as well: it may be a missing label.",
    )


def poly1() -> list[Panel]:
    """Epsilon."""
    f = {f"epsilon {e:g}": _class_zero(c.poly1, epsilon=e) for e in (-1.0, 0.0, 1.0, 3.0)}
    return pair(
        "Poly-1", "epsilon 0 is cross-entropy.", MARGIN, f, over(-5, 8), below="The change is largest near p = 1/2."
    )


def margins() -> list[Panel]:
    """Hinges beside the logistic loss."""
    f: dict[str, Function] = {
        "multi-margin x 3": lambda z: 3 * _class_zero(c.multi_margin)(z),
        "squared hinge, label 1": _binary(c.squared_hinge, 1),
        "cross-entropy": _class_zero(c.cross_entropy),
    }
    return pair(
        "Margin losses",
        "Exactly 0 beyond the margin of 1; cross-entropy never is.",
        MARGIN,
        f,
        over(-3, 4),
        below="Hinges stop pulling at the margin: such rows no longer matter.",
        range=(0, 9),
    )


def squared_one_hot() -> list[Panel]:
    """Squared loss against cross-entropy."""
    f = {"squared, scale 1": _class_zero(c.squared_one_hot), "cross-entropy": _class_zero(c.cross_entropy)}
    return pair(
        "Squared loss on one-hot",
        "A score above the target costs again, though the answer is right.",
        MARGIN,
        f,
        over(-3, 5),
        range=(0, 4),
        below="It changes sign at the target.",
    )


def robust() -> list[Panel]:
    """Losses for noisy labels, against the probability of the label."""
    f = {
        "cross-entropy": _by_chance(c.cross_entropy),
        "generalised, q .7": _by_chance(noisy_labels.generalised_cross_entropy),
        "mean absolute": _by_chance(noisy_labels.mean_absolute),
        "symmetric": _by_chance(noisy_labels.symmetric_cross_entropy),
        "normalised": _by_chance(noisy_labels.normalised_cross_entropy),
    }
    by_logit = {
        "cross-entropy": _class_zero(c.cross_entropy),
        "generalised, q .7": _class_zero(noisy_labels.generalised_cross_entropy),
        "mean absolute": _class_zero(noisy_labels.mean_absolute),
        "symmetric": _class_zero(noisy_labels.symmetric_cross_entropy),
        "normalised": _class_zero(noisy_labels.normalised_cross_entropy),
    }
    note = "What is bounded cannot be ruled by a few wrong labels, at the left."
    below = "Against the logit. Bounded losses let go of rows they find hopeless; that also makes them slow to start."
    value = pair("Losses for noisy labels", note, "p, the probability of the label", f, over(0.01, 0.99), range=(0, 5))[
        0
    ]
    return [value, pair("Losses for noisy labels", "", MARGIN, by_logit, over(-8, 6), below=below)[1]]


def long_tail_losses() -> list[Panel]:
    """Where the boundary between a common and a rare class lies."""
    prior = torch.tensor([0.9, 0.1], dtype=torch.float64)

    def rare(tau: float) -> Function:
        def f(z: Tensor) -> Tensor:
            rows = torch.stack([torch.zeros_like(z), z], dim=1)
            return long_tail.logit_adjustment(rows, torch.ones(len(z), dtype=torch.long), prior, tau=tau)

        return f

    f = {f"tau {t:g}" if t else "cross-entropy": rare(t) for t in (0.0, 1.0, 2.0)}
    return pair(
        "A row of the rare class (prior .1)",
        "The prior in the logits asks the rare class for a lead of tau log 9.",
        "z, the rare class's logit; the common one's is 0",
        f,
        over(-4, 8),
        below="The pull lasts until the lead is there.",
    )


def weights() -> list[Panel]:
    """Class-balanced weights against the count."""
    counts = torch.logspace(0, 4, 81, dtype=torch.float64).round().unique()
    lines = {}
    for beta in (0.9, 0.99, 0.999, 0.9999):
        found = long_tail.class_balanced_weights(counts, beta=beta)
        lines[f"beta {beta:g}"] = (counts.tolist(), (found / found[-1]).tolist())
    says = "Relative to the largest class. A class of more than 1/(1 - beta) rows counts as large."
    return [Panel("Class-balanced weights", says, "rows of the class", "weight", lines, (1, 1e4), log="xy")]


def rows_of_a_class() -> list[Panel]:
    """LDAM for classes of several sizes."""
    counts = torch.tensor([10.0, 100.0, 1000.0], dtype=torch.float64)

    def of(k: int, margin: float = 0.5) -> Function:
        def f(z: Tensor) -> Tensor:
            rows = torch.zeros(len(z), 3).to(z)
            rows[:, k] = 1
            return long_tail.ldam(rows * z[:, None], torch.full((len(z),), k), counts, margin=margin, scale=10)

        return f

    f = {f"{counts[k]:,.0f} rows": of(k) for k in range(3)} | {"margin 0": of(0, 0.0)}
    return pair(
        "LDAM: a class of so many rows",
        "The fewer rows, the farther the true class must lead.",
        "c, the true class's cosine; two others are 0",
        f,
        over(-0.5, 1),
        below="A rare class is pulled on where a common one is let go. Scale 10, margins .5, .28, .16.",
    )


def sets_of_labels() -> list[Panel]:
    """ZLPR of one label, alone and beside a worse one."""

    def beside(target: float, *others: float) -> Function:
        def f(z: Tensor) -> Tensor:
            rows = torch.stack([z, *(torch.full_like(z, other) for other in others)], dim=1)
            return multi_label.zlpr(rows, torch.full_like(rows, target))

        return f

    f = {"present": beside(1.0), "present, beside one at -2": beside(1.0, -2.0), "absent": beside(0.0)}
    return pair(
        "ZLPR of one label",
        "Present labels belong above 0, absent ones below.",
        "z, the label's score",
        f,
        over(-6, 6),
        below="Labels of one kind share a logarithm: the worst of them is pulled most.",
    )


def thresholds() -> list[Panel]:
    """CORN's probabilities of four classes as all answers move together."""
    s, apart = over(-6, 8), torch.tensor([2.0, 0.0, -2.0], dtype=torch.float64)
    law = ordinal.corn_probabilities(s[:, None] + apart)
    lines = {f"class {k}": (s.tolist(), law[:, k].tolist()) for k in range(4)}
    says = "Three answers, s + 2, s and s - 2: each class has its turn, and the probabilities add up to 1."
    title = "CORN: four ordered classes"
    loss = {f"class {k}": curve(partial(_corn, k, apart), s) for k in range(4)}
    return [
        Panel(title, says, "s, the common part of the answers", "P(y = k)", lines, (-6, 8), (0, 1)),
        Panel(f"{title}: the loss", "-log P(y = k): dearer the farther away.", "s", "loss", loss, (-6, 8), (0, 14)),
    ]


def _corn(k: int, apart: Tensor, s: Tensor) -> Tensor:
    return ordinal.corn(s[:, None] + apart, torch.full((len(s),), k))


def information() -> list[Panel]:
    """Information content and the entropy of a coin."""
    from ...losses.divergence import cross_entropy_of, entropy, information_content

    p = over(0.005, 0.995)

    def coin(p: Tensor) -> Tensor:
        return torch.stack([p, 1 - p], dim=1)

    def fixed(q: Tensor) -> Tensor:
        return cross_entropy_of(coin(0 * q + 0.7), coin(q))

    return [
        Panel(
            "Information content",
            "A certain event says nothing; a rare one much.",
            "p",
            "nats",
            {"-log p": curve(information_content, p)},
            (0, 1),
        ),
        Panel(
            "Entropy and cross-entropy of a coin",
            "The cross-entropy of p = .7 is least where q = p: there it is the entropy.",
            "probability of heads",
            "nats",
            {"entropy H(p)": curve(lambda p: entropy(coin(p)), p), "H(.7, q)": curve(fixed, p)},
            (0, 1),
            (0, 2.2),
        ),
    ]


OF = (
    dict.fromkeys(("binary-cross-entropy", "bce"), binary_cross_entropy)
    | {"logit": logit}
    | dict.fromkeys(("categorical-cross-entropy", "cross-entropy"), categorical_cross_entropy)
    | dict.fromkeys(("label-smoothing-loss", "label-smoothing"), label_smoothing)
    | dict.fromkeys(("focal-loss", "focal"), focal)
    | dict.fromkeys(("asymmetric-loss", "asymmetric"), asymmetric)
    | dict.fromkeys(("poly1", "poly"), poly1)
    | dict.fromkeys(("margin-losses", "multi-margin"), margins)
    | dict.fromkeys(("squared-one-hot", "squared"), squared_one_hot)
    | dict.fromkeys(
        ("logit-adjustment", "balanced-softmax-loss", "logit-adjusted", "balanced-softmax"), long_tail_losses
    )
    | dict.fromkeys(("class-balanced-weights", "weighted-cross-entropy"), weights)
    | {"ldam": rows_of_a_class, "zlpr": sets_of_labels}
    | dict.fromkeys(("corn", "ordinal"), thresholds)
    | dict.fromkeys(("information", "entropy"), information)
    | dict.fromkeys(("generalised-cross-entropy", "symmetric-cross-entropy", "gce", "symmetric-ce"), robust)
    | dict.fromkeys(("mean-absolute-error", "normalised-losses", "logit-adjusted-gce"), robust)
)

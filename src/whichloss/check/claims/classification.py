"""Losses of classifiers: cross-entropies and margins, as they are written, in float64."""

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, relu, softplus

from ..arguments import binary, law, logit, number, one_hot, probability
from ..claim import Claim, Form, Formula, Variant
from ._logits import LOGITS_FIX, TWICE, Y, bce_z, log_p, named, others, own, pair, picked, softmax_twice, within


def bce_p(p: Tensor, target: Tensor) -> Tensor:
    return -(target * p.log() + (1 - target) * (-p).log1p())


TURNED = "It learns the opposite: labels 1 pull the probability down."


def _weighed(positives: Formula, negatives: Formula) -> Variant:
    return Variant(
        "positives weigh more or less than negatives (pos_weight)",
        positives,
        "A choice against imbalance, right in its own way; its output is the chance under other class sizes, so a "
        "threshold of .5 means something else.",
        "Leave pos_weight out, or move the threshold.",
        fault=False,
        beside=negatives,
    )


LOG_FIX = "log_softmax first, or cross_entropy on the logits."
WRONG_AXIS = Variant(
    "softmax over the batch (the wrong axis)",
    lambda z, target, **_: -picked(log_softmax(z, dim=0), target),
    "Rows then compete with each other for a class instead of classes for a row.",
    "dim=1 (or -1) for logits (B, K).",
)
NO_LOG = Variant(
    "the probability without its logarithm",
    lambda z, target, **_: -own(z, target).exp(),
    "-p_y: its gradient vanishes where the network is wrong and sure; F.nll_loss takes log-probabilities.",
    LOG_FIX,
)
RAW = Variant(
    "the raw logit, no log_softmax",
    lambda z, target, **_: -picked(z, target),
    "-z_y falls without end as logits grow; F.nll_loss takes log-probabilities.",
    LOG_FIX,
)
AS_BINARY = Variant(
    "binary cross-entropy of every class on its own",
    lambda z, target, **_: bce_z(z, one_hot(target, z.shape[1])).mean(dim=1),
    "Classes do not compete: for labels that exclude each other it is another model (several labels may hold at once).",
    "cross_entropy(z, target).",
    fault=False,
)
SMOOTHING = number("smoothing", "smoothing labelsmoothing eps epsilon alpha", 0.0, (0.0, 0.05, 0.1, 0.2))


def smoothed(z: Tensor, target: Tensor, smoothing: float) -> Tensor:
    e = within(smoothing, -1e-9, 1.0)
    return -(1 - e) * own(z, target) - e * log_p(z).mean(dim=1)


def others_only(z: Tensor, target: Tensor, smoothing: float) -> Tensor:
    e, rest = within(smoothing, -1e-9, 1.0), log_p(z).sum(dim=1) - own(z, target)
    return -(1 - e) * own(z, target) - e / (z.shape[1] - 1) * rest


OTHERS = Variant(
    "smoothing shared among the other classes only",
    others_only,
    "The uniform part leaves out the true class: it is smoothing K / (K - 1) times as strong.",
    "(1 - e) one_hot + e / K.",
    fault=False,
)
ZERO_SUM = Variant(
    "smoothing that takes nothing off the true class",
    lambda z, target, smoothing: -own(z, target) - within(smoothing, -1e-9, 1.0) * log_p(z).mean(dim=1),
    "The target then sums to 1 + e, so it is no law.",
    "(1 - e) one_hot + e / K.",
)
PROBABILITIES = law("p", "p prob probs probabilities pred preds output outputs q yhat")
LAW = law("target", "target targets label labels y t true gt onehot", learns=False)

GAMMA = number("gamma", "gamma g focusing", 2.0, (2.0, 0.5, 1.0, 1.5, 3.0, 5.0))
NONE = -1.0  # no alpha at all, as torchvision writes it
ALPHA = number("alpha", "alpha a balance", 0.25, (NONE, 0.25, 0.75, 0.5, 0.1), NONE)


def _weights(alpha: float) -> tuple[float, float]:
    """Of positives and negatives."""
    return (1.0, 1.0) if alpha == NONE else (within(alpha, 0, 1), 1 - alpha)


def _focal(z: Tensor, gamma: float) -> Tensor:
    """-(1 - p)^g log p, p = sigma(z)."""
    return torch.sigmoid(-z) ** gamma * softplus(-z)


def _both(z: Tensor, target: Tensor, gamma: float, weights: tuple[float, float]) -> Tensor:
    return weights[0] * target * _focal(z, gamma) + weights[1] * (1 - target) * _focal(-z, gamma)


def _balanced(z: Tensor, target: Tensor, alpha: float) -> Tensor:
    """BCE with alpha for positives, 1 - alpha for negatives."""
    positives, negatives = _weights(alpha)
    return positives * target * softplus(-z) + negatives * (1 - target) * softplus(z)


def _chance(z: Tensor, target: Tensor) -> Tensor:
    """p_t, the chance given to the label that holds."""
    return torch.sigmoid((2 * target - 1) * z)


def _focal_of_mean(z: Tensor, target: Tensor, gamma: float, alpha: float) -> Tensor:
    mean = bce_z(z, target).mean()
    return (1 - (-mean).exp()) ** gamma * mean * (1.0 if alpha == NONE else within(alpha, 0, 1))


MEAN_WHY = (
    "Cross-entropy is averaged before p = exp(-CE) is taken, so all samples share one factor: none is focused on."
)
MEAN_FIX = "reduction='none' first, average last."
SIDE_WHY = "Easy samples then get the full weight and hard ones next to none."
FOCAL = Form(
    (logit(), binary()),
    {
        "-a t (1 - p)^g log p": lambda z, target, gamma, alpha: _weights(alpha)[0] * target * _focal(z, gamma),
        "-(1 - a) (1 - t) p^g log(1 - p)": lambda z, target, gamma, alpha: (
            _weights(alpha)[1] * (1 - target) * _focal(-z, gamma)
        ),
    },
    (GAMMA, ALPHA),
    variants=(
        Variant("the focal factor of the batch mean", _focal_of_mean, MEAN_WHY, MEAN_FIX),
        Variant(
            "(1 - p)^g for negatives too",
            lambda z, target, gamma, alpha: torch.sigmoid(-z) ** gamma * _balanced(z, target, alpha),
            "For negatives the factor must be p^g. " + SIDE_WHY,
            "p_t = p for positives, 1 - p for negatives; (1 - p_t)^g.",
        ),
        Variant(
            "p_t^g instead of (1 - p_t)^g",
            lambda z, target, gamma, alpha: _chance(z, target) ** gamma * _balanced(z, target, alpha),
            SIDE_WHY,
            "(1 - p_t)^g.",
        ),
        Variant(
            "alpha given to the negatives",
            lambda z, target, gamma, alpha: _both(z, target, gamma, _weights(alpha)[::-1]),
            "The paper's alpha = .25 is the weight of positives; negatives get .75.",
            "alpha * target + (1 - alpha) * (1 - target).",
        ),
        Variant(
            "one alpha for both labels",
            lambda z, target, gamma, alpha: _both(z, target, gamma, (within(alpha, 0, 1),) * 2),
            "It only scales the loss: labels are not balanced at all.",
            "alpha * target + (1 - alpha) * (1 - target).",
        ),
        Variant(
            "alpha for positives, 1 for negatives",
            lambda z, target, gamma, alpha: _both(z, target, gamma, (within(alpha, 0, 1), 1.0)),
            "Another balance than the paper's: positives weigh alpha, not alpha / (1 - alpha).",
            "alpha * target + (1 - alpha) * (1 - target).",
        ),
    ),
)


def _focal_multiclass(z: Tensor, target: Tensor, gamma: float) -> Tensor:
    return -(others(z, target) ** gamma) * own(z, target)


def _hinges(z: Tensor, target: Tensor, margin: float) -> Tensor:
    gaps = relu(within(margin) - z.gather(1, target.long().unsqueeze(1)) + z)
    return gaps * (1 - one_hot(target, z.shape[1]))


def _squared_one_hot(z: Tensor, target: Tensor, scale: float, weight: float) -> Tensor:
    y = one_hot(target, z.shape[1])
    return (weight * y * (z - scale) ** 2 + (1 - y) * z**2).mean(dim=1)


def _poly1(z: Tensor, target: Tensor, epsilon: float) -> Tensor:
    return -own(z, target) + epsilon * others(z, target)


CLAIMS: tuple[Claim, ...] = (
    named(
        "binary-cross-entropy",
        "-t log p - (1 - t) log(1 - p), on probabilities",
        Form(
            (probability(), binary()),
            {
                "-t log p": lambda p, target: -target * p.log(),
                "-(1 - t) log(1 - p)": lambda p, target: -(1 - target) * (-p).log1p(),
            },
            variants=(
                Variant(
                    "squares instead of logarithms",
                    lambda p, target: (p - target) ** 2,
                    "The Brier score: a proper loss too, but with a gradient that vanishes through a sigmoid.",
                    "Use the logarithms.",
                    fault=False,
                ),
                Variant(
                    "the labels turned round",
                    lambda p, target: bce_p(p, 1 - target),
                    TURNED,
                    "-t log p - (1 - t) log(1 - p)",
                ),
                _weighed(lambda p, target: -target * p.log(), lambda p, target: -(1 - target) * (-p).log1p()),
                Variant(
                    "a sigmoid of probabilities",
                    lambda p, target: bce_z(p, target),
                    "The probabilities are taken for logits: sigma of (0, 1) lies in (.5, .731), so nothing is ever 0.",
                    LOGITS_FIX,
                ),
            ),
        ),
        "binary-cross-entropy",
        "classification.binary_cross_entropy",
        "bce",
        "log-loss",
    ),
    named(
        "binary-cross-entropy-with-logits",
        "-t log sigma(z) - (1 - t) log sigma(-z), on logits",
        Form(
            (logit(), binary()),
            {
                "-t log sigma(z)": lambda z, target: target * softplus(-z),
                "-(1 - t) log sigma(-z)": lambda z, target: (1 - target) * softplus(z),
            },
            variants=(
                Variant(
                    "the labels turned round",
                    lambda z, target: bce_z(z, 1 - target),
                    TURNED,
                    "Use 1 for the class whose logit is z.",
                ),
                _weighed(lambda z, target: target * softplus(-z), lambda z, target: (1 - target) * softplus(z)),
            ),
        ),
        "binary-cross-entropy",
        "classification.binary_cross_entropy_with_logits",
        "bce-with-logits",
        "bce-logits",
        "sigmoid-cross-entropy",
    ),
    named(
        "cross-entropy",
        "-log softmax(z)_y, on logits; with smoothing e the target is (1 - e) one-hot + e / K",
        pair(
            "-log p_y",
            smoothed,
            TWICE,
            WRONG_AXIS,
            NO_LOG,
            RAW,
            AS_BINARY,
            OTHERS,
            ZERO_SUM,
            options=(SMOOTHING,),
        ),
        "categorical-cross-entropy",
        "classification.cross_entropy",
        "softmax-cross-entropy",
        "ce",
        "nll",
        "label-smoothing",
        "cross-entropy-with-logits",
    ),
    named(
        "categorical-cross-entropy",
        "-sum_c t_c log p_c, on probabilities",
        Form(
            (PROBABILITIES, LAW),
            {"-sum_c t_c log p_c": lambda p, target: -(target * p.log()).sum(dim=1)},
            variants=(
                Variant(
                    "a softmax too many",
                    lambda p, target: -(target * log_softmax(p, dim=1)).sum(dim=1),
                    "p are probabilities already: through another softmax they stay near uniform.",
                    LOGITS_FIX,
                ),
                Variant(
                    "binary cross-entropy of every class",
                    lambda p, target: bce_p(p, target).sum(dim=1),
                    "It also counts log(1 - p) of the other classes: another loss.",
                    "-(t * p.log()).sum(dim=1)",
                    fault=False,
                ),
                Variant(
                    "the laws swapped",
                    lambda p, target: -(p * target.log()).sum(dim=1),
                    "-sum p log t is linear in p: the best p puts everything on one class (and log 0 for one-hot t).",
                    "-(t * p.log()).sum(dim=1)",
                ),
            ),
        ),
        "categorical-cross-entropy",
        "classification.categorical_cross_entropy",
        "cce",
        more=(
            Form(
                (PROBABILITIES, Y),
                {"-log p_y": lambda p, target: -picked(p, target).log()},
                variants=(
                    Variant(
                        "the probability without its logarithm",
                        lambda p, target: -picked(p, target),
                        NO_LOG.why,
                        "F.nll_loss(p.log(), target).",
                    ),
                    Variant("a softmax too many", lambda p, target: -own(p, target), TWICE.why, LOGITS_FIX),
                ),
            ),
        ),
    ),
    named(
        "focal",
        "-a t (1 - p)^g log p - (1 - a) (1 - t) p^g log(1 - p), p = sigma(z)",
        FOCAL,
        "focal-loss",
        "classification.focal",
        "binary-focal",
        "sigmoid-focal",
    ),
    named(
        "focal-multiclass",
        "-(1 - p_y)^g log p_y, p = softmax(z)",
        pair(
            "-(1 - p_y)^g log p_y",
            _focal_multiclass,
            Variant(
                "the focal factor of the batch mean",
                lambda z, target, gamma: (1 - own(z, target).mean().exp()) ** gamma * -own(z, target).mean(),
                MEAN_WHY,
                MEAN_FIX,
            ),
            Variant(
                "p_y^g instead of (1 - p_y)^g",
                lambda z, target, gamma: -((gamma * own(z, target)).exp()) * own(z, target),
                SIDE_WHY,
                "(1 - p_y)^g.",
            ),
            softmax_twice(_focal_multiclass),
            options=(GAMMA,),
        ),
        "focal-loss",
        "classification.focal_multiclass",
        "multiclass-focal",
        "softmax-focal",
    ),
    named(
        "poly1",
        "-log p_y + e (1 - p_y)",
        pair(
            "-log p_y + e (1 - p_y)",
            _poly1,
            softmax_twice(_poly1),
            options=(number("epsilon", "epsilon eps e", 1.0, (1.0, 2.0, -1.0, 0.5)),),
        ),
        "poly1",
        "classification.poly1",
        "polyloss",
    ),
    named(
        "multi-margin",
        "sum_{j != y} [m - z_y + z_j]+ / K",
        pair(
            "sum_{j != y} [m - z_y + z_j]+ / K",
            lambda z, target, margin: _hinges(z, target, margin).mean(dim=1),
            Variant(
                "the true class is left in the sum (a constant m / K)",
                lambda z, target, margin: (_hinges(z, target, margin).sum(dim=1) + margin) / z.shape[1],
                "Its own hinge is always m: the value is higher by m / K, the gradient is the same.",
                "Leave j = y out of the sum.",
                fault=False,
            ),
            Variant(
                "the hinges squared",
                lambda z, target, margin: (_hinges(z, target, margin) ** 2).mean(dim=1),
                "p = 2: violations count with their square.",
                "p = 1",
                fault=False,
            ),
            Variant(
                "the largest hinge only",
                lambda z, target, margin: _hinges(z, target, margin).amax(dim=1),
                "The Crammer-Singer form: one rival per row.",
                "Sum over the rivals.",
                fault=False,
            ),
            options=(number("margin", "margin m maxm", 1.0, (1.0, 0.5, 2.0)),),
        ),
        "margin-losses",
        "classification.multi_margin",
        "multiclass-hinge",
    ),
    named(
        "squared-hinge",
        "t ([1 - z]+)^2 + (1 - t) ([1 + z]+)^2, labels 0 or 1",
        Form(
            (logit(), binary()),
            {
                "t ([1 - z]+)^2": lambda z, target: target * relu(1 - z) ** 2,
                "(1 - t) ([1 + z]+)^2": lambda z, target: (1 - target) * relu(1 + z) ** 2,
            },
            variants=(
                Variant(
                    "the hinge without its square",
                    lambda z, target: relu(1 - (2 * target - 1) * z),
                    "The plain hinge.",
                    "Square it.",
                    fault=False,
                ),
                Variant(
                    "labels 0 and 1 where the formula needs -1 and 1",
                    lambda z, target: relu(1 - target * z) ** 2,
                    "Rows with label 0 cost 1 whatever z: they teach nothing.",
                    "y = 2 * target - 1 first.",
                ),
            ),
        ),
        "margin-losses",
        "classification.squared_hinge",
    ),
    named(
        "squared-one-hot",
        "(k (z_y - M)^2 + sum_{j != y} z_j^2) / K, no softmax",
        pair(
            "(k (z_y - M)^2 + sum_{j != y} z_j^2) / K",
            _squared_one_hot,
            Variant(
                "a softmax before the squares",
                lambda z, target, **_: ((log_p(z).exp() - one_hot(target, z.shape[1])) ** 2).mean(dim=1),
                "The Brier score: its gradient vanishes where the network is wrong and sure.",
                "Take the softmax out.",
                fault=False,
            ),
            options=(
                number("scale", "scale m", 1.0, (1.0, 5.0, 10.0, 15.0)),
                number("weight", "weight k", 1.0, (1.0, 5.0, 15.0)),
            ),
            shift=False,
        ),
        "squared-one-hot",
        "classification.squared_one_hot",
        "hui-belkin",
        "mse-one-hot",
    ),
)

"""Losses on a critic's scores: BCE, least squares, hinge, Wasserstein, relativistic."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from ..arguments import FAKE, REAL, number, probability, scores
from ..claim import Argument, Claim, Form, Formula, Size, Source, Variant
from ..invariance import shifted
from ._logits import bce_z, within
from ._scores import P_D, of_critic, of_generator
from .penalties import D

R, F = scores("real", REAL, "scores of real rows (B,)"), scores("fake", FAKE, "scores of fakes (B,)")
P_R, P_F = probability("real", " ".join(REAL)), probability("fake", " ".join(FAKE))
SAME_WAY = "Both networks then pull the same way, and neither learns what it should."
LEVEL = (shifted("real", "fake"),)


def _sign(n: Size, s: Source) -> Tensor:
    drawn: Tensor = 2 * s.integers((n.batch,), 2).double() - 1
    return drawn


SIGNED = Argument(
    "label",
    frozenset(["y_true", "ytrue", "label", "labels", "target", "targets", "true", "sign"]),
    _sign,
    "labels 1 or -1 (B,)",
    learns=False,
    layouts=("", "column"),
)
PREDICTED = scores("score", "y_pred ypred pred preds score scores output outputs", "scores (B,)")
KERAS = Variant(
    "labels of 1 and -1 times scores (the Keras form of the Wasserstein loss)",
    lambda label, score: label * score,
    "It has no sides of its own: the caller's labels say which rows are real. With 1 for fakes and -1 for real rows it "
    "is the critic's loss; the other way round the critic is trained backwards. Averages over a mixed batch halve it.",
    "Call it with -1 for real rows and 1 for fakes (critic), -1 for fakes (generator); or write "
    "fake.mean() - real.mean().",
    fault=False,
)
KERAS_FORM = Form((SIGNED, PREDICTED), {"label score": KERAS.formula}, means=KERAS)


MINIMAX = Variant(
    "the saturating (minimax) generator loss",
    lambda fake: -softplus(fake),
    "Its slope is -sigma(D): next to nothing where the critic wins, which is at the start.",
    "Use softplus(-fake): the same optimum, slope near -1 there.",
)
NON_SATURATING = Variant(
    "the non-saturating generator loss",
    lambda fake: softplus(-fake),
    "It is what most people train, and not the minimax game of the paper's equation.",
    "Check it as bce-generator, or use -softplus(fake).",
)
SOFT = (0.9, 0.8, 0.95, 0.7)
REAL_TARGET = number("target of real rows", "", 0.9, SOFT)
FAKE_TARGET = number("target of fakes", "", 0.1, tuple(1 - soft for soft in SOFT))


def _soft(real: Tensor, fake: Tensor, **targets: float) -> Tensor:
    """The logistic loss of targets between 0 and 1."""
    up, down = (within(targets.get(o.role, d), 0, 1) for o, d in ((REAL_TARGET, 1.0), (FAKE_TARGET, 1e-300)))
    return bce_z(real, up) + bce_z(fake, down)


def _smoothings(of: Callable[[Tensor], Tensor]) -> tuple[Variant, ...]:
    formula = lambda real, fake, **targets: _soft(of(real), of(fake), **targets)
    return (
        Variant(
            "one-sided label smoothing",
            formula,
            "Real rows are to score below 1: the critic is less sure of itself and its gradient lasts. A habit of many "
            "GANs, right in its own way; the best critic is target * p_real / (p_real + p_fake).",
            "For the plain loss label real rows 1.",
            False,
            (REAL_TARGET,),
        ),
        Variant(
            "fakes smoothed, real rows not",
            formula,
            "Fakes with a target above 0 teach the critic to prefer what the generator already makes.",
            "Label fakes 0; smooth the labels of the real rows, if any.",
            options=(FAKE_TARGET,),
        ),
        Variant(
            "label smoothing on both sides",
            formula,
            "Fakes with a target above 0 teach the critic to prefer what the generator already makes; smooth the "
            "labels of the real rows only.",
            "Label fakes 0.",
            options=(REAL_TARGET, FAKE_TARGET),
        ),
    )


HINGE_FIX = "Use relu(1 - real) + relu(1 + fake)."
BCE = Form(
    (R, F),
    {
        "-log sigma(D(x))": lambda real, fake: softplus(-real),
        "-log(1 - sigma(D(G(z))))": lambda real, fake: softplus(fake),
    },
    variants=(
        Variant(
            "the hinge instead of the logistic loss",
            lambda real, fake: relu(1 - real) + relu(1 + fake),
            "It is another loss: no gradient for samples beyond the margin.",
            "Use softplus(-real) + softplus(fake).",
        ),
        Variant(
            "squares instead of the logistic loss",
            lambda real, fake: (real - 1) ** 2 + fake**2,
            "It is the least-squares loss on scores.",
            "Use softplus(-real) + softplus(fake), or check it as least-squares-critic.",
        ),
        Variant(
            "fakes labelled 1",
            lambda real, fake: softplus(-real) + softplus(-fake),
            "Fakes are pushed up as real rows are. " + SAME_WAY,
            "The target of fakes is 0: softplus(fake).",
        ),
        *_smoothings(lambda z: z),
    ),
)
BCE_OF_PROBABILITIES = Form(
    (P_R, P_F),
    {"-log D(x)": lambda real, fake: -real.log(), "-log(1 - D(G(z)))": lambda real, fake: -(-fake).log1p()},
    variants=(
        Variant(
            "fakes labelled 1",
            lambda real, fake: -real.log() - fake.log(),
            "Fakes are pushed up as real rows are. " + SAME_WAY,
            "The target of fakes is 0: -log(1 - fake).",
        ),
        *_smoothings(torch.logit),
    ),
)


def _generator(
    name: str, text: str, term: Formula, *variants: Variant, aliases: tuple[str, ...], forms: tuple[Form, ...] = ()
) -> Claim:
    """A generator's loss on the scores of fakes alone."""
    covers = name.replace("-", "_")
    card = {"bce": "bce", "minimax": "bce", "least": "least-squares"}.get(family := name.split("-")[0], family)
    form = Form((F,), {text: term}, variants=variants)
    return Claim(name, f"{text}, on scores", (form, *forms), aliases, f"adversarial-{card}", (f"adversarial.{covers}",))


def _of_probabilities(text: str, term: Formula, other: Variant, formula: Formula) -> Form:
    return Form((P_F,), {text: term}, variants=(Variant(other.name, formula, other.why, other.fix),))


SCORED = (
    Claim(
        "bce-critic",
        "-log sigma(D(x)) - log(1 - sigma(D(G(z)))), on scores or on probabilities",
        (BCE, BCE_OF_PROBABILITIES),
        ("gan-critic", "gan-discriminator", "bce-discriminator", "discriminator", "vanilla-gan-critic"),
        "adversarial-bce",
        ("adversarial.bce_critic",),
    ),
    _generator(
        "bce-generator",
        "-log sigma(D(G(z)))",
        lambda fake: softplus(-fake),
        MINIMAX,
        aliases=("gan-generator", "non-saturating-generator"),
        forms=(_of_probabilities("-log D(G(z))", lambda fake: -fake.log(), MINIMAX, lambda fake: (-fake).log1p()),),
    ),
    _generator(
        "minimax-generator",
        "log(1 - sigma(D(G(z))))",
        lambda fake: -softplus(fake),
        NON_SATURATING,
        aliases=("saturating-generator", "gan-minimax-generator"),
        forms=(
            _of_probabilities(
                "log(1 - D(G(z)))", lambda fake: (-fake).log1p(), NON_SATURATING, lambda fake: -fake.log()
            ),
        ),
    ),
    Claim(
        "least-squares-critic",
        "(D(x) - 1)^2 / 2 + D(G(z))^2 / 2",
        (
            Form(
                (R, F),
                {
                    "(D(x) - 1)^2 / 2": lambda real, fake: 0.5 * (real - 1) ** 2,
                    "D(G(z))^2 / 2": lambda real, fake: 0.5 * fake**2,
                },
                variants=(
                    Variant(
                        "targets 1 and -1 instead of 1 and 0",
                        lambda real, fake: 0.5 * ((real - 1) ** 2 + (fake + 1) ** 2),
                        "Another choice of the paper's a, b, c: the generator's loss must fit it (c = 0), and levels "
                        "differ.",
                        "Use (real - 1)^2 and fake^2.",
                        fault=False,
                    ),
                    Variant(
                        "the logistic loss instead of squares",
                        BCE.formula,
                        "It is the loss of the original GAN.",
                        "Use (real - 1)^2 and fake^2, or check it as bce-critic.",
                    ),
                ),
            ),
        ),
        ("lsgan-critic", "lsgan-discriminator"),
        "adversarial-least-squares",
        ("adversarial.least_squares_critic",),
    ),
    _generator(
        "least-squares-generator",
        "(D(G(z)) - 1)^2 / 2",
        lambda fake: 0.5 * (fake - 1) ** 2,
        Variant(
            "target 0 instead of 1",
            lambda fake: 0.5 * fake**2,
            "0 is the critic's target for fakes when it also says 0 for them; with targets 1 and 0 this G learns to "
            "stay fake.",
            "Use (fake - 1)^2 / 2.",
        ),
        aliases=("lsgan-generator",),
    ),
    Claim(
        "hinge-critic",
        "[1 - D(x)]+ + [1 + D(G(z))]+, per sample",
        (
            Form(
                (R, F),
                {"[1 - D(x)]+": lambda real, fake: relu(1 - real), "[1 + D(G(z))]+": lambda real, fake: relu(1 + fake)},
                variants=(
                    Variant(
                        "both hinges on one side",
                        lambda real, fake: relu(1 - real) + relu(1 - fake),
                        "Fakes are pushed up as real rows are. " + SAME_WAY,
                        HINGE_FIX,
                    ),
                    Variant(
                        "a hinge without its margin",
                        lambda real, fake: relu(-real) + relu(fake),
                        "It is 0 for any critic with the right signs, and for the critic that says 0 everywhere.",
                        HINGE_FIX,
                    ),
                    Variant(
                        "no hinge (relu is missing)",
                        lambda real, fake: (1 - real) + (1 + fake),
                        "That is the Wasserstein loss without its constraint: scores grow without end.",
                        HINGE_FIX,
                    ),
                ),
            ),
        ),
        ("hinge-discriminator", "hinge-gan-critic", "hinge"),
        "adversarial-hinge",
        ("adversarial.hinge_critic",),
    ),
    _generator(
        "hinge-generator",
        "-D(G(z))",
        lambda fake: -fake,
        Variant(
            "the critic's hinge for the generator",
            lambda fake: relu(1 - fake),
            "The generator stops learning from samples that the critic scores above 1; the paper's loss is -fake, with "
            "slope -1 everywhere.",
            "Use -fake.",
        ),
        aliases=("hinge-gan-generator",),
    ),
    Claim(
        "wasserstein-critic",
        "D(G(z)) - D(x)",
        (
            Form(
                (R, F),
                {"D(G(z))": lambda real, fake: fake, "-D(x)": lambda real, fake: -real},
                variants=(
                    Variant(
                        "the absolute difference",
                        lambda real, fake: (fake - real).abs(),
                        "The sign tells which side is real; without it the critic cannot tell.",
                        "Use fake - real.",
                    ),
                    Variant(
                        "the logistic loss of the scores",
                        BCE.formula,
                        "The Wasserstein critic has no sigmoid and no logarithm: its scores are a distance.",
                        "Use fake.mean() - real.mean().",
                    ),
                ),
                invariances=LEVEL,
            ),
            KERAS_FORM,
        ),
        ("wgan-critic", "wgan-discriminator", "wasserstein", "wgan"),
        "adversarial-wasserstein",
        ("adversarial.wasserstein_critic",),
    ),
    _generator(
        "wasserstein-generator",
        "-D(G(z))",
        lambda fake: -fake,
        Variant(
            "the logistic loss of the scores",
            NON_SATURATING.formula,
            "The critic of a Wasserstein GAN gives no log-odds: its slope is what the generator follows.",
            "Use -fake.mean().",
        ),
        aliases=("wgan-generator", "wgan-gp-generator"),
        forms=(KERAS_FORM,),
    ),
    Claim(
        "relativistic-critic",
        "-log sigma(D(x) - D(G(z))), on pairs of scores",
        (
            Form(
                (R, F),
                {"softplus(D(G(z)) - D(x))": lambda real, fake: softplus(fake - real)},
                variants=(
                    Variant(
                        "relativistic against the average score",
                        lambda real, fake: 0.5 * (softplus(-(real - fake.mean())) + softplus(fake - real.mean())),
                        "The relativistic average loss of the same paper: every score is compared with the mean of the "
                        "other side, not with its pair.",
                        "Use softplus(fake - real), or say that the average form is meant.",
                        fault=False,
                    ),
                    Variant(
                        "the plain logistic loss, not relativistic",
                        BCE.formula,
                        "Scores are not compared with each other, so collapse is a local optimum again.",
                        "Use softplus(fake - real).",
                    ),
                ),
                invariances=LEVEL,
            ),
        ),
        ("rpgan-critic", "relativistic-discriminator", "r3gan-critic"),
        "adversarial-relativistic",
        ("adversarial.relativistic_critic",),
    ),
    Claim(
        "relativistic-generator",
        "-log sigma(D(G(z)) - D(x)), on pairs of scores",
        (
            Form(
                (R, F),
                {"softplus(D(x) - D(G(z)))": lambda real, fake: softplus(real - fake)},
                invariances=LEVEL,
                variants=(
                    Variant(
                        "the plain generator loss, not relativistic",
                        lambda real, fake: softplus(-fake),
                        "The real rows play no part, so collapse is a local optimum again.",
                        "Use softplus(real - fake).",
                    ),
                ),
            ),
        ),
        ("rpgan-generator", "r3gan-generator"),
        "adversarial-relativistic",
        ("adversarial.relativistic_generator",),
    ),
)


def _with_networks(claim: Claim) -> Claim:
    """The claim's forms on scores, and the same on the networks that give them."""
    written = of_generator if claim.name.endswith("generator") else of_critic
    lifted = [
        form
        for own in claim.forms
        if own is not KERAS_FORM
        for form in written(own, P_D if own.arguments[-1] is P_F else D)
    ]
    return replace(claim, forms=(*claim.forms, *lifted))


CLAIMS = tuple(map(_with_networks, SCORED))

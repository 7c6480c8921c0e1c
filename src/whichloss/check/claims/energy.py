"""Losses of energy-based models, p(x) = exp(-E(x)) / Z, and of their scores."""

from dataclasses import replace

from torch import Tensor
from torch.nn.functional import softplus

from ..arguments import number, positive, rows, scores
from ..claim import Claim, Form, Formula, Variant
from ._logits import within
from ._scores import on_networks
from .penalties import D

DATA, MODEL = (
    scores("e_data", "data real pos positive x edata ereal e energyreal", "energies (B,)"),
    scores("e_model", "model fake neg negative samples emodel efake gen chain", "energies (B,)"),
)
SCORE, NOISE = rows("score", "score scores s pred output grad"), rows("noise", "noise eps n z epsilon", learns=False)
DIVERGENCE, SLOPE = (
    scores("divergence", "divergence div trace tr laplacian", "divergences (B,)"),
    scores("slope", "slope vjv hvp curvature", "v' (grad s) v (B,)"),
)
SIGMA = number("sigma", "sigma std", 0.5, (0.1, 0.2, 0.3, 0.5, 1.0, 2.0))
SIGMAS = replace(positive("sigma", "sigma sigmas std stds noiselevel"), learns=False)
RATIO = (
    scores("log_ratio_data", "data real pos positive x"),
    scores("log_ratio_noise", "noise fake neg negative y"),
)
DSM_FIX = "((sigma * score + noise) ** 2): sigma^2 |score + noise / sigma|^2."


def _dsm(score: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
    s = sigma.unsqueeze(1) if isinstance(sigma, Tensor) else within(sigma)
    return ((s * score + noise) ** 2).mean(dim=1)


def _wrong_sign(score: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
    return _dsm(-score, noise, sigma)


def _missing_sigma(score: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    return ((score + noise) ** 2).mean(dim=1)


WRONG_SIGN = Variant(
    "the sign of the noise is wrong",
    _wrong_sign,
    "The score points back to the data, against the noise: this model runs away from it.",
    DSM_FIX,
)
DSM_FORMS = (
    Form((SCORE, NOISE), {"|sigma s + n|^2 / d": _dsm}, (SIGMA,), (WRONG_SIGN,)),
    Form(
        (SCORE, NOISE, SIGMAS),
        {"|sigma s + n|^2 / d": _dsm},
        variants=(
            WRONG_SIGN,
            Variant(
                "sigma is missing before the score",
                _missing_sigma,
                "The network then learns sigma times the score: right only if that is what it is used as.",
                DSM_FIX,
            ),
            Variant(
                "the weight sigma^2 is missing",
                lambda score, noise, sigma: ((score + noise / sigma.unsqueeze(1)) ** 2).mean(dim=1),
                "The target n / sigma grows as sigma falls, so the smallest noise levels make nearly all of the loss.",
                DSM_FIX,
            ),
            Variant(
                "noise / sigma^2 instead of noise / sigma",
                lambda score, noise, sigma: ((sigma.unsqueeze(1) * score + noise / sigma.unsqueeze(1)) ** 2).mean(
                    dim=1
                ),
                "sigma^2 divides x_t - x = sigma n, not the standard normal n itself.",
                DSM_FIX,
            ),
        ),
    ),
)


def _matched(name: str, text: str, role: str, covers: str, *aliases: str) -> Claim:
    """|s|^2 / 2 and the divergence of s, or what stands for it."""
    argument = {"divergence": DIVERGENCE, "slope": SLOPE}[role]
    half: Formula = lambda score, **rest: 0.5 * (score**2).sum(dim=1)
    variants = (
        Variant(
            "the half is missing",
            lambda score, **rest: (score**2).sum(dim=1) + rest[role],
            "The optimum is then half the true score.",
            f"0.5 * (s ** 2).sum(dim=1) + {role}",
        ),
        Variant(
            "the length averaged over columns",
            lambda score, **rest: 0.5 * (score**2).mean(dim=1) + rest[role],
            "The other term is a sum over columns: the optimum is then d times the true score.",
            f"0.5 * (s ** 2).sum(dim=1) + {role}",
        ),
    )
    form = Form((SCORE, argument), {"|s|^2 / 2": half, text: lambda score, **rest: rest[role]}, variants=variants)
    return Claim(name, f"|s|^2 / 2 + {text}", (form,), aliases, "score-matching-losses", (covers,), fragile=False)


CONTRAST = Form((DATA, MODEL), {"E(x)": lambda e_data, e_model: e_data, "-E(x~)": lambda e_data, e_model: -e_model})
DATA_ROWS = rows("data", DATA.words, "rows of the data (B, d)", learns=False, images=True)
MODEL_ROWS = rows("model", MODEL.words, "rows from the model (B, d)", learns=False, images=True)
CLAIMS = (
    Claim(
        "contrastive-divergence",
        "E(x) - E(x~), x from the data, x~ from the model",
        (
            CONTRAST,
            on_networks(
                CONTRAST,
                (replace(D, role="E", says="an energy (B, d) -> (B, 1)"), DATA_ROWS, MODEL_ROWS),
                {"e_data": lambda x: x["E"](x["data"]), "e_model": lambda x: x["E"](x["model"])},
            ),
        ),
        ("cd", "pcd", "ebm-likelihood"),
        "energy-losses",
        ("energy.contrastive_divergence",),
        fragile=False,
    ),
    Claim(
        "energy-penalty",
        "E(x)^2",
        (
            Form(
                (scores("e", "e energy energies x"),),
                {"E(x)^2": lambda e: e**2},
                variants=(
                    Variant(
                        "the absolute value instead of the square",
                        lambda e: e.abs(),
                        "Its gradient does not fade near 0.",
                        "e ** 2",
                        fault=False,
                    ),
                ),
            ),
        ),
        (),
        "energy-losses",
        ("energy.energy_penalty",),
        fragile=False,
    ),
    _matched("score-matching", "div s", "divergence", "energy.score_matching", "sm", "hyvarinen"),
    _matched("sliced-score-matching", "v' (grad s) v", "slope", "energy.sliced_score_matching", "ssm"),
    Claim(
        "denoising-score-matching",
        "sigma^2 |s(x + sigma n) + n / sigma|^2 / d",
        DSM_FORMS,
        ("dsm",),
        "score-matching-losses",
        ("energy.denoising_score_matching",),
        fragile=False,
    ),
    Claim(
        "noise-contrastive",
        "softplus(-f(x)) + softplus(f(y)), f = log p - log q",
        (
            Form(
                RATIO,
                {
                    "softplus(-f(x))": lambda log_ratio_data, log_ratio_noise: softplus(-log_ratio_data),
                    "softplus(f(y))": lambda log_ratio_data, log_ratio_noise: softplus(log_ratio_noise),
                },
            ),
        ),
        ("nce",),
        "energy-losses",
        ("energy.noise_contrastive",),
    ),
)

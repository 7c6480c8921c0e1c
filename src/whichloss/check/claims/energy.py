"""Losses of energy-based models, p(x) = exp(-E(x)) / Z, and of their scores."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..arguments import number, positive, rows, scores
from ..claim import Argument, Claim, Form, Formula, Variant
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


# ---- energy discrepancy: on energies (B,) and (B, M), and on the network, where t comes in
COPIES = 4
E_ROW = replace(DATA, logit=False)
E_NOISED = Argument(
    "e_noised",
    frozenset(
        ["noised", "noisy", "enoised", "enoisy", "perturbed", "contrast", "neg", "negative", "copies", "fake", "model"]
    ),
    lambda n, s: 2 * s.real((n.batch, COPIES)),
    "energies of the noised copies (B, M)",
)
FLOOR = number("w", "w floor stabiliser wstable", 1.0, (0.1, 0.25, 0.5, 1.0, 2.0))
VARIANCE = number("t", "t variance var", 0.25, (0.01, 0.04, 0.1, 0.25, 0.5))
ED_FIX = "log(w / M + mean_j exp(E(x) - E(x_j))): logsumexp over j and log w, less log M."


def _gaps(e_data: Tensor, e_noised: Tensor) -> Tensor:
    return e_data.reshape(-1, 1) - e_noised


def _floored(gaps: Tensor, floor: float) -> Tensor:
    """log(floor + mean_j exp(gap_j)), the floor beside the mean."""
    return torch.logaddexp(gaps.logsumexp(dim=1) - math.log(gaps.shape[1]), gaps.new_tensor(math.log(floor)))


def _discrepancy(e_data: Tensor, e_noised: Tensor, w: float) -> Tensor:
    return _floored(_gaps(e_data, e_noised), within(w) / e_noised.shape[1])


ED_VARIANTS = (
    Variant(
        "the mean of the gaps instead of logsumexp",
        lambda e_data, e_noised, w: _gaps(e_data, e_noised).mean(dim=1),
        "It has no least value: scaling E up lowers it without end.",
        ED_FIX,
    ),
    Variant(
        "the sign of the gaps is wrong",
        lambda e_data, e_noised, w: _discrepancy(-e_data, -e_noised, w),
        "Noised copies then get the low energies and the data the high ones.",
        ED_FIX,
    ),
    Variant(
        "the floor w is not divided by M",
        lambda e_data, e_noised, w: _floored(_gaps(e_data, e_noised), within(w)),
        "Its floor is then M times as high, which hides rows whose copies are all worse.",
        ED_FIX,
    ),
)
NOISES = (
    rows("n", "n noise shared eps xi", "normal noise (B, d), one for all copies", learns=False),
    Argument(
        "n_j",
        frozenset(["nj", "noises", "eps2", "xij", "copies", "own"]),
        lambda n, s: s.real((n.batch, COPIES, n.width)),
        "normal noise (B, M, d), one for each copy",
        learns=False,
    ),
)


def _on_copies(shared: float, own: float, power: float) -> Formula:
    """The discrepancy where copies are x + t^power (shared n + own n_j)."""

    def of(E: Any, data: Tensor, n: Tensor, n_j: Tensor, t: float, w: float) -> Tensor:
        copies = data[:, None] + within(t) ** power * (shared * n[:, None] + own * n_j)
        e_noised = E(copies.reshape(-1, data.shape[1])).reshape(len(data), -1)
        return _discrepancy(E(data).reshape(-1), e_noised, w)

    return of


COPIES_FIX = "x_j = x + sqrt(t) n + sqrt(t) n_j: t is the variance of each of the two noises."
ED_ON_NETWORK = Form(
    (replace(D, role="E", says="an energy (B, d) -> (B, 1)"), rows("data", DATA.words, learns=False), *NOISES),
    {"log(w / M + mean_j exp(E(x) - E(x_j)))": _on_copies(1.0, 1.0, 0.5)},
    (VARIANCE, FLOOR),
    (
        Variant(
            "t is taken as a standard deviation",
            _on_copies(1.0, 1.0, 1.0),
            "t = 0.25 then moves copies half as far as meant: the loss sees the slope alone.",
            COPIES_FIX,
        ),
        Variant(
            "the noise that the copies share is missing",
            _on_copies(0.0, 1.0, 0.5),
            "Copies must be drawn around a noised row, not around the row: the least loss is then not the law's.",
            COPIES_FIX,
        ),
    ),
)

# ---- likelihood by importance
LOG_Z_FIX = "e_data + logsumexp(-e_proposal - log_q) - log n, n rows of the proposal q."


def _proposed(role: str, words: str, says: str, learns: bool = True) -> Argument:
    """A number for each of the n rows of a proposal, another count than that of the data."""
    draw = lambda n, s: 2 * s.real((n.batch + 3,))
    return Argument(role, frozenset(words.split()), draw, says, learns, per_row=False)


PROPOSED = (
    _proposed("e_proposal", "proposal eproposal eq ey noise model fake samples e_y", "energies of n proposals (n,)"),
    _proposed("log_q", "logq lq logproposal logprob q", "log q of the proposals (n,)", learns=False),
)


def _log_z(e_proposal: Tensor, log_q: Tensor) -> Tensor:
    return (-e_proposal - log_q).logsumexp(dim=0) - math.log(len(e_proposal))


LIKELIHOOD_VARIANTS = (
    Variant(
        "log q is missing",
        lambda e_data, e_proposal, log_q: e_data + _log_z(e_proposal, 0 * log_q),
        "The optimum is then the data's law divided by q: places that q prefers are charged too often.",
        LOG_Z_FIX,
    ),
    Variant(
        "the sign of log q is wrong",
        lambda e_data, e_proposal, log_q: e_data + _log_z(e_proposal, -log_q),
        "Weights must be small where q proposes often; here they are large.",
        LOG_Z_FIX,
    ),
    Variant(
        "log n is missing",
        lambda e_data, e_proposal, log_q: e_data + (-e_proposal - log_q).logsumexp(dim=0),
        "Gradients are right, but the loss is no likelihood: it rises by log n.",
        LOG_Z_FIX,
    ),
    Variant(
        "the mean of log weights instead of logsumexp",
        lambda e_data, e_proposal, log_q: e_data - (e_proposal + log_q).mean(),
        "Only a lower bound of log Z: it has no least value, scaling E up lowers it without end.",
        LOG_Z_FIX,
    ),
)

# ---- change of variables
FLOW_FIX = "0.5 * (z**2 + log(2 pi)).sum(dim=1) - log_det, log_det = log |det dz/dx|."
HALF_LOG = math.log(2 * math.pi) / 2


def _normal(z: Tensor, log_det: Tensor) -> Tensor:
    return (z**2 / 2 + HALF_LOG).sum(dim=1)


FLOW_VARIANTS = (
    Variant(
        "the sign of log det is wrong",
        lambda z, log_det: _normal(z, log_det) + log_det,
        "It is that of the map from noise to data: the flow shrinks all rows to 0 and the loss falls without end.",
        FLOW_FIX,
    ),
    Variant(
        "log det is missing",
        _normal,
        "Carrying every row to 0 is then best.",
        FLOW_FIX,
    ),
    Variant(
        "the half is missing",
        lambda z, log_det: (z**2 + HALF_LOG).sum(dim=1) - log_det,
        "The noise is then N(0, I / 2), and samples from N(0, I) are too wide.",
        FLOW_FIX,
    ),
    Variant(
        "the square averaged over columns",
        lambda z, log_det: (z**2 / 2 + HALF_LOG).mean(dim=1) - log_det,
        "log det is a sum over columns: rows are then carried to noise sqrt(d) times too wide.",
        FLOW_FIX,
    ),
    Variant(
        "the constant d log(2 pi) / 2 is missing",
        lambda z, log_det: (z**2 / 2).sum(dim=1) - log_det,
        "Gradients are right, but the loss is not in nats per row and cannot be compared.",
        FLOW_FIX,
        fault=False,
    ),
)

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
    Claim(
        "energy-discrepancy",
        "log(w / M + mean_j exp(E(x) - E(x_j))), x_j = x + sqrt(t) n + sqrt(t) n_j",
        (
            Form((E_ROW, E_NOISED), {"log(w / M + mean_j exp(E(x) - E(x_j)))": _discrepancy}, (FLOOR,), ED_VARIANTS),
            ED_ON_NETWORK,
        ),
        ("ed",),
        "energy-losses",
        ("energy.energy_discrepancy",),
        fragile=False,
    ),
    Claim(
        "importance-likelihood",
        "E(x) + log mean_j exp(-E(y_j) - log q(y_j)), y_j from q",
        (
            Form(
                (E_ROW, *PROPOSED),
                {
                    "E(x)": lambda e_data, e_proposal, log_q: e_data,
                    "log Z": lambda e_data, e_proposal, log_q: _log_z(e_proposal, log_q),
                },
                variants=LIKELIHOOD_VARIANTS,
            ),
        ),
        ("ml", "ebm-maximum-likelihood"),
        "energy-losses",
        ("energy.importance_likelihood",),
        fragile=False,
    ),
    Claim(
        "change-of-variables",
        "|z|^2 / 2 + d log(2 pi) / 2 - log |det dz/dx|",
        (
            Form(
                (
                    rows("z", "z latent noise u code"),
                    scores("log_det", "logdet ldj logabsdet jacobian sldj det", "log |det dz/dx| (B,)"),
                ),
                {"|z|^2 / 2 + d log(2 pi) / 2": _normal, "-log |det dz/dx|": lambda z, log_det: -log_det},
                variants=FLOW_VARIANTS,
            ),
        ),
        ("flow-likelihood", "normalizing-flow"),
        "change-of-variables",
        ("flows.change_of_variables",),
        fragile=False,
    ),
)

"""Differences of two laws: discrete, by densities at samples, Gaussian, and of sets of samples."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..arguments import covariance, law, number, points, positive, probability, rows, scores, vector
from ..claim import Claim, Form, Variant
from ..invariance import symmetric
from ._logits import within

P, Q = law("p", "p a first true target"), law("q", "q b second pred model")
LOG_P, LOG_Q = scores("log_p", "logp lp p"), scores("log_q", "logq lq q")
X, Y = points("x", "x a real data first p source"), points("y", "y b fake gen second q target")


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p.log() - q.log())).sum(dim=-1)


def entropy(p: Tensor) -> Tensor:
    return -(p * p.log()).sum(dim=-1)


def js(p: Tensor, q: Tensor) -> Tensor:
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2


NO_MIXTURE = Variant(
    "the second law in place of the mixture",
    lambda p, q: kl(p, q) / 2,
    "Without m = (p + q) / 2 it is half of KL: not symmetric, and infinite for disjoint laws.",
    "Compare both with m = (p + q) / 2.",
)
BACKWARDS = Variant(
    "KL from the mixture, not to it",
    lambda p, q: (kl((p + q) / 2, p) + kl((p + q) / 2, q)) / 2,
    "F.kl_div(a, b) is KL(b, exp(a)): with a = log p and b = m it is KL(m, p), which is infinite for disjoint laws.",
    "F.kl_div(m.log(), p) and F.kl_div(m.log(), q), halved.",
)
ONE_SIDE = Variant(
    "one side only",
    lambda p, q: kl(p, (p + q) / 2),
    "Half of the Jensen-Shannon divergence is KL(q, m): without it the loss is not symmetric.",
    "(KL(p, m) + KL(q, m)) / 2",
)
REVERSED = Variant(
    "KL(q, p), the other way round",
    lambda p, q: kl(q, p),
    "KL is not symmetric: KL(p, q) covers p, KL(q, p) settles on one mode of it. F.kl_div(a, b) is KL(b, exp(a)).",
    "Swap the arguments.",
    fault=False,
)
LOG_TWICE = Variant(
    "F.kl_div on probabilities instead of log-probabilities",
    lambda p, q: (p * (p.log() - q)).sum(dim=-1),
    "F.kl_div takes log-probabilities first; of probabilities it is not a divergence and not 0 at p = q.",
    "F.kl_div(q.log(), p, reduction='none').sum(-1)",
)


def _sets(x: Tensor, y: Tensor, k: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    n, m = len(x), len(y)
    xx, yy = k(x, x), k(y, y)
    return (
        (xx.sum() - xx.diagonal().sum()) / (n * (n - 1)),
        (yy.sum() - yy.diagonal().sum()) / (m * (m - 1)),
        k(x, y).mean(),
    )


def _distance(x: Tensor, y: Tensor) -> Tensor:
    square = ((x.unsqueeze(1) - y) ** 2).sum(dim=-1)
    return torch.where(square > 0, square, 1).sqrt() * (square > 0)


def _kernel(width: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: (-((x.unsqueeze(1) - y) ** 2).sum(dim=-1) / (2 * within(width) ** 2)).exp()


def energy(x: Tensor, y: Tensor) -> Tensor:
    xx, yy, xy = _sets(x, y, _distance)
    return 2 * xy - xx - yy


def energy_biased(x: Tensor, y: Tensor) -> Tensor:
    return 2 * _distance(x, y).mean() - _distance(x, x).mean() - _distance(y, y).mean()


def mmd(x: Tensor, y: Tensor, width: float) -> Tensor:
    xx, yy, xy = _sets(x, y, _kernel(width))
    return xx + yy - 2 * xy


def mmd_biased(x: Tensor, y: Tensor, width: float) -> Tensor:
    k = _kernel(width)
    return k(x, x).mean() + k(y, y).mean() - 2 * k(x, y).mean()


def gaussian_kl(mean: Tensor, cov: Tensor, mean_q: Tensor, cov_q: Tensor) -> Tensor:
    gap, inverse = mean_q - mean, torch.linalg.inv(cov_q)
    value: Tensor = (inverse @ cov).trace() + gap @ inverse @ gap - len(mean) + cov_q.logdet() - cov.logdet()
    return value / 2


def gaussian_w2(mean: Tensor, cov: Tensor, mean_q: Tensor, cov_q: Tensor) -> Tensor:
    values = torch.linalg.eigvals(cov @ cov_q).real
    value: Tensor = ((mean - mean_q) ** 2).sum() + cov.trace() + cov_q.trace() - 2 * values.clamp(min=0).sqrt().sum()
    return value


BIASED = (
    "Pairs of a sample with itself are counted: the value is not 0 in the mean where the laws are equal, by about 1/n."
)
PAIRED = "Leave the diagonals of k(x, x) and k(y, y) out and divide by n (n - 1)."
GAUSSIANS = (
    vector("mean", "mean m mu mup p"),
    covariance("cov", "cov c sigma s covp"),
    vector("mean_q", "meanq mq muq q m2 mu2"),
    covariance("cov_q", "covq cq sigmaq s2 sigma2"),
)
SYMMETRIC = (symmetric("p", "q"),)


def _law(
    name: str,
    says: str,
    formula: Callable[..., Tensor],
    covers: str,
    card: str,
    *aliases: str,
    both: bool = False,
    variants: tuple[Variant, ...] = (),
) -> Claim:
    return Claim(
        name,
        says,
        (Form((P, Q), {says: formula}, variants=variants, invariances=SYMMETRIC if both else ()),),
        aliases,
        card,
        (f"divergence.{covers}",),
        fragile=False,
    )


def _densities(name: str, says: str, formula: Callable[..., Tensor], covers: str, card: str) -> Claim:
    return Claim(
        name, says, (Form((LOG_P, LOG_Q), {says: formula}),), (), card, (f"divergence.{covers}",), fragile=False
    )


def _js_of(log_p: Tensor, log_q: Tensor, log_p_at_q: Tensor, log_q_at_q: Tensor) -> Tensor:
    first, second = (log_p - log_q).exp(), (log_p_at_q - log_q_at_q).exp()
    return 0.5 * (2 * first / (1 + first)).log() + 0.5 * (2 / (1 + second)).log()


ROWS_MEAN = rows("mean", "mean mu m loc zmean")
LOG_VAR = rows("log_var", "logvar lv logvariance logsigma2 logs zlogvar zlogvariance", "log-variances (B, d)")
VAR = positive("var", "var variance sigma2", columns=True)


def _to_standard(mean: Tensor, var: Tensor, log_var: Tensor) -> Tensor:
    return 0.5 * (var + mean**2 - 1 - log_var).sum(dim=1)


TO_STANDARD = (
    Form(
        (ROWS_MEAN, LOG_VAR),
        {"(s^2 + m^2 - 1 - log s^2) / 2": lambda mean, log_var: _to_standard(mean, log_var.exp(), log_var)},
        variants=(
            Variant(
                "log sigma taken, not log sigma^2",
                lambda mean, log_var: _to_standard(mean, (2 * log_var).exp(), 2 * log_var),
                "Right where the network gives log sigma; where it gives the log-variance the deviations are wrong.",
                "exp(log_var), and log_var once; or call the argument log_sigma.",
                fault=False,
            ),
            Variant(
                "the exponential is missing",
                lambda mean, log_var: 0.5 * (mean**2 - 1).sum(dim=1) + 0 * log_var.sum(dim=1),
                "The log-variance cancels: only the mean is pulled to 0, and the deviation is free.",
                "-0.5 * (1 + log_var - mean ** 2 - log_var.exp())",
            ),
            Variant(
                "the 1 is missing",
                lambda mean, log_var: _to_standard(mean, log_var.exp(), log_var) + mean.shape[1] / 2,
                "The gradient is right; the value is too high by d / 2, so it is no divergence.",
                "-0.5 * (1 + log_var - mean ** 2 - log_var.exp())",
                fault=False,
            ),
        ),
    ),
    Form(
        (ROWS_MEAN, VAR),
        {"(s^2 + m^2 - 1 - log s^2) / 2": lambda mean, var: _to_standard(mean, var, var.log())},
        variants=(
            Variant(
                "sigma taken, not sigma^2",
                lambda mean, var: _to_standard(mean, var**2, 2 * var.log()),
                "Right where the argument is the deviation.",
                "Square the deviation, or pass the variance.",
                fault=False,
            ),
        ),
    ),
)

CLAIMS = (
    _law(
        "kl-divergence",
        "sum_k p_k log(p_k / q_k)",
        kl,
        "kl",
        "kl-divergence",
        "kl",
        "kl-div",
        variants=(REVERSED, LOG_TWICE),
    ),
    _law(
        "js-divergence",
        "KL(p, m) / 2 + KL(q, m) / 2, m = (p + q) / 2",
        js,
        "js",
        "js-divergence",
        "js",
        "jensen-shannon",
        both=True,
        variants=(
            NO_MIXTURE,
            BACKWARDS,
            ONE_SIDE,
            Variant(
                "its square root",
                lambda p, q: js(p, q).sqrt(),
                "The Jensen-Shannon distance, a metric (scipy's jensenshannon).",
                "Square it.",
                fault=False,
            ),
            Variant(
                "the symmetrised KL (Jeffreys)",
                lambda p, q: (kl(p, q) + kl(q, p)) / 2,
                "No mixture: it is infinite for disjoint laws.",
                "Compare both with m = (p + q) / 2.",
                fault=False,
            ),
        ),
    ),
    _law(
        "total-variation",
        "sum_k |p_k - q_k| / 2",
        lambda p, q: (p - q).abs().sum(dim=-1) / 2,
        "total_variation",
        "total-variation",
        "tv",
        both=True,
    ),
    _law(
        "chi-squared",
        "sum_k (p_k - q_k)^2 / q_k",
        lambda p, q: ((p - q) ** 2 / q).sum(dim=-1),
        "chi_squared",
        "chi-squared",
        "chi2",
        variants=(
            Variant(
                "divided by p instead of q",
                lambda p, q: ((p - q) ** 2 / p).sum(dim=-1),
                "chi^2(q, p), the other way round.",
                "Divide by q.",
                fault=False,
            ),
            Variant(
                "divided by p + q",
                lambda p, q: ((p - q) ** 2 / (p + q)).sum(dim=-1),
                "The triangular discrimination: bounded and symmetric.",
                "Divide by q.",
                fault=False,
            ),
        ),
    ),
    _law(
        "cross-entropy-of-laws",
        "-sum_k p_k log q_k",
        lambda p, q: -(p * q.log()).sum(dim=-1),
        "cross_entropy_of",
        "entropy",
        variants=(
            Variant(
                "the laws swapped",
                lambda p, q: -(q * p.log()).sum(dim=-1),
                "H(q, p): the expectation is taken under the wrong law.",
                "-sum p log q",
            ),
        ),
    ),
    Claim(
        "entropy",
        "-sum_k p_k log p_k",
        (
            Form(
                (P,),
                {"-sum_k p_k log p_k": entropy},
            ),
        ),
        ("shannon-entropy",),
        "entropy",
        ("divergence.entropy",),
        fragile=False,
    ),
    Claim(
        "information-content",
        "-log p",
        (Form((probability("p", "p prob probability x"),), {"-log p": lambda p: -p.log()}),),
        ("surprise", "self-information"),
        "information",
        ("divergence.information_content",),
        fragile=False,
    ),
    _densities(
        "kl-of-densities",
        "log p(x) - log q(x), x from p",
        lambda log_p, log_q: log_p - log_q,
        "kl_of_densities",
        "kl-divergence",
    ),
    _densities(
        "reverse-kl-of-densities",
        "r log r - r + 1, r = q(x) / p(x), x from p",
        lambda log_p, log_q: (log_q - log_p).exp() * (log_q - log_p) - (log_q - log_p).exp() + 1,
        "reverse_kl_of_densities",
        "kl-divergence",
    ),
    _densities(
        "total-variation-of-densities",
        "[1 - q(x) / p(x)]+, x from p",
        lambda log_p, log_q: (1 - (log_q - log_p).exp()).clamp(min=0),
        "total_variation_of_densities",
        "total-variation",
    ),
    _densities(
        "chi-squared-of-densities",
        "p(x) / q(x) - 1, x from p",
        lambda log_p, log_q: (log_p - log_q).exp() - 1,
        "chi_squared_of_densities",
        "chi-squared",
    ),
    Claim(
        "js-of-densities",
        "(log(2 r / (1 + r)) at x + log(2 / (1 + r)) at y) / 2, r = p / q",
        (Form((LOG_P, LOG_Q, scores("log_p_at_q", "logpatq"), scores("log_q_at_q", "logqatq")), {"JS": _js_of}),),
        (),
        "js-divergence",
        ("divergence.js_of_densities",),
        fragile=False,
    ),
    Claim(
        "gaussian-kl",
        "(tr(S'^-1 S) + (m' - m)' S'^-1 (m' - m) - d + log(det S' / det S)) / 2",
        (Form(GAUSSIANS, {"KL": gaussian_kl}, whole=True, exchangeable=False, per_sample=False), *TO_STANDARD),
        ("vae-kl", "kld", "vae-kld"),
        "kl-divergence",
        ("divergence.gaussian_kl",),
        fragile=False,
    ),
    Claim(
        "gaussian-entropy",
        "log det(2 pi e S) / 2",
        (
            Form(
                (covariance("cov", "cov c sigma s"),),
                {"log det(2 pi e S) / 2": lambda cov: 0.5 * (2 * torch.pi * torch.e * cov).logdet()},
                whole=True,
                exchangeable=False,
                per_sample=False,
            ),
        ),
        (),
        "entropy",
        ("divergence.gaussian_entropy",),
        fragile=False,
    ),
    Claim(
        "gaussian-w2",
        "|m - q|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)",
        (
            Form(
                GAUSSIANS,
                {"W2^2": gaussian_w2},
                whole=True,
                exchangeable=False,
                per_sample=False,
                variants=(
                    Variant(
                        "its square root",
                        lambda **x: gaussian_w2(**x).sqrt(),
                        "W2 itself; the formula is its square.",
                        "Square it.",
                        fault=False,
                    ),
                ),
            ),
        ),
        ("frechet", "fid", "bures"),
        "gaussian-w2",
        ("transport.gaussian_w2",),
        fragile=False,
    ),
    Claim(
        "energy-distance",
        "2 E|X - Y| - E|X - X'| - E|Y - Y'|, different samples only",
        (
            Form(
                (X, Y),
                {"2 E|X - Y| - E|X - X'| - E|Y - Y'|": energy},
                least=2,
                whole=True,
                per_sample=False,
                invariances=(symmetric("x", "y"),),
                variants=(
                    Variant("the biased form (V-statistic)", energy_biased, BIASED, PAIRED, fault=False),
                    Variant(
                        "squared distances",
                        lambda x, y: (
                            2 * (_distance(x, y) ** 2).mean()
                            - (_distance(x, x) ** 2).mean()
                            - (_distance(y, y) ** 2).mean()
                        ),
                        "With squares only the means are compared: 2 |mean difference|^2.",
                        "Distances, not their squares.",
                    ),
                ),
            ),
        ),
        (),
        "energy-distance-loss",
        ("divergence.energy_distance",),
        fragile=False,
    ),
    Claim(
        "mmd",
        "E k(X, X') + E k(Y, Y') - 2 E k(X, Y), k(a, b) = exp(-|a - b|^2 / (2 w^2)), different samples only",
        (
            Form(
                (X, Y),
                {"E k(X, X') + E k(Y, Y') - 2 E k(X, Y)": mmd},
                (number("width", "width widths sigma bandwidth w h", 1.0, (1.0, 0.5, 2.0, 0.7071, 1.4142, 3.0)),),
                least=2,
                whole=True,
                per_sample=False,
                invariances=(symmetric("x", "y"),),
                variants=(
                    Variant("the biased form (V-statistic)", mmd_biased, BIASED, PAIRED, fault=False),
                    Variant(
                        "its square root",
                        lambda x, y, width: mmd_biased(x, y, width).clamp(min=1e-300).sqrt(),
                        "MMD itself: its gradient is infinite at equality.",
                        "Leave the root out.",
                        fault=False,
                    ),
                ),
            ),
        ),
        ("maximum-mean-discrepancy",),
        "mmd-loss",
        ("divergence.mmd",),
        fragile=False,
    ),
)

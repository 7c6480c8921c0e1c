"""Divergences: how far a law p is from a law q, in nats. Known as tables, as densities, as Gaussians, or by samples.

Tables are (..., K), one law along the last axis, taken as they are: nothing is normalised. 0 log 0 = 0, and what is
infinite is inf. In an entry p_k = 0 the slope of p_k log p_k is infinite; the gradient there is finite and leaves p_k
out, which is the exact gradient once p is a softmax. UserError where shapes are wrong.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..errors import UserError


def information_content(p: Tensor) -> Tensor:
    """-log p of every probability, any shape: the surprise; 0 for what is certain, inf for p = 0 (Shannon, 1948)."""
    return -p.log()


def entropy(p: Tensor) -> Tensor:
    """H(p) = -sum_k p_k log p_k >= 0, (..., K) -> (...): log K where uniform, 0 where certain (Shannon, 1948)."""
    _table("entropy", p)
    return -_p_log_ratio(p, torch.ones_like(p), p - 1).sum(-1)


def cross_entropy_of(p: Tensor, q: Tensor) -> Tensor:
    """H(p, q) = -sum_k p_k log q_k = H(p) + KL(p, q), (..., K) -> (...): inf where p_k > 0 = q_k."""
    _tables("cross_entropy_of", p, q)
    return -(p * q.masked_fill(p == 0, 1).log()).sum(-1)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p, q) = sum_k p_k log(p_k / q_k), (..., K) -> (...): inf where p_k > 0 = q_k (Kullback & Leibler, 1951).

    For laws it is >= 0, and 0 at p = q only. The reverse KL is kl(q, p).
    """
    _tables("kl", p, q)
    return _p_log_ratio(p, q, p - q).sum(-1)


def js(p: Tensor, q: Tensor) -> Tensor:
    """JS(p, q) = KL(p, m) / 2 + KL(q, m) / 2, m = (p + q) / 2, (..., K) -> (...) in [0, log 2] (Lin, 1991).

    log 2 where the laws share no outcome, however far apart they are. Its square root is a distance.
    """
    _tables("js", p, q)
    return (_p_log_ratio(2 * p, p + q, p - q) + _p_log_ratio(2 * q, p + q, q - p)).sum(-1) / 4


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """TV(p, q) = sum_k |p_k - q_k| / 2, (..., K) -> (...) in [0, 1]: the largest gap |p(A) - q(A)| of any event A."""
    _tables("total_variation", p, q)
    return (p - q).abs().sum(-1) / 2


def chi_squared(p: Tensor, q: Tensor) -> Tensor:
    """chi^2(p, q) = sum_k (p_k - q_k)^2 / q_k, (..., K) -> (...): inf where p_k > 0 = q_k (Pearson, 1900).

    Neyman's is chi_squared(q, p). KL(p, q) <= log(1 + chi^2(p, q)).
    """
    _tables("chi_squared", p, q)
    return ((p - q) ** 2 / q.masked_fill((p == 0) & (q == 0), 1)).sum(-1)


def kl_of_densities(log_p: Tensor, log_q: Tensor) -> Tensor:
    """log p(x) - log q(x) at samples x of p, one per sample: its mean is KL(p, q), single values may be negative."""
    _paired("kl_of_densities", log_p=log_p, log_q=log_q)
    return log_p - log_q


def reverse_kl_of_densities(log_p: Tensor, log_q: Tensor) -> Tensor:
    """r log r - r + 1 >= 0, r = q(x) / p(x), at samples x of p, one per sample: its mean is KL(q, p).

    For q = 0 wherever p = 0. The weights r may vary wildly: where q can be sampled, use kl_of_densities(log_q, log_p).
    """
    _paired("reverse_kl_of_densities", log_p=log_p, log_q=log_q)
    log_r = log_q - log_p
    return log_r * log_r.exp() - log_r.expm1()


def js_of_densities(log_p: Tensor, log_q: Tensor, log_p_at_q: Tensor, log_q_at_q: Tensor) -> Tensor:
    """log 2 - softplus(-l(x)) / 2 - softplus(l(y)) / 2, l = log p - log q, of pairs x from p, y from q: mean JS(p, q).

    It is log 2 - bce_critic(l(x), l(y)) / 2: what the best discriminator of a GAN reaches (Goodfellow et al., 2014).
    """
    _paired("js_of_densities", log_p=log_p, log_q=log_q, log_p_at_q=log_p_at_q, log_q_at_q=log_q_at_q)
    return math.log(2) - (softplus(log_q - log_p) + softplus(log_p_at_q - log_q_at_q)) / 2


def total_variation_of_densities(log_p: Tensor, log_q: Tensor) -> Tensor:
    """[1 - q(x) / p(x)]^+ in [0, 1] at samples x of p, one per sample: its mean is TV(p, q), for any two laws."""
    _paired("total_variation_of_densities", log_p=log_p, log_q=log_q)
    return -(log_q - log_p).clamp(max=0).expm1()


def chi_squared_of_densities(log_p: Tensor, log_q: Tensor) -> Tensor:
    """p(x) / q(x) - 1 at samples x of p, one per sample: its mean is chi^2(p, q); rare large values carry it."""
    _paired("chi_squared_of_densities", log_p=log_p, log_q=log_q)
    return (log_p - log_q).expm1()


def gaussian_entropy(cov: Tensor) -> Tensor:
    """H(N(m, S)) = log det(2 pi e S) / 2, cov (..., d, d) -> (...); negative for narrow laws.

    Raises UserError unless cov is positive definite.
    """
    root = _root("gaussian_entropy", "cov", cov)
    return _half_log_det(root) + cov.shape[-1] / 2 * (1 + math.log(2 * math.pi))


def gaussian_kl(mean: Tensor, cov: Tensor, mean_q: Tensor, cov_q: Tensor) -> Tensor:
    """KL(N(m, S), N(m', S')) = (tr(S'^-1 S) + (m' - m)' S'^-1 (m' - m) - d + log(det S' / det S)) / 2.

    mean (..., d) and cov (..., d, d) -> (...). Raises UserError unless both covariances are positive definite.
    """
    if not mean.shape == mean_q.shape == cov.shape[:-1] == cov_q.shape[:-1]:
        shapes = ", ".join(str(tuple(t.shape)) for t in (mean, cov, mean_q, cov_q))
        raise UserError(f"gaussian_kl: means must be (..., d) and covariances (..., d, d), alike; got {shapes}.")
    root, root_q = _root("gaussian_kl", "cov", cov), _root("gaussian_kl", "cov_q", cov_q)
    gaps = torch.cat([root, (mean_q - mean).unsqueeze(-1)], dim=-1)
    white: Tensor = torch.linalg.solve_triangular(root_q, gaps, upper=False)
    return (white.square().sum((-2, -1)) - mean.shape[-1]) / 2 + _half_log_det(root_q) - _half_log_det(root)


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| of samples x (n, d), y (m, d): a squared distance (Szekely & Rizzo, 2004).

    Unbiased (over i != j), so 0 on average for equal laws, and negative about half of the time then. Differentiable
    once; where points coincide, that pair has gradient 0. Holds n x m numbers.
    """
    _samples("energy_distance", x, y)
    return 2 * _distances(x, y).mean() - _off_diagonal_mean(_distances(x, x)) - _off_diagonal_mean(_distances(y, y))


def mmd(x: Tensor, y: Tensor, widths: tuple[float, ...]) -> Tensor:
    """E k(X, X') + E k(Y, Y') - 2 E k(X, Y) of samples x (n, d), y (m, d): MMD^2 (Gretton et al., 2012).

    k(a, b) = mean over widths h of exp(-|a - b|^2 / (2 h^2)). Unbiased (over i != j), so 0 on average for equal laws,
    and negative about half of the time then. Differentiable once. Holds n x m numbers.
    """
    _samples("mmd", x, y)
    if not widths or not all(0 < h < math.inf for h in widths):
        raise UserError(f"mmd: 'widths' must be positive and finite, one or more; got {widths}.")

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        square = _distances(a, b) ** 2
        return torch.stack([(square / (-2 * h * h)).exp() for h in widths]).mean(0)

    return _off_diagonal_mean(kernel(x, x)) + _off_diagonal_mean(kernel(y, y)) - 2 * kernel(x, y).mean()


def _p_log_ratio(p: Tensor, q: Tensor, gap: Tensor) -> Tensor:
    """p log(p / q), 0 where p = 0; gap = p - q. By log1p where p is near q, else a small divergence has no digits."""
    absent = p == 0
    far = absent | (gap.abs() >= q / 2)
    near_log = (gap.masked_fill(far, 0) / q.masked_fill(far, 1)).log1p()
    far_log = p.masked_fill(absent, 1).log() - q.masked_fill(absent, 1).log()
    return p * torch.where(far, far_log, near_log)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|, exact for close points, and 0 with gradient 0 where they coincide."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _off_diagonal_mean(values: Tensor) -> Tensor:
    n = len(values)
    return values.masked_fill(torch.eye(n, dtype=torch.bool, device=values.device), 0).sum() / (n * (n - 1))


def _half_log_det(root: Tensor) -> Tensor:
    return root.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _root(loss: str, name: str, cov: Tensor) -> Tensor:
    """The lower triangular L with L L' = cov."""
    if cov.ndim < 2 or cov.shape[-1] != cov.shape[-2]:
        raise UserError(f"{loss}: '{name}' must be a covariance (..., d, d); got {tuple(cov.shape)}.")
    try:
        root: Tensor = torch.linalg.cholesky(cov)
    except RuntimeError as error:
        raise UserError(f"{loss}: '{name}' is not positive definite; drop columns that depend on others.") from error
    return root


def _table(loss: str, p: Tensor) -> None:
    if p.ndim < 1 or p.shape[-1] == 0:
        raise UserError(f"{loss}: 'p' must be (..., K), the probabilities of K outcomes; got {tuple(p.shape)}.")


def _tables(loss: str, p: Tensor, q: Tensor) -> None:
    _table(loss, p)
    _paired(loss, p=p, q=q)


def _paired(loss: str, **tensors: Tensor) -> None:
    if len({t.shape for t in tensors.values()}) > 1:
        shapes = ", ".join(f"'{name}' {tuple(t.shape)}" for name, t in tensors.items())
        raise UserError(f"{loss}: all arguments must have one shape; got {shapes}. Use expand_as, or squeeze both.")


def _samples(loss: str, x: Tensor, y: Tensor) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise UserError(
            f"{loss}: 'x' must be (n, d) and 'y' (m, d), two rows or more; got {tuple(x.shape)} and {tuple(y.shape)}. "
            "A list of numbers is one column: x[:, None]."
        )

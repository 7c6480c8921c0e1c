"""Denoisers without a network: what a Gaussian and a kernel density model of the rows can do at best.

z = alpha x + sigma n with n standard normal; a denoiser gives E[x | z] under its model of x. Their losses frame a
trained network's: the Gaussian's is the least loss of any linear denoiser, and the kernel density's lies above the
least loss of all (no denoiser beats the posterior mean under the true law), nearer the more rows it was fitted on.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BANDWIDTHS = (0.02, 0.035, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
LEFT_OUT = 500  # rows whose likelihood under the others chooses the bandwidth
BLOCK = 1024


@dataclass(frozen=True)
class KernelDenoiser:
    """p(x) = mean_i N(c_i, h^2 C), c_i = m + sqrt(1 - h^2) (x_i - m), C the rows' covariance: its mean and covariance
    are the rows' own at every h; h = 1 is one Gaussian, h -> 0 the rows themselves (West, 1993)."""

    axes: Tensor  # (d, d), columns: the eigenvectors of C
    values: Tensor  # (d,) eigenvalues of C
    centers: Tensor  # (N, d), in those axes
    bandwidth: float

    def share(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Var(x | z) / sigma^2 of the Gaussian, mean over dimensions: (B, 1)."""
        return (self.values / (alpha**2 * self.values + sigma**2)).mean(dim=-1, keepdim=True)

    def __call__(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """E[x | z]: z (B, d), alpha and sigma (B, 1) -> (B, d), in z's dtype."""
        blocks = zip(*(a.double().split(BLOCK) for a in (z, alpha, sigma)), strict=True)
        return torch.cat([self._block(*block) for block in blocks]).to(z.dtype)

    def _block(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        z, within = z @ self.axes, self.bandwidth**2 * self.values
        var = alpha**2 * within + sigma**2
        weight = torch.softmax(_log_kernel(z, alpha, var, self.centers), dim=1)
        center = weight @ self.centers
        return (center + alpha * within / var * (z - alpha * center)) @ self.axes.T


def _log_kernel(z: Tensor, alpha: Tensor, var: Tensor, centers: Tensor) -> Tensor:
    """-sum_j (z_j - alpha c_j)^2 / (2 var_j), less what does not depend on the centre: (B, N)."""
    return (alpha * z / var) @ centers.T - 0.5 * (alpha**2 / var) @ (centers**2).T


def gaussian_denoiser(x: Tensor) -> KernelDenoiser:
    """The best linear denoiser, with the mean and covariance of the rows x (n, d)."""
    return _fit(x.double(), 1.0)


def kernel_denoiser(x: Tensor) -> KernelDenoiser:
    """A kernel density model's denoiser; h has the best leave-one-out likelihood of 500 of the rows x (n, d)."""
    x = x.double()
    fits = [_fit(x, h) for h in BANDWIDTHS]
    return max(fits, key=lambda fit: _leave_one_out(x, fit))


def _fit(x: Tensor, h: float) -> KernelDenoiser:
    mean = x.mean(dim=0)
    values, axes = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    centers = mean + (1 - h**2) ** 0.5 * (x - mean)
    # a column that never varies has no width of its own; rounding may make its eigenvalue negative
    return KernelDenoiser(axes, values.clamp(min=1e-9), centers @ axes, h)


def _leave_one_out(x: Tensor, fit: KernelDenoiser) -> float:
    var = fit.bandwidth**2 * fit.values
    left = torch.arange(0, len(x), -(-len(x) // LEFT_OUT))
    z = x[left] @ fit.axes
    one = torch.ones(len(z), 1, dtype=x.dtype)
    log = _log_kernel(z, one, var.expand(len(z), -1), fit.centers)
    log[torch.arange(len(z)), left] = -torch.inf
    log = log.logsumexp(dim=1)
    return float((log - 0.5 * (z**2 / var + var.log()).sum(dim=1)).mean())


def reference_denoisers(x: Tensor) -> tuple[KernelDenoiser, KernelDenoiser]:
    """(trivial, good): the Gaussian and the kernel density denoiser of the rows x (n, d)."""
    return gaussian_denoiser(x), kernel_denoiser(x)


def loss_between(trivial: Tensor, least: Tensor) -> tuple[float, float] | None:
    """Mean losses of the two, or None where `least` (B,) is not below `trivial` (B,) by 3 standard errors and 1 %."""
    gain = trivial - least
    sure = gain.mean() > 3 * gain.std() / len(gain) ** 0.5
    if not (sure and gain.mean() > 0.01 * trivial.mean().abs()):
        return None
    return float(trivial.mean()), float(least.mean())

"""What draws of several chains say about themselves: autocorrelation, effective sample size, R-hat, E-BFMI."""

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from ..errors import UserError

LEAST = 4  # draws: two in each half of a chain
RHAT, ENOUGH, SLUGGISH = 1.01, 400, 0.3  # what draws should reach


def autocorrelation(draws: Tensor) -> Tensor:
    """rho_k = sum_i (x_i - m)(x_{i+k} - m) / (n - k) / rho_0, per chain: (n, chains, ...) -> the same shape.

    Unbiased in the sense that the sum at lag k is divided by its n - k terms; nan for a chain that never moves.
    """
    covariance = _autocovariance(_checked(draws, 2, "autocorrelation"), unbiased=True)
    return covariance / covariance[:1]


def ess(draws: Tensor, kind: Literal["mean", "bulk", "tail"] = "bulk") -> Tensor:
    """Independent draws of equal worth: S / tau, tau = 1 + 2 sum_k rho_k; (n, chains, ...) -> (...).

    Chains are split in halves; rho_k mixes all of them and is summed over Geyer's initial monotone sequence (1992).
    "mean": of the values. "bulk": of their normal scores, so that it exists for any law. "tail": the smaller one of
    the indicators of the 5 % and 95 % quantiles (Vehtari et al., 2021). nan where no chain moves.
    """
    draws = _checked(draws, LEAST, "ess")
    if kind == "mean":
        return _each(lambda x: _geyer(_split(x)), draws)
    if kind == "bulk":
        return _each(lambda x: _geyer(_scores(_split(x))), draws)
    if kind == "tail":
        return _each(_tail, draws)
    raise UserError(f"ess: kind must be 'mean', 'bulk' or 'tail'; got '{kind}'.")


def split_rhat(draws: Tensor, kind: Literal["rank", "plain"] = "rank") -> Tensor:
    """sqrt of the pooled variance over the mean variance within half chains; (n, chains, ...) -> (...); 1 is mixed.

    "plain": of the values (Gelman & Rubin, 1992). "rank": the larger one of the normal scores' and of the scores of
    |x - median|, which also sees chains that differ in width only, and exists for any law (Vehtari et al., 2021).
    """
    draws = _checked(draws, LEAST, "split_rhat")
    if kind == "plain":
        return _each(lambda x: _rhat(_split(x)), draws)
    if kind == "rank":
        return _each(_rank_rhat, draws)
    raise UserError(f"split_rhat: kind must be 'rank' or 'plain'; got '{kind}'.")


def e_bfmi(energies: Tensor) -> Tensor:
    """sum_i (H_i - H_{i-1})^2 / sum_i (H_i - mean)^2, per chain: (n, chains) -> (chains,) (Betancourt, 2016).

    H is the energy and the fresh momentum's together. Below .3 a momentum moves the energy too little to reach tails.
    """
    h = _checked(energies, 2, "e_bfmi")
    return h.diff(dim=0).square().sum(dim=0) / (h - h.mean(dim=0)).square().sum(dim=0)


def doubts(info: Mapping[str, Tensor | float]) -> list[str]:
    """What in the info of hmc, mala, nuts or tempering speaks against the draws, a sentence each; [] if nothing does.

    Looked at: divergences, rhat < 1.01, ess_bulk and ess_tail > 400, ebfmi > .3 (Vehtari et al., 2021; Betancourt,
    2016). A law whose corners no chain enters may still pass: divergences are the best hint of that.
    """
    said = []
    if (count := float(info.get("divergences", 0.0))) > 0:
        said.append(f"{count:.0f} proposals diverged: some part of the law is too narrow for the step; shorten it.")
    if not float(info.get("rhat", 1.0)) < RHAT:
        said.append(
            f"R-hat is {float(info['rhat']):.3g}, not below {RHAT}: the chains have not mixed; run them longer."
        )
    for name, what in (("ess_bulk", "the middle"), ("ess_tail", "the tails")):
        if not float(info.get(name, math.inf)) > ENOUGH:
            said.append(f"{name} is {float(info[name]):.0f}, not above {ENOUGH}: too few free draws of {what}.")
    if not float(info.get("ebfmi", 1.0)) > SLUGGISH:
        said.append(f"E-BFMI is {float(info['ebfmi']):.2f}, not above {SLUGGISH}: momenta move the energy too little.")
    return said


def _checked(draws: Tensor, least: int, name: str) -> Tensor:
    if draws.ndim < 2 or len(draws) < least:
        found = tuple(draws.shape)
        raise UserError(f"{name} needs draws (n, chains, ...) with n >= {least}; got shape {found}.")
    return draws.detach().double()


def _each(measure: Callable[[Tensor], Tensor], draws: Tensor) -> Tensor:
    """A measure of (n, chains) for every coordinate, one at a time: the transforms need several times its memory."""
    columns = draws.reshape(*draws.shape[:2], -1).unbind(dim=2)
    return torch.stack([measure(x) for x in columns]).reshape(draws.shape[2:])


def _split(x: Tensor) -> Tensor:
    half = len(x) // 2
    return torch.cat([x[:half], x[-half:]], dim=1)  # an odd middle draw belongs to neither half


def _scores(x: Tensor) -> Tensor:
    """Normal scores of the ranks; equal values, as after a refusal, share their mean rank."""
    _, place, count = x.unique(return_inverse=True, return_counts=True)
    rank = count.cumsum(0) - (count.double() - 1) / 2
    normal: Tensor = torch.special.ndtri((rank[place] - 3 / 8) / (x.numel() + 1 / 4))
    return normal


def _autocovariance(x: Tensor, unbiased: bool) -> Tensor:
    """Over the first axis, by a transform padded to twice the length so that the ends do not meet."""
    n = len(x)
    f = torch.fft.rfft(x - x.mean(dim=0), n=2 * n, dim=0)
    sums: Tensor = torch.fft.irfft(f * f.conj(), n=2 * n, dim=0)[:n]
    terms = torch.arange(n, 0, -1, dtype=x.dtype, device=x.device) if unbiased else x.new_full((n,), n)
    return sums / terms.reshape(-1, *[1] * (x.ndim - 1))


def _variances(x: Tensor) -> tuple[Tensor, Tensor]:
    """Within the chains, and pooled, of (n, chains)."""
    n, chains = x.shape
    within = x.var(dim=0).mean()
    between = x.mean(dim=0).var() if chains > 1 else x.new_zeros(())
    return within, within * (n - 1) / n + between


def _rhat(x: Tensor) -> Tensor:
    within, pooled = _variances(x)
    return (pooled / within).sqrt()


def _rank_rhat(x: Tensor) -> Tensor:
    halves = _split(x)
    ordered = halves.flatten().sort().values
    median = ordered[[(len(ordered) - 1) // 2, len(ordered) // 2]].mean()
    return torch.maximum(_rhat(_scores(halves)), _rhat(_scores((halves - median).abs())))


def _geyer(x: Tensor, unbiased: bool = False) -> Tensor:
    """S / (2 sum_k P_k - 1), P_k = rho_2k + rho_2k+1 > 0 made to fall, as exact ones do; at most S log10 S."""
    within, pooled = _variances(x)
    if not within > 0:
        return torch.full_like(within, math.nan)  # chains that never moved say nothing
    n = len(x)
    covariance = _autocovariance(x, unbiased).mean(dim=1) * (1 if unbiased else n / (n - 1))
    rho = 1 - (within - covariance) / pooled
    rho[0] = 1
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(dim=1)
    alive = (pairs > 0).cumprod(dim=0)
    tau = 2 * (pairs.cummin(dim=0).values * alive).sum() - 1
    most: Tensor = x.numel() / tau.clamp(
        min=1 / math.log10(x.numel())
    )  # antithetic chains: the bound of Vehtari et al.
    return most


def _tail(x: Tensor) -> Tensor:
    ordered = x.flatten().sort().values
    cuts = [ordered[int(q * (len(ordered) - 1))] for q in (0.05, 0.95)]
    return torch.stack([_geyer(_split((x <= cut).double())) for cut in cuts]).min()

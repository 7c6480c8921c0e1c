"""Every loss against its formula: worst relative error in float32 and float64, and gradcheck.

The oracle is the formula as the paper writes it, evaluated with 60 digits (mpmath) at exactly the numbers that the loss
was given, extremes included. An error counts relative to the largest of the value, the median of all values at that scale and
the type's rounding of 1, so that a difference that happens to vanish does not count as infinitely wrong. Gradients are checked against finite
differences in float64 (torch.autograd.gradcheck).

    python benchmarks/losses.py [--draws 20] [--out losses.json]
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import permutations
from typing import Any

import mpmath
import numpy as np
import torch
from measure import keep, parser, table
from torch import Tensor

mpmath.mp.dps = 60
Draw = Callable[[torch.Generator, float], dict[str, Any]]
exp, log, root, absolute = (np.frompyfunc(f, 1, 1) for f in (mpmath.exp, mpmath.log, mpmath.sqrt, abs))
positive = clipped = np.frompyfunc(lambda v: max(v, mpmath.mpf(0)), 1, 1)
B, K, D = 6, 4, 3
SCALES = (1.0, 10.0, 1e4)


@dataclass(frozen=True)
class Row:
    """One loss: its family's module, its inputs at a scale, its formula on arrays of mpmath numbers."""

    family: str
    name: str
    draw: Draw
    formula: Callable[..., Any]
    scales: tuple[float, ...] = SCALES
    options: tuple[dict[str, Any], ...] = ({},)


def sigma(z: Any) -> Any:
    return 1 / (1 + exp(-z))


def soft(z: Any) -> Any:
    return exp(z - z.max(axis=-1, keepdims=True)) / exp(z - z.max(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True)


def softplus(z: Any) -> Any:
    return log(1 + exp(z))


def at(values: Any, target: Any) -> Any:
    return values[np.arange(len(values)), target]


def true(z: Any, target: Any) -> Any:
    """p_y."""
    return at(soft(z), target)


def log_soft(z: Any) -> Any:
    return log(soft(z))


# inputs -----------------------------------------------------------------------------------------------------------


def normal(*shapes: tuple[str, tuple[int, ...]]) -> Draw:
    return lambda g, scale: {name: scale * torch.randn(shape, generator=g) for name, shape in shapes}


scores = normal(("real", (B,)), ("fake", (B,)))
fakes = normal(("fake", (B,)))
log_laws = normal(("log_p", (B,)), ("log_q", (B,)))
energies = lambda g, s: {k: v.abs() for k, v in scores(g, s).items()}


def logits(g: torch.Generator, scale: float) -> dict[str, Any]:
    return normal(("z", (B, K)))(g, scale) | {"target": torch.randint(0, K, (B,), generator=g)}


def binary(g: torch.Generator, scale: float) -> dict[str, Any]:
    return normal(("z", (B,)))(g, scale) | {"target": torch.randint(0, 2, (B,), generator=g).float()}


def labels(g: torch.Generator, scale: float) -> dict[str, Any]:
    return normal(("z", (B, K)))(g, scale) | {"target": torch.randint(0, 2, (B, K), generator=g).float()}


def law(g: torch.Generator, k: int = K, rows: int = B) -> Tensor:
    drawn = torch.rand(rows, k, generator=g, dtype=torch.float64) + 0.01
    return drawn / drawn.sum(1, keepdim=True)


def laws(g: torch.Generator, scale: float) -> dict[str, Any]:
    return {"p": law(g), "q": law(g)}


def one_law(g: torch.Generator, scale: float) -> dict[str, Any]:
    return {"p": law(g)}


def with_counts(g: torch.Generator, scale: float) -> dict[str, Any]:
    return logits(g, scale) | {"counts": torch.tensor([1.0, 10.0, 100.0, 1000.0])}


def with_prior(g: torch.Generator, scale: float) -> dict[str, Any]:
    return logits(g, scale) | {"prior": torch.tensor([0.5, 0.25, 0.125, 0.125])}


embeddings = normal(("a", (B, D)), ("b", (B, D)))
tempered = lambda g, s: embeddings(g, 1.0) | {"temperature": 0.5}
with_target = lambda g, s: embeddings(g, s) | {"target": torch.randint(0, 2, (B,), generator=g).float()}
labelled = lambda g, s: normal(("z", (B, D)))(g, s) | {"labels": torch.tensor([0, 0, 0, 1, 1, 2])}


def spread(g: torch.Generator, *names: str) -> dict[str, Tensor]:
    """Means and covariances."""
    found = {}
    for name in names:
        a = torch.randn(D, D, generator=g, dtype=torch.float64)
        found[name] = a @ a.T + torch.eye(D) if "cov" in name else torch.randn(D, generator=g, dtype=torch.float64)
    return found


# formulas that need more than a line ---------------------------------------------------------------------------------


def cross_entropy(z: Any, target: Any, smoothing: float = 0.0) -> Any:
    return -(1 - mpmath.mpf(smoothing)) * at(log_soft(z), target) - mpmath.mpf(smoothing) * log_soft(z).mean(axis=1)


def multi_margin(z: Any, target: Any, p: int = 1) -> Any:
    loss = positive(1 - at(z, target)[:, None] + z) ** p
    loss[np.arange(len(z)), target] = 0
    return loss.sum(axis=1) / z.shape[1]


def cosines(a: Any, b: Any) -> Any:
    return (a * b).sum(axis=1) / root((a * a).sum(axis=1) * (b * b).sum(axis=1))


def pull_away(codes: Any) -> Any:
    u = codes / root((codes**2).sum(axis=1, keepdims=True))
    squared = (u @ u.T) ** 2
    return (squared.sum(axis=1) - np.diag(squared)) / (len(u) - 1)


def unit(v: Any) -> Any:
    return v / root((v**2).sum(axis=1, keepdims=True))


def info_nce(a: Any, b: Any, temperature: float) -> Any:
    z = unit(a) @ unit(b).T / temperature
    return -(np.diag(log_soft(z)) + np.diag(log_soft(z.T))) / 2


def among_views(a: Any, b: Any, temperature: float, decoupled: bool) -> Any:
    """-log of e^positive over the sum of all others, or of the negatives alone, mean of a pair's two anchors."""
    u, n = unit(np.concatenate([a, b])), len(a)
    each = []
    for i, row in enumerate(u @ u.T / temperature):
        left_out = {i, (i + n) % (2 * n)} if decoupled else {i}
        each.append(log(sum(exp(s) for j, s in enumerate(row) if j not in left_out)) - row[(i + n) % (2 * n)])
    return np.array([(x + y) / 2 for x, y in zip(each[:n], each[n:], strict=True)], dtype=object)


def sup_con(z: Any, labels: Any, temperature: float) -> Any:
    each = []
    for i, row in enumerate(unit(z) @ unit(z).T / temperature):
        total = log(sum(exp(s) for k, s in enumerate(row) if k != i))
        found = [total - s for p, s in enumerate(row) if p != i and labels[p] == labels[i]]
        each.append(sum(found, mpmath.mpf(0)) / max(1, len(found)))
    return np.array(each, dtype=object)


def siglip(a: Any, b: Any, scale: float, bias: float) -> Any:
    return softplus((1 - 2 * np.eye(len(a), dtype=int)) * (scale * unit(a) @ unit(b).T + bias)).sum(axis=1)


def hard(z: Any, labels: Any, margin: float = 1.0) -> Any:
    d, each = root(pairs(z, z)), []
    for i, row in enumerate(d):
        same, other = (
            [row[j] for j in range(len(z)) if j != i and (labels[j] == labels[i]) == s] for s in (True, False)
        )
        each.append(max(max(same) - min(other) + margin, mpmath.mpf(0)) if same and other else mpmath.mpf(0))
    return np.array(each, dtype=object)


def semi_hard(z: Any, labels: Any, margin: float = 1.0) -> Any:
    d, each = root(pairs(z, z)), []
    for i, row in enumerate(d):
        other = [row[j] for j in range(len(z)) if labels[j] != labels[i]]
        found = []
        for p in (p for p in range(len(z)) if p != i and labels[p] == labels[i] and other):
            negative = min((x for x in other if x > row[p]), default=max(other))
            found.append(max(row[p] - negative + margin, mpmath.mpf(0)))
        each.append(sum(found, mpmath.mpf(0)) / max(1, len(found)))
    return np.array(each, dtype=object)


def centred(z: Any) -> Any:
    return z - z.sum(axis=0) / len(z)


def vicreg(a: Any, b: Any) -> Any:
    total = 25 * ((a - b) ** 2).sum(axis=1) / D
    for c in map(centred, (a, b)):
        C = c.T @ c / (len(c) - 1)
        total = total + 25 * positive(1 - root(np.diag(C) + mpmath.mpf(1e-4))).sum() / (2 * D)
        total = total + ((C**2).sum() - (np.diag(C) ** 2).sum()) / D
    return total


def barlow_twins(a: Any, b: Any) -> Any:
    left, right = (c / root((c**2).sum(axis=0) / len(c) + mpmath.mpf(1e-5)) for c in map(centred, (a, b)))
    C = left.T @ right / len(a)
    off = (C**2).sum() - (np.diag(C) ** 2).sum()
    return np.array(((1 - np.diag(C)) ** 2).sum() + mpmath.mpf(5e-3) * off, dtype=object)


def uniformity(z: Any) -> Any:
    terms = exp(-2 * pairs(unit(z), unit(z)))[~np.eye(len(z), dtype=bool)]
    return np.array(log(terms.sum() / len(terms)), dtype=object)


def pairs(x: Any, y: Any) -> Any:
    return ((x[:, None] - y[None]) ** 2).sum(axis=2)


def u_statistic(k: Callable[[Any], Any], x: Any, y: Any) -> Any:
    n, m = len(x), len(y)
    xx, yy, xy = k(pairs(x, x)), k(pairs(y, y)), k(pairs(x, y))
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return np.array(within - 2 * xy.sum() / (n * m), dtype=object)


def gaussian_kl(mean: Any, cov: Any, mean_q: Any, cov_q: Any) -> Any:
    s, t = mpmath.matrix(cov.tolist()), mpmath.matrix(cov_q.tolist())
    m = mpmath.matrix((mean_q - mean).tolist())
    inverse = t**-1
    trace = sum((inverse * s)[i, i] for i in range(D))
    return np.array((trace + (m.T * inverse * m)[0] - D + mpmath.log(mpmath.det(t) / mpmath.det(s))) / 2, dtype=object)


def gaussian_w2(mean: Any, cov: Any, mean_q: Any, cov_q: Any) -> Any:
    s, t = mpmath.matrix(cov.tolist()), mpmath.matrix(cov_q.tolist())
    half = mpmath.sqrtm(s)
    middle = mpmath.sqrtm(half * t * half)
    trace = sum(s[i, i] + t[i, i] - 2 * middle[i, i] for i in range(D))
    return np.array(((mean - mean_q) ** 2).sum() + mpmath.re(trace), dtype=object)


def sorted_gap(x: Any, y: Any, p: int = 1) -> Any:
    return np.array((absolute(np.sort(x) - np.sort(y)) ** p).mean(), dtype=object)


def corn(z: Any, target: Any) -> Any:
    """Binary cross-entropy of y > k given y > k - 1, summed over the thresholds k that a row reaches."""
    total = np.array([mpmath.mpf(0)] * len(z), dtype=object)
    for k in range(z.shape[1]):
        inside = np.array(target) > k - 1
        total = total + np.where(inside, softplus(z[:, k]) - z[:, k] * (np.array(target) > k), mpmath.mpf(0))
    return total


def focal(z: Any, target: Any, gamma: float = 2.0) -> Any:
    p, rest = sigma(z), 1 / (1 + exp(z))
    return -target * rest**gamma * log(p) - (1 - target) * p**gamma * log(rest)


def asymmetric(z: Any, target: Any) -> Any:
    shifted = positive(sigma(z) - mpmath.mpf(0.05))
    return -target * log(sigma(z)) - (1 - target) * shifted**4 * log(1 - shifted)


def ldam(z: Any, target: Any, counts: Any) -> Any:
    moved = z.copy()
    moved[np.arange(len(z)), target] -= np.array([(counts.min() / c) ** mpmath.mpf(0.25) / 2 for c in counts])[target]
    return cross_entropy(30 * moved, target)


def gaussian_entropy(cov: Any) -> Any:
    return np.array(
        mpmath.log((2 * mpmath.pi * mpmath.e) ** D * mpmath.det(mpmath.matrix(cov.tolist()))) / 2, dtype=object
    )


def assigned(x: Any, y: Any) -> Any:
    """The least mean distance over all permutations."""
    cost = root(pairs(x, y))
    best = min(cost[np.arange(len(x)), list(order)].sum() for order in permutations(range(len(y))))
    return np.array(best / len(x), dtype=object)


def sliced(x: Any, y: Any, directions: Any) -> Any:
    gaps = [((np.sort(x @ u) - np.sort(y @ u)) ** 2).mean() for u in directions]
    return np.array(sum(gaps) / len(gaps), dtype=object)


def zlpr(z: Any, target: Any) -> Any:
    return log(1 + (exp(-z) * target).sum(axis=1)) + log(1 + (exp(z) * (1 - target)).sum(axis=1))


ALL: tuple[Row, ...] = (
    Row("adversarial", "bce_critic", scores, lambda real, fake: softplus(-real) + softplus(fake)),
    Row("adversarial", "bce_generator", fakes, lambda fake: softplus(-fake)),
    Row("adversarial", "minimax_generator", fakes, lambda fake: -softplus(fake)),
    Row("adversarial", "least_squares_critic", scores, lambda real, fake: ((real - 1) ** 2 + fake**2) / 2),
    Row("adversarial", "least_squares_generator", fakes, lambda fake: (fake - 1) ** 2 / 2),
    Row("adversarial", "hinge_critic", scores, lambda real, fake: positive(1 - real) + positive(1 + fake)),
    Row("adversarial", "hinge_generator", fakes, lambda fake: -fake),
    Row("adversarial", "wasserstein_critic", scores, lambda real, fake: fake - real),
    Row("adversarial", "wasserstein_generator", fakes, lambda fake: -fake),
    Row("adversarial", "relativistic_critic", scores, lambda real, fake: softplus(fake - real)),
    Row("adversarial", "relativistic_generator", scores, lambda real, fake: softplus(real - fake)),
    Row("adversarial", "slope_penalty", normal(("slope", (B,))), lambda slope: (slope - 1) ** 2),
    Row("adversarial", "zero_slope_penalty", normal(("gradient", (B, D))), lambda gradient: (gradient**2).sum(axis=1) / 2),
    Row("penalties", "one_sided_slope_penalty", normal(("slope", (B,))), lambda slope: positive(slope - 1) ** 2),
    Row("ebgan", "reconstruction_energy", normal(("x", (B, D)), ("x_hat", (B, D))), lambda x, x_hat: ((x_hat - x) ** 2).sum(axis=1) / D),
    Row("ebgan", "energy_critic", lambda g, s: energies(g, s) | {"margin": 1.5}, lambda real, fake, margin: real + positive(margin - fake)),
    Row("ebgan", "energy_generator", fakes, lambda fake: fake),
    Row("ebgan", "pull_away", normal(("codes", (B, D))), pull_away),
    Row("flows", "change_of_variables", normal(("z", (B, D)), ("log_det", (B,))), lambda z, log_det: (z**2 + mpmath.log(2 * mpmath.pi)).sum(axis=1) / 2 - log_det),
    Row("energy", "contrastive_divergence", normal(("e_data", (B,)), ("e_model", (B,))), lambda e_data, e_model: e_data - e_model),
    Row("energy", "energy_penalty", normal(("e", (B,))), lambda e: e**2),
    Row("energy", "score_matching", normal(("score", (B, D)), ("divergence", (B,))), lambda score, divergence: (score**2).sum(axis=1) / 2 + divergence),
    Row("energy", "sliced_score_matching", normal(("score", (B, D)), ("slope", (B,))), lambda score, slope: (score**2).sum(axis=1) / 2 + slope),
    Row("energy", "denoising_score_matching", lambda g, s: normal(("score", (B, D)), ("noise", (B, D)))(g, s) | {"sigma": 0.5}, lambda score, noise, sigma: sigma**2 * ((score + noise / sigma) ** 2).sum(axis=1) / D),
    Row("energy", "noise_contrastive", normal(("log_ratio_data", (B,)), ("log_ratio_noise", (B,))), lambda log_ratio_data, log_ratio_noise: softplus(-log_ratio_data) + softplus(log_ratio_noise)),
    Row("energy", "energy_discrepancy", normal(("e_data", (B,)), ("e_noised", (B, D))), lambda e_data, e_noised: log((1 + exp(e_data[:, None] - e_noised).sum(axis=1)) / D)),
    Row("energy", "importance_likelihood", normal(("e_data", (B,)), ("e_proposal", (K,)), ("log_q", (K,))), lambda e_data, e_proposal, log_q: e_data + log(exp(-e_proposal - log_q).sum() / K)),
    Row("diffusion", "squared_error", normal(("a", (B, D)), ("b", (B, D))), lambda a, b: ((a - b) ** 2).sum(axis=1) / D),
    Row("diffusion", "flow_matching", normal(("u_hat", (B, D)), ("x0", (B, D)), ("x1", (B, D))), lambda u_hat, x0, x1: ((u_hat - (x1 - x0)) ** 2).sum(axis=1) / D),
    Row("diffusion", "normal_kl", lambda g, s: {"mean": torch.randn(B, D, generator=g), "var": torch.rand(B, D, generator=g) + 0.1, "mean_p": torch.randn(B, D, generator=g), "var_p": torch.rand(B, D, generator=g) + 0.1}, lambda mean, var, mean_p, var_p: ((log(var_p / var) + (var + (mean - mean_p) ** 2) / var_p - 1) / 2).sum(axis=1), (1.0,)),
    Row("diffusion", "normal_nll", lambda g, s: {"x": torch.randn(B, D, generator=g), "mean": torch.randn(B, D, generator=g), "var": torch.rand(B, D, generator=g) + 0.1}, lambda x, mean, var: ((log(2 * mpmath.pi * var) + (x - mean) ** 2 / var) / 2).sum(axis=1), (1.0,)),
    Row("classification", "binary_cross_entropy", lambda g, s: {"p": torch.rand(B, generator=g), "target": torch.randint(0, 2, (B,), generator=g).float()}, lambda p, target: -target * log(p) - (1 - target) * log(1 - p), (1.0,)),
    Row("classification", "binary_cross_entropy_with_logits", binary, lambda z, target: softplus(z) - target * z),
    Row("classification", "cross_entropy", logits, cross_entropy, options=({}, {"smoothing": 0.1})),
    Row("classification", "categorical_cross_entropy", lambda g, s: {"p": law(g), "target": torch.randint(0, K, (B,), generator=g)}, lambda p, target: -log(at(p, target)), (1.0,)),
    Row("classification", "focal", binary, focal, options=({}, {"gamma": 5.0})),
    Row("classification", "focal_multiclass", logits, lambda z, target: -((1 - true(z, target)) ** 2) * log(true(z, target))),
    Row("classification", "poly1", logits, lambda z, target: -log(true(z, target)) + 1 - true(z, target)),
    Row("classification", "multi_margin", logits, multi_margin, options=({}, {"p": 2})),
    Row("classification", "squared_hinge", binary, lambda z, target: positive(1 - (2 * target - 1) * z) ** 2),
    Row("classification", "squared_one_hot", logits, lambda z, target: ((z - np.eye(K)[target]) ** 2).sum(axis=1) / K),
    Row("noisy_labels", "generalised_cross_entropy", logits, lambda z, target, q=0.7: (1 - true(z, target) ** mpmath.mpf(q)) / mpmath.mpf(q)),
    Row("noisy_labels", "mean_absolute", logits, lambda z, target: 2 * (1 - true(z, target))),
    Row("noisy_labels", "reverse_cross_entropy", logits, lambda z, target: 4 * (1 - true(z, target))),
    Row("noisy_labels", "symmetric_cross_entropy", logits, lambda z, target: -mpmath.mpf(0.1) * log(true(z, target)) + 4 * (1 - true(z, target))),
    Row("noisy_labels", "normalised_cross_entropy", logits, lambda z, target: at(log_soft(z), target) / log_soft(z).sum(axis=1)),
    Row("noisy_labels", "normalised_reverse", logits, lambda z, target: at(log_soft(z), target) / log_soft(z).sum(axis=1) + 4 * (1 - true(z, target))),
    Row("long_tail", "balanced_softmax", with_counts, lambda z, target, counts: -log(at(exp(z - z.max()) * counts, target) / (exp(z - z.max()) * counts).sum(axis=1))),
    Row("long_tail", "logit_adjustment", with_prior, lambda z, target, prior: cross_entropy(z + log(prior), target)),
    Row("long_tail", "ldam", with_counts, ldam),
    Row("multi_label", "asymmetric", labels, asymmetric),
    Row("multi_label", "zlpr", labels, zlpr),
    Row("ordinal", "corn", lambda g, s: normal(("z", (B, K - 1)))(g, s) | {"target": torch.randint(0, K, (B,), generator=g)}, corn),
    Row("contrastive", "info_nce", tempered, info_nce, (1.0,)),
    Row("contrastive", "info_nce_one_way", tempered, lambda a, b, temperature: -np.diag(log_soft(unit(a) @ unit(b).T / temperature)), (1.0,)),
    Row("contrastive", "nt_xent", tempered, lambda a, b, temperature: among_views(a, b, temperature, False), (1.0,)),
    Row("contrastive", "decoupled_info_nce", tempered, lambda a, b, temperature: among_views(a, b, temperature, True), (1.0,)),
    Row("contrastive", "sup_con", lambda g, s: labelled(g, 1.0) | {"temperature": 0.5}, sup_con, (1.0,)),
    Row("contrastive", "siglip", lambda g, s: embeddings(g, s) | {"scale": 10.0, "bias": -2.0}, siglip, (1.0,)),
    Row("streaming", "streaming_info_nce", tempered, lambda a, b, temperature, tile=None: info_nce(a, b, temperature), (1.0,), ({}, {"tile": 4})),
    Row("streaming", "streaming_siglip", lambda g, s: embeddings(g, s) | {"scale": 10.0, "bias": -2.0}, lambda a, b, scale, bias, tile=None: siglip(a, b, scale, bias), (1.0,), ({}, {"tile": 4})),
    Row("metric_learning", "pair_contrastive", with_target, lambda a, b, target: target * ((a - b) ** 2).sum(axis=1) / 2 + (1 - target) * positive(1 - root(((a - b) ** 2).sum(axis=1))) ** 2 / 2),
    Row("metric_learning", "triplet", normal(("anchor", (B, D)), ("positive", (B, D)), ("negative", (B, D))), lambda anchor, positive, negative: clipped(root(((anchor - positive) ** 2).sum(axis=1)) - root(((anchor - negative) ** 2).sum(axis=1)) + 1)),
    Row("metric_learning", "batch_hard_triplet", labelled, hard),
    Row("metric_learning", "semi_hard_triplet", labelled, semi_hard),
    Row("redundancy", "vicreg", embeddings, vicreg),
    Row("redundancy", "barlow_twins", embeddings, barlow_twins, (1.0, 10.0)),
    Row("redundancy", "alignment", embeddings, lambda a, b: ((unit(a) - unit(b)) ** 2).sum(axis=1)),
    Row("redundancy", "uniformity", normal(("z", (B, D))), uniformity),
    Row("contrastive", "cosine_bce", with_target, lambda a, b, target: softplus(cosines(a, b)) - target * cosines(a, b)),
    Row("divergence", "information_content", one_law, lambda p: -log(p), (1.0,)),
    Row("divergence", "entropy", one_law, lambda p: -(p * log(p)).sum(axis=1), (1.0,)),
    Row("divergence", "cross_entropy_of", laws, lambda p, q: -(p * log(q)).sum(axis=1), (1.0,)),
    Row("divergence", "kl", laws, lambda p, q: (p * log(p / q)).sum(axis=1), (1.0,)),
    Row("divergence", "js", laws, lambda p, q: (p * log(2 * p / (p + q)) + q * log(2 * q / (p + q))).sum(axis=1) / 2, (1.0,)),
    Row("divergence", "total_variation", laws, lambda p, q: absolute(p - q).sum(axis=1) / 2, (1.0,)),
    Row("divergence", "chi_squared", laws, lambda p, q: ((p - q) ** 2 / q).sum(axis=1), (1.0,)),
    Row("divergence", "kl_of_densities", log_laws, lambda log_p, log_q: log_p - log_q),
    Row("divergence", "reverse_kl_of_densities", log_laws, lambda log_p, log_q: exp(log_q - log_p) * (log_q - log_p) - exp(log_q - log_p) + 1, (1.0,)),
    Row("divergence", "gaussian_entropy", lambda g, s: spread(g, "cov"), gaussian_entropy, (1.0,)),
    Row("divergence", "gaussian_kl", lambda g, s: spread(g, "mean", "cov", "mean_q", "cov_q"), gaussian_kl, (1.0,)),
    Row("divergence", "energy_distance", normal(("x", (B, D)), ("y", (B, D))), lambda x, y: -u_statistic(root, x, y), (1.0, 10.0)),
    Row("divergence", "mmd", lambda g, s: normal(("x", (B, D)), ("y", (B, D)))(g, s) | {"widths": (0.5, 2.0)}, lambda x, y, widths: u_statistic(lambda s: (exp(-2 * s) + exp(-s / 8)) / 2, x, y), (1.0,)),
    Row("transport", "wasserstein_1d", normal(("x", (B,)), ("y", (B,))), sorted_gap, options=({}, {"p": 2})),
    Row("transport", "earth_movers", normal(("x", (5, D)), ("y", (5, D))), assigned),
    Row("transport", "sliced_wasserstein", lambda g, s: normal(("x", (B, D)), ("y", (B, D)))(g, s) | {"directions": torch.eye(D)}, sliced),
    Row("transport", "gaussian_w2", lambda g, s: spread(g, "mean", "cov", "mean_q", "cov_q"), gaussian_w2, (1.0,)),
)  # fmt: skip
OTHERWISE = {  # losses whose formula is no array expression: their own tests hold them to closed forms and other libraries
    "redundancy.vicreg_parts", "redundancy.barlow_parts",  # the terms of vicreg and barlow_twins
    "diffusion.bound_term", "diffusion.prior_kl", "divergence.chi_squared_of_densities", "divergence.js_of_densities",
    "divergence.total_variation_of_densities", "sinkhorn.sinkhorn_divergence", "transport.dual",
}  # fmt: skip


def function(row: Row) -> Callable[..., Tensor]:
    return getattr(import_module(f"whichloss.losses.{row.family}"), row.name)


def typed(value: Any, kind: torch.dtype) -> Any:
    return value.to(kind) if isinstance(value, Tensor) and value.is_floating_point() else value


def exact(value: Any) -> Any:
    """A tensor as an array of mpmath numbers, without rounding; whole numbers stay an index."""
    if isinstance(value, Tensor):
        found = value.double().numpy() if value.is_floating_point() else value.numpy()
        return np.vectorize(mpmath.mpf, otypes=[object])(found) if value.is_floating_point() else found
    return mpmath.mpf(value) if isinstance(value, float) else value


def errors(row: Row, kind: torch.dtype, draws: int) -> Iterator[float]:
    """The worst relative error at each scale, with each option; infinite where a value or a gradient is not finite."""
    for scale in row.scales:
        for option in row.options:
            pairs = [one(row, kind, seed, scale, option) for seed in range(draws)]
            ours, truth = (np.concatenate(side) for side in zip(*pairs, strict=True))
            usual = max(np.median(absolute(truth)), mpmath.mpf(torch.finfo(kind).eps))
            yield float(np.max(absolute(ours - truth) / np.maximum(absolute(truth), usual)))


def one(row: Row, kind: torch.dtype, seed: int, scale: float, option: dict[str, Any]) -> tuple[Any, Any]:
    """The values of the loss and of its formula on one draw."""
    inputs = {k: typed(v, kind) for k, v in row.draw(torch.Generator().manual_seed(seed), scale).items()}
    moving = [v.requires_grad_() for k, v in inputs.items() if isinstance(v, Tensor) and k in differentiable(row)]
    value = called(row, inputs, option)
    slopes = torch.autograd.grad(value.sum(), moving)
    finite = all(s.isfinite().all() for s in (value, *slopes))
    truth = row.formula(**{k: exact(v.detach() if isinstance(v, Tensor) else v) for k, v in inputs.items()}, **option)
    ours = exact(value.detach()).reshape(-1) if finite else np.full(value.numel(), mpmath.inf)
    return ours, np.asarray(truth, dtype=object).reshape(-1)


def called(row: Row, inputs: dict[str, Any], option: dict[str, Any]) -> Tensor:
    """The loss; covariances stay symmetric when their entries move alone; a plan beside the value is left."""
    inputs = {k: (v + v.mT) / 2 if k.startswith("cov") else v for k, v in inputs.items()}
    found = function(row)(**inputs, **option)
    return found[0] if isinstance(found, tuple) else found


def differentiable(row: Row) -> set[str]:
    """The arguments through which a loss is differentiated: all real ones but labels and counts."""
    return set(row.draw(torch.Generator().manual_seed(0), 1.0)) - {
        "target",
        "counts",
        "prior",
        "labels",
        "widths",
        "margin",
        "directions",
    }


def gradients_agree(row: Row) -> bool:
    """gradcheck in float64 at inputs of unit scale, every option."""
    inputs = {k: typed(v, torch.float64) for k, v in row.draw(torch.Generator().manual_seed(3), 1.0).items()}
    names = [k for k, v in inputs.items() if isinstance(v, Tensor) and k in differentiable(row)]
    held = {k: v for k, v in inputs.items() if k not in names}

    def loss(option: dict[str, Any], *values: Tensor) -> Tensor:
        return called(row, dict(zip(names, values, strict=True)) | held, option)

    values = [inputs[name].requires_grad_() for name in names]
    return all(torch.autograd.gradcheck(partial(loss, option), values) for option in row.options)


def line(row: Row, draws: int) -> dict[str, Any]:
    single, double = (max(errors(row, kind, draws)) for kind in (torch.float32, torch.float64))
    return {
        "loss": f"{row.family}.{row.name}", "largest input": f"{max(row.scales):g}", "float32": f"{single:.1e}",
        "float64": f"{double:.1e}", "gradcheck": "passed" if gradients_agree(row) else "FAILED",
    }  # fmt: skip


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--draws", type=int, default=20)
    given = options.parse_args()
    rows = [line(row, given.draws) for row in ALL]
    table(rows)
    keep(given.out, "losses", {"rows": rows})
    print(f"not in this table, tested otherwise: {', '.join(sorted(OTHERWISE))}")


if __name__ == "__main__":
    main()

"""Where the losses of embeddings stand still: at collapse, and on data with duplicates. Numbers, not tensors.

Collapse: all embeddings are equal, the model tells nothing apart; a loss that stays at that number has learnt nothing.
A duplicate is punished as a wrong answer, so that no model comes below the floor of its batch: `counts` holds how often
each different row (caption, label) occurs in it, 1 for most.
"""

import math
from collections.abc import Callable, Sequence

from ..errors import UserError


def collapse_of_info_nce(n: int) -> float:
    """log N of `info_nce` and `info_nce_one_way`, at any temperature: 4.159 for 64 pairs, 4.852 for 128."""
    return math.log(n)


def collapse_of_nt_xent(n: int) -> float:
    """log(2 N - 1) of `nt_xent` for N pairs, at any temperature."""
    return math.log(2 * n - 1)


def collapse_of_decoupled_info_nce(n: int) -> float:
    """log(2 N - 2) of `decoupled_info_nce` for N pairs, at any temperature."""
    return math.log(2 * n - 2)


def collapse_of_sup_con(n: int) -> float:
    """log(N - 1) of `sup_con` for N rows, whatever their labels; rows of two views are 2 N: log(2 N - 1)."""
    return math.log(n - 1)


def collapse_of_siglip(n: int, scale: float, bias: float) -> float:
    """log(1 + e^-l) + (N - 1) log(1 + e^l), l = scale + bias, of `siglip`."""
    return _softplus(-scale - bias) + (n - 1) * _softplus(scale + bias)


def collapse_of_cosine_bce(positives: float = 0.5, scale: float = 1.0, bias: float = 0.0) -> float:
    """p log(1 + e^-l) + (1 - p) log(1 + e^l), l = scale + bias, of `cosine_bce` with a share p of positives: .8133."""
    return positives * _softplus(-scale - bias) + (1 - positives) * _softplus(scale + bias)


def collapse_of_pair_contrastive(positives: float = 0.5, margin: float = 1.0) -> float:
    """(1 - p) m^2 / 2 of `pair_contrastive` with a share p of positives."""
    return (1 - positives) * margin**2 / 2


def collapse_of_triplet(margin: float | None = 1.0) -> float:
    """m of the triplet losses, mined or not; log 2 of the soft margin."""
    return math.log(2) if margin is None else margin


def collapse_of_vicreg(variance: float = 25.0, gamma: float = 1.0, eps: float = 1e-4) -> float:
    """variance (gamma - sqrt(eps)) of `vicreg`: 24.75. Its covariance is 0 there, which is no good sign."""
    return variance * max(0.0, gamma - math.sqrt(eps))


def collapse_of_barlow_twins(d: int) -> float:
    """d, the number of columns, of `barlow_twins`: no column correlates with anything."""
    return float(d)


def floor_of_info_nce(counts: Sequence[int]) -> float:
    """1 / N sum k log k of `info_nce` and `info_nce_one_way`: among k equal answers only a guess is left."""
    return _mean(counts, math.log)


def floor_of_nt_xent(counts: Sequence[int]) -> float:
    """1 / N sum k log(2 k - 1) of `nt_xent`, counts of equal pairs: 2 k - 1 others are equal, one is right."""
    return _mean(counts, lambda k: math.log(2 * k - 1))


def floor_of_sup_con(counts: Sequence[int]) -> float:
    """1 / N sum k log(k - 1) of `sup_con`, counts of labels: the k - 1 positives share one softmax. 0 where k = 1."""
    return _mean(counts, lambda k: math.log(max(1, k - 1)))


def floor_of_siglip(counts: Sequence[int]) -> float:
    """1 / N sum k (log k + (k - 1) log(k / (k - 1))) of `siglip`: k H(1 / k), one right answer among k equal ones."""
    return _mean(counts, lambda k: math.log(k) + (k - 1) * math.log(k / max(1, k - 1)))


def least_of_info_nce(n: int, temperature: float) -> float:
    """log(1 + (N - 1) e^(-N / ((N - 1) T))) of `info_nce`: right pairs equal, at the corners of a simplex.

    No embedding comes lower, for cosines are bounded; it needs N - 1 dimensions.
    """
    return math.log1p((n - 1) * math.exp(-n / ((n - 1) * temperature)))


def least_of_sup_con(counts: Sequence[int], temperature: float) -> float:
    """The least of `sup_con` over rows with others of their label, counts of labels; `nt_xent` of N pairs: [2] * N.

        min over a of sum k_c log(k_c - 1 + (N - k_c) e^((a_c - 1) / T)) / sum k_c,  sum k_c (N - k_c) a_c = -sum k_c^2

    Rows of a label in one place, the others at a mean cosine of a_c: by Jensen's inequality no embeddings come lower,
    since |sum z|^2 >= 0. With equal counts: a = -1 / (C - 1), the corners of a simplex (Graf et al., 2021).
    """
    n, kinds = sum(counts), [k for k in counts if k > 1]
    if not kinds or len(counts) < 2:
        return _mean(kinds, lambda k: math.log(k - 1)) if kinds else 0.0
    own = sum(k * k for k in counts)

    def cosine(k: int, weight: float) -> float:
        """Where the softmax share of the others is weight (N - k). A row without a partner costs nothing anywhere, so
        it leaves room to the others."""
        share = weight * (n - k)
        if k == 1 or share >= 1:
            return 1.0
        return min(1.0, max(-1.0, 1 + temperature * math.log(share * (k - 1) / ((n - k) * (1 - share)))))

    low, high = -60.0, 0.0  # logarithm of the weight
    for _ in range(200):
        middle = (low + high) / 2
        reached = sum(k * (n - k) * cosine(k, math.exp(middle)) for k in counts)
        low, high = (middle, high) if reached < -own else (low, middle)
    at = {k: math.exp((cosine(k, math.exp(high)) - 1) / temperature) for k in set(kinds)}
    return _mean(kinds, lambda k: math.log(k - 1 + (n - k) * at[k]))


def _mean(counts: Sequence[int], floor: Callable[[int], float]) -> float:
    """The mean over rows of the floor of each row's group."""
    if not counts or any(k < 1 or k != int(k) for k in counts):
        raise UserError(f"levels: 'counts' must be whole numbers of 1 or more, one per different row; got {counts}.")
    return sum(k * floor(k) for k in counts) / sum(counts)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))

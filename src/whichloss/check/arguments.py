"""The arguments that losses take: what people call them, and how to draw one."""

import torch
from torch import Tensor

from .claim import Argument, Option, Size, Source
from .networks import Autoencoder, Critic, Denoiser, Generator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REAL = _words("real data true x xr dx pos positive target1 dreal xreal dr")
FAKE = _words("fake gen generated g gz neg negative dfake xfake dg df dgz samples recons synthetic imgs")
CRITIC = _words("d disc discriminator critic net netd netcritic f model dis energy ae autoencoder")


def scores(role: str, words: frozenset[str] | str, says: str = "") -> Argument:
    """Raw scores of a critic, (B,)."""
    named = words if isinstance(words, frozenset) else _words(words)
    return Argument(
        role, named, lambda n, s: 2 * s.real((n.batch,)), says or "scores (B,)", layouts=("", "column"), logit=True
    )


def energies(role: str, words: frozenset[str] | str) -> Argument:
    """Energies of an autoencoder, (B,) and >= 0."""
    named = words if isinstance(words, frozenset) else _words(words)
    # from 0 to some 50, so that they lie on both sides of the margins in use
    draw = lambda n, s: s.real((n.batch,)).abs() * (1 + 19 * s.unit((n.batch,)))
    return Argument(role, named, draw, "energies (B,)", layouts=("", "column"))


def rows(
    role: str, words: frozenset[str] | str, says: str = "rows (B, d)", *, learns: bool = True, images: bool = False
) -> Argument:
    """Rows of numbers, (B, d)."""
    named = words if isinstance(words, frozenset) else _words(words)
    layouts = ("", "image") if images else ("",)
    return Argument(role, named, lambda n, s: s.real((n.batch, n.width)), says, learns, layouts)


def directions(role: str, words: str, says: str) -> Argument:
    """Embeddings (B, d), none of them 0: only their directions count."""

    def draw(n: Size, s: Source) -> Tensor:
        x = s.real((n.batch, n.width))
        x[(x == 0).all(dim=1), 0] = 1.0
        return x

    return Argument(role, _words(words), draw, says)


def positive(role: str, words: str, *, columns: bool = False) -> Argument:
    """Positive numbers, (B,) or (B, d)."""
    draw = lambda n, s: 0.2 + 2 * s.unit((n.batch, n.width) if columns else (n.batch,))
    return Argument(role, _words(words), draw, "positive numbers")


def binary(role: str = "target", words: str = "target targets label labels y t true gt") -> Argument:
    """Labels 0 or 1, (B,)."""
    draw = lambda n, s: s.integers((n.batch,), 2).double()
    return Argument(role, _words(words), draw, "labels 0 or 1 (B,)", learns=False, layouts=("", "column", "long"))


def index(role: str = "target", words: str = "target targets label labels y t true gt classes") -> Argument:
    """A class number per row, (B,)."""
    draw = lambda n, s: s.integers((n.batch,), n.classes)
    return Argument(role, _words(words), draw, "class numbers (B,)", learns=False, layouts=("", "one-hot"))


def logits(
    role: str = "z", words: str = "z logits logit pred preds output outputs input inputs scores x s yhat"
) -> Argument:
    """One logit per class, (B, K)."""
    return Argument(role, _words(words), lambda n, s: 2 * s.real((n.batch, n.classes)), "logits (B, K)", logit=True)


def logit(
    role: str = "z", words: str = "z logits logit pred preds output outputs input inputs scores x s yhat"
) -> Argument:
    """One logit per row, (B,)."""
    draw = lambda n, s: 2 * s.real((n.batch,))
    return Argument(role, _words(words), draw, "logits (B,)", layouts=("", "column"), logit=True)


def probability(
    role: str = "p", words: str = "p prob probs probability pred preds output outputs input yhat"
) -> Argument:
    """One probability per row, (B,)."""
    return Argument(role, _words(words), lambda n, s: s.unit((n.batch,)), "probabilities (B,)", layouts=("", "column"))


def law(role: str, words: str, *, one: bool = False, learns: bool = True) -> Argument:
    """A discrete law over the K classes: one per row (B, K), or one for all (K,)."""

    def draw(n: Size, s: Source) -> Tensor:
        weight = 0.1 + s.unit((n.classes,) if one else (n.batch, n.classes))
        return weight / weight.sum(dim=-1, keepdim=True)

    return Argument(role, _words(words), draw, "a law (K,)" if one else "laws (B, K)", learns, per_row=not one)


def labels(role: str = "target", words: str = "target targets label labels y t true gt") -> Argument:
    """Any number of labels per row, 0 or 1, (B, K)."""
    draw = lambda n, s: s.integers((n.batch, n.classes), 2).double()
    return Argument(role, _words(words), draw, "labels 0 or 1 (B, K)", learns=False, layouts=("", "long"))


def ranks(role: str = "target", words: str = "target targets label labels y t true gt") -> Argument:
    """An ordered class 0 .. K per row, where the logits have K columns, (B,)."""
    draw = lambda n, s: s.integers((n.batch,), n.classes + 1)
    return Argument(role, _words(words), draw, "ordered classes (B,)", learns=False)


def points(role: str, words: str, *, line: bool = False) -> Argument:
    """A set of points, (n, d), or numbers (n,)."""
    draw = lambda n, s: s.real((n.batch,) if line else (n.batch, n.width))
    return Argument(
        role,
        _words(words),
        draw,
        "numbers (n,)" if line else "points (n, d)",
        layouts=("", "column") if line else ("",),
    )


def covariance(role: str, words: str) -> Argument:
    """A positive definite matrix, (d, d)."""

    def draw(n: Size, s: Source) -> Tensor:
        a = s.real((n.width, n.width))
        return a @ a.T + torch.eye(n.width, dtype=a.dtype)

    return Argument(role, _words(words), draw, "a covariance (d, d)", per_row=False, free=False)


def vector(role: str, words: str) -> Argument:
    """One vector, (d,)."""
    return Argument(role, _words(words), lambda n, s: s.real((n.width,)), "a vector (d,)", per_row=False)


def counts(role: str = "counts", words: str = "counts count n samples per class num cls freq frequency") -> Argument:
    """How many examples each class has, (K,)."""
    draw = lambda n, s: (1 + s.integers((n.classes,), 50)).double()
    return Argument(role, _words(words), draw, "counts (K,)", learns=False, per_row=False)


def critic(role: str = "D", words: frozenset[str] = CRITIC) -> Argument:
    """A scalar network with a known gradient."""
    return Argument(role, words, Critic.draw, "a network (B, d) -> (B, 1)", layouts=("column", "flat"), network=True)


def autoencoder(role: str = "D", words: frozenset[str] = CRITIC) -> Argument:
    """A linear autoencoder."""
    return Argument(role, words, Autoencoder.draw, "a linear autoencoder", layouts=("plain", "pair"), network=True)


def generator(role: str = "G") -> Argument:
    """A linear generator."""
    return Argument(role, _words("g gen generator netg net"), Generator.draw, "a linear generator", network=True)


def denoiser(role: str = "model") -> Argument:
    """A linear network of (x_t, t)."""
    words = _words("model net network unet denoiser eps_model epsmodel f v u field velocity s score d")
    return Argument(role, words, Denoiser.draw, "a network (x_t, t) -> (B, d)", network=True)


def noise(role: str = "z") -> Argument:
    """Latent noise, (B, d)."""
    return rows(role, "z noise latent latents eps", "noise (B, d)", learns=False)


def number(role: str, words: str, default: float, tried: tuple[float, ...], none: float | None = None) -> Option:
    """A number of the formula."""
    return Option(role, _words(words), default, tried, none)


def one_hot(target: Tensor, classes: int) -> Tensor:
    """Class numbers as float64 indicator rows."""
    return torch.nn.functional.one_hot(target.long(), classes).double()

"""Losses of the energy-based GAN: the pull-away term in all its copies, and energies with their gradient cut."""

from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from ..arguments import FAKE, REAL, autoencoder, directions, energies, generator, noise, number, rows
from ..claim import Argument, Claim, Form, Formula, Variant
from ..invariance import scaled
from ..networks import Autoencoder
from ._logits import within

CODES = directions(
    "codes", "codes code embeddings embedding emb embed s features feats hidden h z latent latents x", "codes (B, s)"
)
Codes = Callable[[Tensor], Tensor]
ROWS, SQUARED = "each row's L2 norm", "squared"
NORMS: dict[str, Codes] = {
    ROWS: lambda s: normalize(s, dim=1),
    "one L1 norm of the whole batch (torch.norm(codes, 1))": lambda s: s / s.abs().sum(),
    "one L2 norm of the whole batch": lambda s: s / s.norm(),
    "each row's L1 norm": lambda s: normalize(s, p=1, dim=1),
    "each column's L2 norm (the wrong axis)": lambda s: normalize(s, dim=0),
    "no norm at all": lambda s: s,
}
POWERS: dict[str, Codes] = {
    SQUARED: lambda c: c**2,
    "not squared": lambda c: c,
    "absolute instead of squared": lambda c: c.abs(),
}
WHY = {
    "one L1 norm of the whole batch (torch.norm(codes, 1))": (
        "The loss is then nearly a constant: it lies in [-1/(N-1), -1/N] whatever the codes, and its gradient is about "
        "1e-10 of the right one (N = 64), so it does nothing."
    ),
    "one L2 norm of the whole batch": (
        "The N rows share one unit of length, so cosines are N times too small and long codes count most."
    ),
    "each row's L1 norm": "A row then has an L2 length below 1 that depends on its direction: no cosines.",
    "each column's L2 norm (the wrong axis)": "Columns are normalised, not samples: the products are no cosines.",
    "no norm at all": "Making all codes short lowers the loss without spreading them.",
    "not squared": (
        "Without the square, opposite codes cancel parallel ones: the sum is about |sum of codes|^2, so a collapse "
        "onto two opposite points costs nothing."
    ),
    "absolute instead of squared": "The gradient no longer fades as codes become orthogonal.",
}
PULL_AWAY_FIX = "u = torch.nn.functional.normalize(codes, dim=1); ((u @ u.T) ** 2).sum(), minus N, over N (N - 1)."


def _pull_away(norm: str = ROWS, power: str = SQUARED, *, subtract_n: bool = False) -> Formula:
    """The term with one norm and one power; its diagonal left out, or N subtracted for it."""

    def formula(codes: Tensor) -> Tensor:
        n, u = len(codes), NORMS[norm](codes)
        powers = POWERS[power](u @ u.T)
        return (powers.sum(dim=1) - (1 if subtract_n else powers.diagonal())) / (n - 1)

    return formula


def _wrong_norms_and_powers() -> Iterator[Variant]:
    for norm, power, subtract_n in product(NORMS, POWERS, (True, False)):
        if norm == ROWS and (power == SQUARED or subtract_n):  # the formula itself, or the same twice
            continue
        divides = "does not normalise the codes" if norm == "no norm at all" else f"divides by {norm}, not {ROWS}"
        name = " and ".join([divides] * (norm != ROWS) + [f"cosines {power}"] * (power != SQUARED))
        why = " ".join(WHY[key] for key in (norm, power) if key in WHY)
        yield Variant(name, _pull_away(norm, power, subtract_n=subtract_n), why, PULL_AWAY_FIX)


def _pairs_counted(divide: Callable[[int], int]) -> Formula:
    """Squared cosines of all pairs, those of a row with itself among them."""

    def formula(codes: Tensor) -> Tensor:
        u = normalize(codes, dim=1)
        return ((u @ u.T) ** 2).sum(dim=1) * len(codes) / divide(len(codes))

    return formula


PULL_AWAY = Form(
    (CODES,),
    {"mean over i != j of cos^2(S_i, S_j)": _pull_away()},
    least=2,
    per_sample=False,
    invariances=(scaled("codes"),),
    variants=(
        *_wrong_norms_and_powers(),
        Variant(
            "the diagonal is averaged too",
            _pairs_counted(lambda n: n * n),
            "The N cosines of a code with itself are 1: the loss is (1 + (N - 1) PT) / N, so its weight depends "
            "on the batch size.",
            "Subtract N from the sum and divide by N (N - 1).",
        ),
        Variant(
            "the diagonal is not subtracted",
            _pairs_counted(lambda n: n * (n - 1)),
            "The gradient is right; the value is too high by 1 / (N - 1).",
            "Subtract N from the sum.",
            fault=False,
        ),
        Variant(
            "the sum over pairs, not divided by N (N - 1)",
            lambda codes: _pull_away()(codes) * len(codes) * (len(codes) - 1),
            "Its weight beside the other terms grows with the square of the batch size.",
            "Divide by N (N - 1).",
        ),
    ),
)

X = rows("fake", FAKE | {"x"}, "rows of the generator (B, d)")
BUILT = Argument(
    "x_hat",
    frozenset(["recon", "reconstruction", "reconstructed", "rec", "xhat", "decoded", "out", "output", "dfake"]),
    X.draw,
    "their reconstruction (B, d)",
)
NORM_FIX = "Use ((D(x) - x) ** 2).mean(dim=1) per sample."


def _energy(x: Tensor, x_hat: Tensor) -> Tensor:
    return ((x_hat - x) ** 2).flatten(1).mean(dim=1)


def _cut(x: Tensor, x_hat: Tensor) -> Tensor:
    return _energy(x.detach(), x_hat)


DETACHED_WHY = (
    "The value is right, so no loss curve shows it. The gradient of |R(x) - x|^2 is 2 (J - I)' r; without the -I "
    "half only 2 J' r is left, which never "
    "descends: it vanishes for a linear autoencoder that projects, and has the wrong sign for R(x) = .3 x."
)
DETACHED_FIX = "Take the .detach() off the target: mse_loss(D(fake), fake)."


Rebuilt = Callable[..., tuple[Tensor, Tensor]]  # a form's arguments -> (x, x_hat)


def _energy_variants(rebuilt: Rebuilt) -> tuple[Variant, ...]:
    """Wrong energies of the rows of a form."""

    def on(name: str, energy: Formula, why: str, fix: str, *, fault: bool = True) -> Variant:
        return Variant(name, lambda **given: energy(*rebuilt(**given)), why, fix, fault)

    return (
        on("the target of the reconstruction is detached", _cut, DETACHED_WHY, DETACHED_FIX),
        on(
            "the reconstruction is detached",
            lambda x, x_hat: _energy(x, x_hat.detach()),
            "The critic's half of the gradient is cut, so fakes are pulled onto their present reconstructions only.",
            "Take the .detach() off D(x).",
        ),
        on(
            "the norm instead of its square",
            lambda x, x_hat: (x_hat - x).flatten(1).norm(dim=1),
            "The paper writes a norm; its margin is in other units than that of a mean square, and the gradient has "
            "unit length however small the error.",
            NORM_FIX,
            fault=False,
        ),
        on(
            "one norm of the whole batch",
            lambda x, x_hat: (x_hat - x).norm(),
            "Samples are not independent: one far sample takes the gradient of all others.",
            NORM_FIX,
        ),
        on(
            "absolute errors instead of squares",
            lambda x, x_hat: (x_hat - x).abs().flatten(1).mean(dim=1),
            "Another energy: its gradient does not fade as the reconstruction improves.",
            NORM_FIX,
            fault=False,
        ),
        on(
            "the error of the batch mean",
            lambda x, x_hat: ((x_hat - x).mean(dim=0) ** 2).mean(),
            "Rows are averaged before they are squared: errors of opposite sign cancel.",
            NORM_FIX,
        ),
    )


def _from_tensors(fake: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
    return fake, x_hat


def _from_critic(D: Autoencoder, fake: Tensor) -> tuple[Tensor, Tensor]:
    return fake, D.rebuilt(fake)


def _from_both(D: Autoencoder, G: torch.nn.Module, z: Tensor) -> tuple[Tensor, Tensor]:
    fake = G(z)
    return fake, D.rebuilt(fake)


def _stale(D: Autoencoder, G: torch.nn.Module, z: Tensor) -> Tensor:
    fake = G(z).detach()
    return _energy(fake, D.rebuilt(fake))


def _energy_form(arguments: tuple[Argument, ...], rebuilt: Rebuilt, *more: Variant) -> Form:
    return Form(
        arguments,
        {"|D(G(z)) - G(z)|^2 / d": lambda **given: _energy(*rebuilt(**given))},
        variants=(*more, *_energy_variants(rebuilt)),
    )


D, G, Z = autoencoder(), generator(), noise()
STALE = Variant(
    "the fakes are detached",
    _stale,
    "No gradient reaches G at all: the generator does not learn from this loss.",
    "Use G(z) without .detach() in the generator's step.",
)
ENERGY_FORMS = (
    _energy_form((D, G, Z), _from_both, STALE),
    _energy_form((D, X), _from_critic),
    _energy_form((X, BUILT), _from_tensors),
)
E_REAL, E_FAKE = energies("real", REAL), energies("fake", FAKE)
MARGIN = number("margin", "margin m", 1.0, (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0))


ON_MEAN_WHY = (
    "One far sample lifts the mean above the margin and switches off the gradient of all others, which may still lie "
    "on the data."
)
ON_MEAN_FIX = "relu(margin - fake).mean(): hinge each sample, then average."


def _hidden(margin: float) -> float:
    """Margins that energies never reach are no hinge, so a margin hidden in the code is not looked for there."""
    return within(margin, 0, 200)


CRITIC_SCORES = Form(
    (E_REAL, E_FAKE),
    {
        "E(x)": lambda real, fake, margin: real,
        "[m - E(G(z))]+": lambda real, fake, margin: relu(_hidden(margin) - fake),
    },
    (MARGIN,),
    (
        Variant(
            "the hinge on the batch mean",
            lambda real, fake, margin: real + relu(_hidden(margin) - fake.mean()),
            ON_MEAN_WHY,
            ON_MEAN_FIX,
        ),
        Variant(
            "no hinge",
            lambda real, fake, margin: real - fake,
            "The energy of fakes is pushed up without end.",
            "Use relu(margin - fake).",
        ),
        Variant(
            "the hinge on the difference of the energies",
            lambda real, fake, margin: relu(_hidden(margin) + real - fake),
            "The margin is asked of pairs: nothing holds the energy of real rows at 0.",
            "real + relu(margin - fake).",
        ),
    ),
)


def _rows_critic(energy: Formula) -> Callable[..., tuple[Tensor, Tensor]]:
    return lambda D, real, fake: (energy(real, D.rebuilt(real)), energy(fake, D.rebuilt(fake)))


def _summed(x: Tensor, x_hat: Tensor) -> Tensor:
    return ((x_hat - x) ** 2).flatten(1).sum(dim=1)


def _rows_variant(name: str, formula: Callable[..., Tensor], why: str, fix: str, *, fault: bool = True) -> Variant:
    return Variant(
        name, lambda D, real, fake, margin: formula(*_rows_critic(_energy)(D, real, fake), margin), why, fix, fault
    )


def _hinged(real: Tensor, fake: Tensor, margin: float) -> Tensor:
    return real + relu(margin - fake)


CRITIC_ROWS = Form(
    (D, rows("real", REAL, "real rows (B, d)", learns=False), rows("fake", FAKE, "fakes (B, d)", learns=False)),
    {
        "E(x)": lambda D, real, fake, margin: _energy(real, D.rebuilt(real)),
        "[m - E(G(z))]+": lambda D, real, fake, margin: relu(_hidden(margin) - _energy(fake, D.rebuilt(fake))),
    },
    (MARGIN,),
    (
        _rows_variant(
            "the hinge on the batch mean",
            lambda real, fake, margin: real + relu(_hidden(margin) - fake.mean()),
            ON_MEAN_WHY,
            ON_MEAN_FIX,
        ),
        _rows_variant(
            "no hinge", lambda real, fake, margin: real - fake, "Fakes are pushed up without end.", ON_MEAN_FIX
        ),
        Variant(
            "energies summed over pixels, the margin in those units",
            lambda D, real, fake, margin: _hinged(*_rows_critic(_summed)(D, real, fake), _hidden(margin)),
            "The margin of a mean square is d times too small for a sum: fakes leave the hinge at once and D stops "
            "learning from them.",
            "Take the mean over pixels, or a margin d times as large.",
            fault=False,
        ),
        Variant(
            "the hinge on every pixel",
            lambda D, real, fake, margin: (
                _energy(real, D.rebuilt(real)) + relu(_hidden(margin) - (D.rebuilt(fake) - fake) ** 2).mean(dim=1)
            ),
            "Pixels that are rebuilt badly are switched off one by one; the margin is meant for the sample's energy.",
            ON_MEAN_FIX,
        ),
    ),
)

CLAIMS = (
    Claim(
        "pull-away",
        "1 / (N (N - 1)) sum over i != j of (S_i . S_j / (|S_i| |S_j|))^2",
        (PULL_AWAY,),
        ("pull-away-term", "pt", "ebgan-pull-away", "repelling-regularizer"),
        "pull-away",
        ("ebgan.pull_away",),
        fragile=False,
    ),
    Claim(
        "ebgan-critic",
        "E(x) + [m - E(G(z))]+, per sample",
        (
            CRITIC_SCORES,
            CRITIC_ROWS,
        ),
        ("ebgan-discriminator", "energy-critic"),
        "ebgan-losses",
        ("ebgan.energy_critic",),
    ),
    Claim(
        "ebgan-generator",
        "E(G(z)) = |D(G(z)) - G(z)|^2 / d, with the gradient through both D(G(z)) and G(z)",
        (*ENERGY_FORMS, Form((E_FAKE,), {"E(G(z))": lambda fake: fake})),
        ("energy-generator",),
        "ebgan-losses",
        ("ebgan.energy_generator",),
    ),
    Claim(
        "reconstruction-energy",
        "E(x) = |D(x) - x|^2 / d, per sample",
        (ENERGY_FORMS[2], ENERGY_FORMS[1]),
        ("ebgan-energy", "autoencoder-energy"),
        "ebgan-losses",
        ("ebgan.reconstruction_energy",),
    ),
)

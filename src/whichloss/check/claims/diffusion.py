"""Diffusion and flow matching: squared errors of a network, and the bound.

A function `loss(model, x0)` draws its times and noise inside. The network notes x_t. Asked again with its answer
replaced by 0 and by 1, the slope of the loss shows what it is compared with, since a squared error's slope is linear.
So value and gradient are compared exactly, and x_t, x0 and the target tell the path, the prediction and the noise.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ...losses import diffusion as q
from ..arguments import denoiser, number, rows
from ..claim import Argument, Claim, Form, Inputs, Size, Source, Variant
from ..networks import Denoiser
from ..record import Broken
from ._logits import within
from .divergence import TO_STANDARD

MODEL = denoiser()
X0 = rows(
    "x0",
    "x0 x xstart x_start data real batch images img imgs inputs start x1",
    "rows of the data (B, d)",
    learns=False,
    images=True,
)
STEPS = 100
T = Argument(
    "t",
    frozenset(["t", "time", "times", "timestep", "timesteps", "ts", "step"]),
    lambda n, s: s.integers((n.batch,), STEPS),
    "times 0 .. 99 (B,)",
    learns=False,
)
EPS = rows("eps", "eps noise epsilon n z e", "noise (B, d)", learns=False, images=True)
TABLE = torch.tensor(q.linear_schedule(STEPS)[1:], dtype=torch.float64)
ABAR = Argument(
    "abar",
    frozenset(["abar", "alphabar", "alphasbar", "alphascumprod", "alphas", "cumprod", "acp", "schedule"]),
    lambda n, s: TABLE.clone(),
    "the table of abar (100,)",
    learns=False,
    per_row=False,
)


def reveal(call: Callable[[Inputs], Tensor], own: Inputs) -> None:
    """Find the target, where the slope by the network's answer is 0: on a line for a squared error, else by halving."""
    at_level = partial(_slope, call, own)
    x0, model = own["x0"], own["model"]
    assert isinstance(x0, Tensor) and isinstance(model, Denoiser)
    low, high = torch.full_like(x0, -WIDE), torch.full_like(x0, WIDE)
    below, above = at_level(low), at_level(high)
    if below is None or above is None:
        return
    bend = (above - below) / (2 * WIDE)
    if not bool((bend > 1e-12).all()):
        raise Broken("not an error", "the network's answer is not pulled towards a target", NOISE_FIX)
    model.target = (-WIDE - below / bend).flatten(1)
    between = at_level(model.target.reshape(x0.shape))
    if between is not None and bool(between.abs().max() < 1e-9 * WIDE * bend.max()):
        return
    for _ in range(36):  # to 2e-9
        middle = (low + high) / 2
        up = at_level(middle)
        assert up is not None
        low, high = torch.where(up < 0, middle, low), torch.where(up < 0, high, middle)
    model.target = ((low + high) / 2).flatten(1)


WIDE = 64.0  # no target is farther from 0


def _slope(call: Callable[[Inputs], Tensor], own: Inputs, level: Tensor) -> Tensor | None:
    """The slope of the loss by the network's answer, where that is `level`; None without a path."""
    from ..record import _leaf

    model = _leaf(own["model"], True)
    assert isinstance(model, Denoiser)
    model.push = level.detach().clone().requires_grad_(True)
    value = call({**own, "model": model})
    return torch.autograd.grad(value.sum(), model.push, allow_unused=True)[0] if value.requires_grad else None


def _gap(model: Denoiser) -> Tensor:
    """What the network answered where it was called, less what the loss compares it with."""
    if model.target is None:
        raise Broken("not an error", "the network's answer does not enter the loss", NOISE_FIX)
    gap: Tensor = model(model.seen[-1].double()).flatten(1) - model.target
    return gap


def error(model: Denoiser, **_: object) -> Tensor:
    """The mean squared error."""
    return (_gap(model) ** 2).mean(dim=1)


def _huber(model: Denoiser, delta: float, **_: object) -> Tensor:
    size, delta = _gap(model).abs(), within(delta)
    return torch.where(size < delta, 0.5 * size**2 / delta, size - 0.5 * delta).mean(dim=1)


ERRORS = (
    Variant(
        "absolute errors instead of squares (L1)",
        lambda model, **_: _gap(model).abs().mean(dim=1),
        "The best answer is then the median of the target given x_t, not its mean: not quite the score.",
        "mse_loss in place of l1_loss.",
        fault=False,
    ),
    Variant(
        "the Huber loss instead of squares",
        _huber,
        "Large errors count with their size: the best answer lies between the mean of the target and its median.",
        "mse_loss in place of huber_loss or smooth_l1_loss.",
        False,
        (number("delta", "", 1.0, (1.0, 0.1, 0.5, 0.01)),),
    ),
)


def _wrong(name: str, why: str, fix: str, *, fault: bool = True) -> Variant:
    return Variant(name, lambda **_: torch.zeros(()), why, fix, fault)


NOISE_FIX = "eps = torch.randn_like(x0); x_t = sqrt(abar) * x0 + sqrt(1 - abar) * eps; mse_loss(model(x_t, t), eps)"
FLOW_FIX = "x0 = torch.randn_like(x1); t = torch.rand(len(x1), 1); mse_loss(model((1 - t) * x0 + t * x1, t), x1 - x0)"


class Path:
    """x_t = a x0 + b y per row, y the target: the coefficients of all rows with four columns or more."""

    def __init__(self, calls: Sequence[Inputs]) -> None:
        a, b, y, x, left, level = [], [], [], [], [], []
        for call in calls:
            model, x0 = call["model"], call["x0"]
            assert isinstance(model, Denoiser) and isinstance(x0, Tensor) and model.target is not None
            x_t, target = model.seen[-1].double().flatten(1), model.target
            if x0.shape[1] < 4 or x_t.shape != x0.shape:
                continue
            for row in range(len(x0)):
                basis = torch.stack([x0[row], target[row]], dim=1)
                found = torch.linalg.lstsq(basis, x_t[row].unsqueeze(1)).solution.squeeze(1)
                left.append((basis @ found - x_t[row]).abs().max())
                a.append(found[0])
                b.append(found[1])
            y.append(target)
            x.append(x0.detach())
            level.append(torch.stack(b[-len(x0) :]))
        self.a, self.b, self.left = torch.stack(a), torch.stack(b), torch.stack(left)
        self.y, self.x = torch.cat([v.flatten() for v in y]), torch.cat([v.flatten() for v in x])
        self.rows, self.one_time = y, all(float(v.max() - v.min()) < 1e-7 for v in level)

    def near(self, value: Tensor, expected: Tensor | float) -> bool:
        return float((value - expected).abs().max()) < 1e-4

    def shifted_by(self, calls: Sequence[Inputs]) -> int | None:
        """By how many steps the table is read beside t, where both are given and it is not 0."""
        if not {"t", "abar"} <= set(calls[0]):
            return None
        t: list[Tensor] = []
        table = torch.empty(0)
        for call in calls:
            x0, times, given = call["x0"], call["t"], call["abar"]
            assert isinstance(x0, Tensor) and isinstance(times, Tensor) and isinstance(given, Tensor)
            table = given
            t += [times] * (x0.shape[1] >= 4)
        read = {s: table[(torch.cat(t) + s).clamp(0, STEPS - 1)] for s in (0, 1, -1)}
        found = [s for s, abar in read.items() if self.near(self.a**2, abar)]
        return found[0] if found and found[0] != 0 else None

    @property
    def never_noisy(self) -> bool:
        """sqrt(.98) at most is left of the data at some time of every schedule; single steps keep more."""
        return len(self.a) > 15 and float(self.a.min()) > 0.98

    @property
    def linear(self) -> bool:
        return float(self.left.max()) < 1e-6

    @property
    def overlap(self) -> float:
        """Correlation of the target with the data."""
        return float(torch.corrcoef(torch.stack([self.y, self.x]))[0, 1])


def _kind(path: Path) -> str:
    """What the loss teaches: eps, v, x0, flow, back (flow towards the noise), or "" with none of these."""
    if path.near(path.y - path.x, 0.0):
        return "x0"
    if not path.linear:
        return ""
    still = path.near(path.a, 1.0)
    if still and path.overlap > 0.35:
        return "flow"
    if still and path.overlap < -0.35:
        return "back"
    if still:
        return "exploding" if float(path.b.min()) > 0 else "score"
    if path.near(path.a**2 + path.b**2, 1.0):
        return "eps"
    if path.near(path.a**2 - path.b**2, 1.0):
        return "v"
    roots = {
        "no root": path.a + path.b,
        "no root of 1 - abar": path.a**2 + path.b,
        "no root of abar": path.a + path.b**2,
    }
    return next((kind for kind, one in roots.items() if path.near(one, 1.0)), "another path")


RIGHT = ("eps", "v", "x0", "flow", "back", "exploding", "score")  # in their own way
ROOTS = "x_t then has another variance at every time than training assumes: a^2 + b^2 = 1 for x_t = a x0 + b eps."
KINDS = {
    "eps": ("predicts the noise eps", "It is the DDPM loss."),
    "v": (
        "predicts v = sqrt(abar) eps - sqrt(1 - abar) x0",
        "Another prediction of the same model, with the weight 1 + SNR on x0.",
    ),
    "x0": ("predicts x0", "Another prediction of the same model, which weighs all times alike in x0."),
    "flow": ("flow matching: predicts data - noise on a straight path", "Its times and path are not those of DDPM."),
    "back": (
        "flow matching towards the noise: predicts noise - data",
        "The velocity with its sign turned round: integrate from t = 0 at the data.",
    ),
    "exploding": (
        "noise added to rows that keep their scale (variance exploding)",
        "x_t = x0 + sigma eps: the prior is N(0, sigma_T^2), not N(0, 1).",
    ),
    "score": ("predicts minus the noise (a score)", "Denoising score matching: divide by sigma to get the score."),
    "no root": (
        "the square roots of abar and 1 - abar are missing",
        "x_t = abar x0 + (1 - abar) eps has too little variance at every time, so sampling starts from noise of "
        "another size than training saw.",
    ),
    "no root of 1 - abar": ("the square root of 1 - abar is missing", ROOTS),
    "no root of abar": ("the square root of abar is missing", ROOTS),
    "another path": (
        "x_t is a x0 + b eps with other a and b",
        "The noise is the one that the network is compared with, but a^2 + b^2 is not 1: not the path of the paper.",
    ),
    "": (
        "noise that is not on the path",
        "x_t, x0 and the target do not lie on one line: the noise in x_t is not the noise that the network is "
        "compared with (two draws?).",
    ),
}


def judged(expected: str, fix: str, calls: Sequence[Inputs]) -> Variant | None:
    """The first thing that is not as in the paper: path, prediction, noise, times."""
    if any(not isinstance(m := call["model"], Denoiser) or m.target is None for call in calls):
        return None
    path = Path(calls)
    kind = _kind(path)
    if path.shifted_by(calls) is not None and kind == expected:
        return _wrong(f"abar is read at t {path.shifted_by(calls):+d}", "The network is told another time.", fix)
    if kind == expected == "eps" and path.never_noisy:
        return _wrong(
            "alpha_t instead of its product abar_t",
            "One step's alpha is near 1 at every time: x_t is hardly noisy, and the sampler starts from pure noise.",
            "alphas_cumprod = torch.cumprod(1 - betas, dim=0)",
        )
    if kind != expected:
        return _wrong(KINDS[kind][0], KINDS[kind][1], fix, fault=kind not in RIGHT)
    drawn = (
        path.y if kind == "eps" else path.y + path.x if kind == "back" else path.x - path.y if kind == "flow" else None
    )
    if drawn is not None and "eps" not in calls[0]:
        if abs(float(drawn.mean()) - 0.5) < 0.1 and abs(float(drawn.std()) - 0.29) < 0.06:
            return _wrong(
                "uniform noise on [0, 1) (torch.rand or rand_like) instead of normal noise",
                "Its mean is .5 and its deviation .29: x_T is not N(0, I), from which sampling starts, and noise below "
                "0 is never seen.",
                fix,
            )
        if abs(float(drawn.mean())) > 0.3 or not 0.8 < float(drawn.std()) < 1.2:
            return _wrong(
                f"noise of mean {float(drawn.mean()):.2f} and deviation {float(drawn.std()):.2f}",
                "The noise must be standard normal.",
                fix,
            )
        if all(float((y - y[:1]).abs().max()) < 1e-9 for y in path.rows) and kind == "eps":
            return _wrong(
                "one noise for the whole batch",
                "Every row gets the same noise, so the batch sees one draw instead of B.",
                fix,
            )
    if path.one_time and "t" not in calls[0]:
        return _wrong(
            "one time for the whole batch",
            "All rows share one time per step: unbiased, but the gradient is far noisier.",
            "Draw a time per row: torch.randint(0, T, (len(x0),)).",
        )
    return None


def _forms(expected: str, fix: str, *more: tuple[Argument, ...]) -> tuple[Form, ...]:
    says = "|model(x_t, t) - target|^2 / d"
    return tuple(
        Form(
            (MODEL, X0, *extra),
            {says: error},
            variants=ERRORS,
            places=partial(judged, expected, fix),
            reveal=reveal,
            random=True,
        )
        for extra in ((), *more)
    )


def _error_form(
    text: str, *arguments: Argument, formula: Callable[..., Tensor], variants: tuple[Variant, ...] = ()
) -> Form:
    return Form(arguments, {text: formula}, variants=variants)


HAT = rows(
    "eps_hat",
    "epshat pred predicted prediction output out noisepred predictednoise modeloutput a",
    "the network's answer (B, d)",
)
GIVEN = rows("eps", "eps noise target epsilon true b", "what it should be (B, d)", learns=False)
ABSOLUTE = Variant(
    "absolute errors instead of squares",
    lambda eps_hat, eps: (eps_hat - eps).abs().mean(dim=1),
    "The best answer is then the median of the noise, not its mean: not the score.",
    "Square the errors.",
    fault=False,
)
NORM = Variant(
    "the norm instead of its square",
    lambda eps_hat, eps: (eps_hat - eps).norm(dim=1),
    "Its optimum is not the mean of the noise.",
    "Square it.",
)
MORE = ((T,), (EPS,), (T, EPS), (ABAR,), (T, ABAR), (T, EPS, ABAR))


def positive_table(n: Size, s: Source) -> Tensor:
    return 0.1 + 0.4 * s.unit((n.batch, 1))


A_T = Argument("abar", frozenset(["abar", "alphabar", "acp"]), positive_table, "abar at t (B, 1)", learns=False)
A_S = Argument(
    "abar_s",
    frozenset(["abars", "abarprev", "alphabarprev", "acpprev"]),
    lambda n, s: 0.6 + 0.35 * s.unit((n.batch, 1)),
    "abar at s < t (B, 1)",
    learns=False,
)
XT = rows("x_t", "xt noisy", "noisy rows (B, d)", learns=False)
X0_HAT = rows("x0_hat", "x0hat predx0 xhat", "predicted rows (B, d)")
SHARE = Argument(
    "share",
    frozenset(["share", "v", "variance"]),
    lambda n, s: s.unit((n.batch, n.width)),
    "share of the variance (B, d)",
)
U_HAT = rows("u_hat", "uhat pred velocity output v vt", "the network's velocity (B, d)")
NOISE0, DATA1 = rows("x0", "x0 noise source z", learns=False), rows("x1", "x1 data target real", learns=False)


def _bound(x0: Tensor, x_t: Tensor, x0_hat: Tensor, share: Tensor, abar: Tensor, abar_s: Tensor) -> Tensor:
    beta = 1 - abar / abar_s
    small = beta * (1 - abar_s) / (1 - abar)
    gap = abar_s.sqrt() * beta / (1 - abar) * (x0_hat - x0)
    var = small + share * (beta - small)
    return 0.5 * ((small + gap**2) / var - 1 + var.log() - small.log()).sum(dim=1)


def _normal_kl(mean: Tensor, var: Tensor, mean_p: Tensor, var_p: Tensor) -> Tensor:
    return 0.5 * ((var_p / var).log() + (var + (mean - mean_p) ** 2) / var_p - 1).sum(dim=1)


def _spread(role: str, words: str) -> Argument:
    return Argument(
        role, frozenset(words.split()), lambda n, s: 0.2 + 2 * s.unit((n.batch, n.width)), "variances (B, d)"
    )


MEAN, VAR = rows("mean", "mean mu m"), _spread("var", "var variance sigma2")
MEAN_P, VAR_P = rows("mean_p", "meanp mup"), _spread("var_p", "varp variancep")
X = rows("x", "x data")
CLAIMS = (
    Claim(
        "ddpm",
        "|eps - model(sqrt(abar) x0 + sqrt(1 - abar) eps, t)|^2 / d",
        (
            *_forms("eps", NOISE_FIX, *MORE),
            _error_form(
                "|eps_hat - eps|^2 / d",
                HAT,
                GIVEN,
                formula=lambda eps_hat, eps: ((eps_hat - eps) ** 2).mean(dim=1),
                variants=(ABSOLUTE, NORM),
            ),
        ),
        ("noise-prediction", "eps-prediction", "diffusion", "simple-loss"),
        "diffusion-losses",
        fragile=False,
    ),
    Claim(
        "v-prediction",
        "|v - model(x_t, t)|^2 / d, v = sqrt(abar) eps - sqrt(1 - abar) x0",
        _forms("v", "v = sqrt(abar) * eps - sqrt(1 - abar) * x0; mse_loss(model(x_t, t), v)", *MORE),
        ("ddpm-v",),
        "diffusion-losses",
        fragile=False,
    ),
    Claim(
        "x0-prediction",
        "|x0 - model(x_t, t)|^2 / d",
        _forms("x0", "mse_loss(model(x_t, t), x0)", *MORE),
        ("ddpm-x0", "denoising"),
        "diffusion-losses",
        fragile=False,
    ),
    Claim(
        "squared-error",
        "|a - b|^2 / d",
        (
            _error_form(
                "|a - b|^2 / d",
                rows("a", "a pred output"),
                rows("b", "b target"),
                formula=lambda a, b: ((a - b) ** 2).mean(dim=1),
            ),
        ),
        ("mse", "mean-squared-error"),
        "diffusion-losses",
        ("diffusion.squared_error",),
        fragile=False,
    ),
    Claim(
        "diffusion-bound",
        "KL(q(x_s | x_t, x0) || p(x_s | x_t)), learned variance",
        (_error_form("KL", X0, XT, X0_HAT, SHARE, A_T, A_S, formula=_bound),),
        ("vlb", "bound-term", "elbo-term"),
        "diffusion-losses",
        ("diffusion.bound_term",),
        fragile=False,
    ),
    Claim(
        "prior-kl",
        "KL(q(x_T | x0) || N(0, I))",
        (
            _error_form(
                "sum (abar x0^2 + (1 - abar) - 1 - log(1 - abar)) / 2",
                X0,
                A_T,
                formula=lambda x0, abar: 0.5 * (abar * x0**2 + (1 - abar) - 1 - (1 - abar).log()).sum(dim=1),
            ),
            *TO_STANDARD,
        ),
        (),
        "diffusion-losses",
        ("diffusion.prior_kl",),
        fragile=False,
    ),
    Claim(
        "normal-kl",
        "KL(N(mean, var) || N(mean_p, var_p)), diagonal",
        (
            _error_form(
                "KL",
                MEAN,
                VAR,
                MEAN_P,
                VAR_P,
                formula=_normal_kl,
            ),
            _error_form(
                "KL",
                MEAN,
                rows("log_var", "logvar logvar1 lv", "log-variances (B, d)"),
                MEAN_P,
                rows("log_var_p", "logvarp logvar2 lvp", "log-variances (B, d)"),
                formula=lambda mean, log_var, mean_p, log_var_p: _normal_kl(
                    mean, log_var.exp(), mean_p, log_var_p.exp()
                ),
            ),
            *TO_STANDARD,
        ),
        ("gaussian-kl-diagonal",),
        "diffusion-losses",
        ("diffusion.normal_kl",),
        fragile=False,
    ),
    Claim(
        "normal-nll",
        "-log N(x; mean, var), diagonal",
        (
            _error_form(
                "-log N",
                X,
                MEAN,
                VAR,
                formula=lambda x, mean, var: 0.5 * ((2 * torch.pi * var).log() + (x - mean) ** 2 / var).sum(dim=1),
            ),
        ),
        ("gaussian-nll",),
        "diffusion-losses",
        ("diffusion.normal_nll",),
        fragile=False,
    ),
    Claim(
        "flow-matching",
        "|u_hat(x_t, t) - (x1 - x0)|^2 / d, x_t = (1 - t) x0 + t x1, x0 noise",
        (
            *_forms("flow", FLOW_FIX, (T,)),
            _error_form(
                "|u_hat - (x1 - x0)|^2 / d",
                U_HAT,
                NOISE0,
                DATA1,
                formula=lambda u_hat, x0, x1: ((u_hat - (x1 - x0)) ** 2).mean(dim=1),
                variants=(
                    Variant(
                        "the velocity towards the noise",
                        lambda u_hat, x0, x1: ((u_hat - (x0 - x1)) ** 2).mean(dim=1),
                        "The sign is turned round: the model flows from data to noise.",
                        "x1 - x0",
                    ),
                    Variant(
                        "the end point instead of the velocity",
                        lambda u_hat, x0, x1: ((u_hat - x1) ** 2).mean(dim=1),
                        "Predicts the data, not the velocity.",
                        "x1 - x0",
                        fault=False,
                    ),
                ),
            ),
        ),
        ("cfm", "rectified-flow", "conditional-flow-matching"),
        "flow-matching-loss",
        ("diffusion.flow_matching",),
        fragile=False,
    ),
)

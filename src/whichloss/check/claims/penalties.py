"""Penalties on a critic's slope: WGAN-GP (two- and one-sided), R1, R2, DRAGAN.

A function that draws where to measure is compared exactly: the critic notes where it was called, the formula is
evaluated there, and the places themselves are judged against the paper's.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import relu

from ..arguments import CRITIC, FAKE, REAL, critic, number, positive, rows
from ..claim import Argument, Claim, Form, Inputs, Known, Variant
from ..networks import Critic
from ._logits import within

REAL_ROWS = rows("real", REAL, "real rows (B, d)", learns=False, images=True)
FAKE_ROWS = rows("fake", FAKE, "fakes (B, d)", learns=False, images=True)
D = critic("D", CRITIC)
EPS = Argument(
    "eps",
    frozenset(["eps", "epsilon", "alpha", "u", "t", "mix"]),
    lambda n, s: s.unit((n.batch, 1)),
    "where between, (B, 1)",
    learns=False,
    layouts=("", "image"),
)
LAMBDA = number("lambda_", "lambda lam lambda_gp lambdagp gp weight penalty gpweight lambdaterm coefficient", 10.0, ())
GAMMA = number("gamma", "gamma lambda weight penalty r1gamma", 10.0, (1.0, 10.0, 2.0, 5.0, 20.0, 0.1, 0.2, 100.0))


def called_at(D: Critic, *known: Tensor) -> Tensor:
    """Where D was called, apart from the known rows; at those if it was called nowhere else."""
    elsewhere = [x.flatten(1) for x in D.seen if len(x) == len(known[0]) and not any(_same(x, k) for k in known)]
    return elsewhere[-1] if elsewhere else (D.seen[-1] if D.seen else known[0]).flatten(1)


def _same(x: Tensor, known: Tensor) -> bool:
    return x.numel() == known.numel() and torch.equal(x.flatten(1), known.flatten(1))


def slopes(D: Critic, x: Tensor) -> Tensor:
    """grad D(x) per row (B, d), itself differentiable."""
    x = x.detach().double().requires_grad_(True)
    slope: Tensor = torch.autograd.grad(D(x).sum(), x, create_graph=True)[0]
    return slope


def _at(energy: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A penalty on the gradient where D was called between real and fake."""
    return lambda **x: energy(slopes(x["D"], called_at(x["D"], *(x[k] for k in ("real", "fake") if k in x))))


def _length(g: Tensor) -> Tensor:
    length: Tensor = g.norm(dim=1)
    return length


def two_sided(g: Tensor) -> Tensor:
    return (_length(g) - 1) ** 2


def one_sided(g: Tensor) -> Tensor:
    return relu(_length(g) - 1) ** 2


def _cut(energy: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda **x: _at(energy)(**x).detach() + 0 * x["D"].w.sum()


FIX = "gradient.flatten(1).norm(dim=1): one length per sample; then (length - 1) ** 2, then the mean."


def _penalty_variants(
    energy: Callable[[Tensor], Tensor], other: str, other_energy: Callable[[Tensor], Tensor]
) -> tuple[Variant, ...]:
    one_norm = lambda g: energy(g.reshape(1, -1))
    per_entry = lambda g: energy(g.reshape(-1, 1)).reshape(len(g), -1).mean(dim=1)
    return (
        Variant(
            f"the {other} penalty",
            _at(other_energy),
            "One-sided leaves slopes below 1 free; two-sided pulls them up to 1, as the paper does.",
            f"Check it as the {other} form, or change relu(length - 1) and length - 1.",
            fault=False,
        ),
        Variant(
            "one norm of the whole batch",
            _at(one_norm),
            "The norm over all samples together grows with the root of the batch size, so a critic of slope 1 "
            "pays, and no sample is held to slope 1.",
            FIX,
        ),
        Variant(
            "the square is missing",
            _at(lambda g: _length(g) - 1),
            "Without the square, slopes below 1 earn a reward: the critic is pulled to slope 0.",
            "Square it: (length - 1) ** 2.",
        ),
        Variant(
            "the square of the mean slope, not the mean of the squares",
            _at(lambda g: energy(_length(g).mean().reshape(1, 1))),
            "Only the average slope is held at 1: steep samples pay for flat ones.",
            FIX,
        ),
        Variant(
            "the absolute value instead of the square",
            _at(lambda g: (_length(g) - 1).abs()),
            "Its gradient does not fade near slope 1, so the slope jitters around it.",
            "(length - 1) ** 2",
            fault=False,
        ),
        Variant(
            "the norm over the wrong axis (per entry, dim=1 of pictures)",
            _at(per_entry),
            "On pictures (B, C, h, w) dim=1 is the channel: every pixel's own slope is pulled to 1, so the "
            "sample's slope to sqrt(h w).",
            FIX,
        ),
        Variant(
            "the squared length against 1",
            _at(lambda g: (_length(g) ** 2 - 1) ** 2),
            "The root is missing: steep critics pay with the fourth power.",
            FIX,
        ),
        Variant(
            "centred at slope 0 instead of 1",
            _at(lambda g: _length(g) ** 2),
            "That is R1 or R2, for other losses: the Wasserstein critic then flattens.",
            "(length - 1) ** 2",
        ),
        Variant(
            "the L1 norm of the gradient",
            _at(lambda g: energy(g.abs().sum(dim=1, keepdim=True))),
            "The dual of another distance on rows.",
            FIX,
        ),
        Variant(
            "the gradient of the batch mean of D",
            _at(lambda g: energy(g / len(g))),
            "Differentiating D(x).mean() divides every slope by the batch size, so the critic is pulled to slope N.",
            "Differentiate D(x).sum(), or pass grad_outputs=torch.ones_like(scores).",
        ),
        Variant(
            "the penalty does not reach D (create_graph is missing)",
            _cut(energy),
            "The value is right, but no gradient flows into the critic's weights: the penalty has no effect at all.",
            "torch.autograd.grad(..., create_graph=True), without .detach() or .data.",
        ),
    )


LINE_FIX = "eps = torch.rand(len(real), 1) (for pictures (B, 1, 1, 1)); x_hat = eps * real + (1 - eps) * fake"


def between(calls: Sequence[Inputs]) -> Variant | None:
    """Whether x_hat lies between real and fake with one eps per sample."""
    every = []
    for x in calls:
        net, real, fake = x["D"], x["real"], x["fake"]
        assert isinstance(net, Critic) and isinstance(real, Tensor) and isinstance(fake, Tensor)
        at = called_at(net, real, fake)
        if _same(at, real) or _same(at, fake):
            return _place(
                "measured at the rows themselves, not between them",
                "Slope 1 is asked for where optimal transport moves mass: on the lines between real and fake rows.",
            )
        if at.shape != real.shape:
            return _place(
                f"measured at {len(at)} x {at.shape[1]} places for {len(real)} rows",
                "eps broadcasts to pairs that do not belong together.",
            )
        eps = (at - fake) / (real - fake)
        spread = (eps.max(dim=1).values - eps.min(dim=1).values).max()
        if float(eps.min()) < -1e-6 or float(eps.max()) > 1 + 1e-6:
            return _place(
                "measured outside the line between real and fake",
                "Slope 1 is asked for where optimal transport moves mass: between the two.",
            )
        if float(spread) > 1e-4:
            return _place(
                "one eps per pixel (or column), not per sample",
                "x_hat then lies in the box between the two rows, off the line where the best critic has slope 1.",
            )
        every.append(eps[:, 0])
    together = torch.cat(every)
    if len(together) > 20 and all(float(e.max() - e.min()) < 1e-6 for e in every if len(e) > 1):
        return _place(
            "one eps for the whole batch",
            "Every step sees one point of each line, all at the same place: noisier than one eps per sample.",
        )
    if len(together) > 20 and not (0.3 < float(together.mean()) < 0.7 and float(together.std()) > 0.15):
        return _place(
            f"eps is not uniform (mean {float(together.mean()):.2f})", "The paper draws eps uniformly on [0, 1]."
        )
    return None


def _place(name: str, why: str) -> Variant:
    return Variant(name, lambda **_: torch.zeros(()), why, LINE_FIX)


def around(calls: Sequence[Inputs]) -> Variant | None:
    """Whether the places scatter around the data, to both sides."""
    moved = torch.cat([(called_at(x["D"], x["real"]) - x["real"]).flatten() for x in calls])  # type: ignore[arg-type, operator]
    if float(moved.abs().max()) < 1e-9:
        return Variant(
            "measured at the data itself",
            lambda **_: torch.zeros(()),
            "DRAGAN asks for slope 1 in a neighbourhood of the data; at the data alone it is another penalty.",
            "x_hat = x + u * .5 * x.std() * noise",
        )
    if float(moved.mean()) > 0.4 * float(moved.std()):
        return Variant(
            "noise of one sign only (torch.rand)",
            lambda **_: torch.zeros(()),
            "torch.rand lies in [0, 1): the slope is measured on one side of the data only.",
            "Use torch.randn_like(x), or 2 * torch.rand_like(x) - 1.",
        )
    return None


def _unit_critic(inputs: Inputs) -> Inputs:
    real = inputs["real"]
    assert isinstance(real, Tensor)
    return inputs | {"D": Critic.line(real.shape[1])}


UNIT = Known("a critic of slope 1 costs nothing, at any batch size", _unit_critic, 0.0)


def _forms(
    name: str, energy: Callable[[Tensor], Tensor], other: str, other_energy: Callable[[Tensor], Tensor]
) -> tuple[Form, ...]:
    variants = _penalty_variants(energy, other, other_energy)
    shared: dict[str, Any] = {
        "variants": variants,
        "weights": {name: "lambda"},
        "places": between,
        "known": (UNIT,),
        "random": True,
    }
    slope = positive("slope", "slope slopes norm norms gradnorm grad_norm gradient length")
    return (
        Form((D, REAL_ROWS, FAKE_ROWS), {name: _at(energy)}, (LAMBDA,), **shared),
        Form((D, REAL_ROWS, FAKE_ROWS, EPS), {name: _at(energy)}, (LAMBDA,), **shared),
        Form(
            (slope,),
            {name: lambda slope: energy(slope.unsqueeze(1))},
            variants=(
                Variant(
                    "the square is missing",
                    lambda slope: slope - 1,
                    "Slopes below 1 earn a reward.",
                    "(slope - 1) ** 2",
                ),
            ),
        ),
    )


def _gap(D: Critic, real: Tensor, fake: Tensor, **_: object) -> Tensor:
    gap: Tensor = D(fake) - D(real)
    return gap.reshape(len(real))


def half_square(g: Tensor) -> Tensor:
    value: Tensor = 0.5 * (g**2).sum(dim=1)
    return value


ROOT_FIX = "0.5 * gamma * gradient.flatten(1).pow(2).sum(dim=1), then the mean."


def _only_at(role: str) -> Callable[[Sequence[Inputs]], Variant | None]:
    """Whether the slope was measured at the rows of this role and nowhere else."""
    other = {"real": "fake", "fake": "real"}[role]

    def judged(calls: Sequence[Inputs]) -> Variant | None:
        for x in calls:
            net, asked, wrong = x["D"], x[role], x[other]
            assert isinstance(net, Critic) and isinstance(asked, Tensor) and isinstance(wrong, Tensor)
            if _same(net.seen[-1], wrong):
                return _elsewhere(f"measured at the {other} rows", f"That is R{1 if other == 'real' else 2}.", role)
            if not _same(net.seen[-1], asked):
                return _elsewhere("measured between the rows", "That is where WGAN-GP measures.", role)
        return None

    return judged


def _elsewhere(name: str, why: str, role: str) -> Variant:
    return Variant(name, lambda **_: torch.zeros(()), why, f"Take the gradient of D at the {role} rows.")


def _scores_at(role: str) -> Argument:
    """The critic's scores at the rows, handed over with their graph: r1(d_out, x_in)."""
    return Argument(
        "scores",
        frozenset(["dout", "out", "output", "outputs", "pred", "preds", "score", "scores", "logit", "logits"]),
        lambda n, s: s.real((n.batch,)),
        f"D's scores at the {role} rows, with their graph",
        learns=False,
        of=lambda x: x["D"](x[role].requires_grad_(True)),  # type: ignore[operator, union-attr]
    )


def _last_call(x: dict[str, Any], role: str) -> Tensor:
    """Where D was called last; its row of the role if it was not called."""
    seen: list[Tensor] = x["D"].seen
    rows: Tensor = x[role]
    return (seen[-1] if seen else rows).flatten(1)


def _zero_centred(role: str) -> tuple[Form, ...]:
    name = f"gamma / 2 |grad D({'x' if role == 'real' else 'G(z)'})|^2"
    row = {"real": REAL_ROWS, "fake": FAKE_ROWS}[role]

    def on(energy: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
        return lambda gamma=1.0, **x: within(gamma) * energy(slopes(x["D"], _last_call(x, role)))

    variants = (
        Variant("the length instead of its square", on(_length), "Its gradient does not fade near slope 0.", ROOT_FIX),
        Variant(
            "one norm of the whole batch",
            on(lambda g: g.norm().expand(len(g))),
            "Samples are not independent.",
            ROOT_FIX,
        ),
        Variant("centred at slope 1 instead of 0", on(two_sided), "That is the Wasserstein penalty.", ROOT_FIX),
        Variant(
            "the gradient of the batch mean of D",
            on(lambda g: half_square(g / len(g))),
            "Differentiating D(x).mean() divides every slope by the batch size, so the penalty falls with its square.",
            "Differentiate D(x).sum().",
        ),
        Variant(
            "the penalty does not reach D (create_graph is missing)",
            lambda **x: on(half_square)(**x).detach() + 0 * x["D"].w.sum(),
            "No gradient flows into the critic's weights.",
            "create_graph=True",
        ),
    )
    shared: dict[str, Any] = {"options": (GAMMA,), "variants": variants}
    gradient = Argument(
        "gradient", frozenset(["gradient", "grad", "grads", "g"]), row.draw, "gradients (B, d)", layouts=("", "image")
    )
    scored = Form((replace(D, passed=False), row, _scores_at(role)), {name: on(half_square)}, **shared)
    both = Form((D, REAL_ROWS, FAKE_ROWS), {name: on(half_square)}, places=_only_at(role), **shared)
    alone = Form((D, row), {name: on(half_square)}, **shared)
    return (
        alone,
        both,
        scored,
        Form((gradient,), {name: lambda gradient, gamma: within(gamma) * half_square(gradient)}, (GAMMA,)),
    )


TWO, ONE = "(|grad D(x_hat)| - 1)^2", "([|grad D(x_hat)| - 1]+)^2"
LINE = "x_hat = eps x + (1 - eps) G(z), one eps per sample"
CLAIMS = (
    Claim(
        "wgan-gp-penalty",
        f"lambda {TWO}, {LINE}",
        _forms(TWO, two_sided, "one-sided", one_sided),
        ("gradient-penalty", "gp", "slope-penalty", "wgan-gp"),
        "gradient-penalty",
        ("adversarial.slope_penalty",),
        fragile=False,
    ),
    Claim(
        "one-sided-gradient-penalty",
        f"lambda {ONE}, {LINE}",
        _forms(ONE, one_sided, "two-sided", two_sided),
        ("wgan-lp-penalty", "one-sided-slope-penalty", "wgan-lp"),
        "gradient-penalty",
        ("penalties.one_sided_slope_penalty",),
        fragile=False,
    ),
    Claim(
        "wgan-gp-critic",
        f"D(G(z)) - D(x) + lambda {TWO}, {LINE}",
        tuple(
            Form(
                arguments,
                {"D(G(z)) - D(x)": _gap, TWO: _at(two_sided)},
                (LAMBDA,),
                weights={TWO: "lambda"},
                places=between,
                random=True,
                variants=tuple(replace(v, beside=_gap) for v in _penalty_variants(two_sided, "one-sided", one_sided)),
            )
            for arguments in ((D, REAL_ROWS, FAKE_ROWS), (D, REAL_ROWS, FAKE_ROWS, EPS))
        ),
        ("wgan-gp-discriminator",),
        "wgan-gp",
        fragile=False,
    ),
    Claim(
        "dragan-penalty",
        f"lambda {TWO}, x_hat = x + u std(x) / 2 noise",
        (
            Form(
                (D, REAL_ROWS),
                {TWO: _at(two_sided)},
                (LAMBDA,),
                _penalty_variants(two_sided, "one-sided", one_sided),
                weights={TWO: "lambda"},
                places=around,
                known=(UNIT,),
                random=True,
            ),
        ),
        ("dragan",),
        "gradient-penalty",
        fragile=False,
    ),
    Claim(
        "r1-penalty",
        "gamma / 2 |grad D(x)|^2 at real rows",
        _zero_centred("real"),
        ("r1", "zero-slope-penalty", "zero-centred-penalty"),
        "gradient-penalty",
        ("adversarial.zero_slope_penalty",),
        fragile=False,
    ),
    Claim(
        "r2-penalty",
        "gamma / 2 |grad D(G(z))|^2 at fakes",
        _zero_centred("fake"),
        ("r2",),
        "gradient-penalty",
        fragile=False,
    ),
)

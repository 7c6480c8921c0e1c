"""Earth mover's distance against Jensen-Shannon and Kullback-Leibler as two laws part: value and gradient.

The classic argument for the Wasserstein GAN (Arjovsky, Chintala & Bottou, 2017), in closed form and measured, for two
normals, which always overlap, and for two uniforms, whose supports part at distance 1:

- W1 is |d| with slope 1, at every distance, for every law;
- JS saturates at log 2 and its slope dies: nothing is left to descend;
- KL explodes (normals) or is infinite at once (uniforms).

Closed forms are lines; dots are measured by critics of 16 seeds per distance, trained with whichloss's own objectives
`gan` (JS and KL, from the logit) and `wgan-gp` (W1, its gap divided by its slope), and looked at on new rows. A critic
trained for a while has finite logits, so it reports too small a KL where the laws are far apart, and a finite one where
the truth is infinite.
"""

import math
from collections.abc import Callable, Sequence

import altair as alt
import numpy as np
import torch
from replay.critics import Held, look, normal, trained, uniform
from replay.laws import (
    LN2,
    js_normals,
    js_uniforms,
    kl_normals,
    kl_uniforms,
    w1_shift,
)
from replay.show import BLUE, GREEN, OCHRE, Options, inline, options, spread, table
from torch import Tensor
from torch.func import grad

from whichloss.losses.adversarial import (
    bce_critic,
    bce_generator,
    minimax_generator,
    wasserstein_critic,
    wasserstein_generator,
)
from whichloss.metrics import w1_columns
from whichloss.objectives import Nets, find

STD = 0.5  # of both normals; the uniforms are 1 wide
GAPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
ROWS = 2000
Pair = tuple[float, float]
LAWS: dict[str, tuple[float, Callable[[Tensor], Tensor], Callable[[float], Pair], Callable[[float], Pair]]] = {
    "normals": (STD, normal, lambda d: js_normals(d, STD), lambda d: kl_normals(d, STD)),
    "uniforms": (1.0, uniform, js_uniforms, kl_uniforms),
}
COLOURS = {"W1": BLUE, "JS": OCHRE, "KL": GREEN}


def rows_of(law: str, seeds: int, salt: int) -> Tensor:
    """Rows of the law that stays: (gaps * seeds, n, 1); new ones for every salt and seed, the same at every gap."""
    std, shape, *_ = LAWS[law]
    z = torch.stack([torch.randn(ROWS, 1, generator=torch.Generator().manual_seed(salt + k)) for k in range(seeds)])
    return (std * shape(z)).repeat(len(GAPS), 1, 1)


def from_gan(nets: Nets, x: Tensor, fake: Tensor) -> Tensor:
    """JS, its slope, KL and its slope, as a trained BCE critic sees them.

    JS = log 2 - L_D / 2; 2 dJS = d minimax_generator (the critic stands still); KL(q | p) = -E_q logit. The slopes of
    the two generator losses sum to that of KL, since -sigma(l) - sigma(-l) = -1.
    """
    d = {
        loss: grad(lambda t, loss=loss: loss(nets.D(fake + t)).mean())(x.new_zeros(()))
        for loss in (minimax_generator, bce_generator)
    }
    js = LN2 - bce_critic(nets.D(x), nets.D(fake)).mean() / 2
    kl = -nets.D(fake).mean()
    return torch.stack([js, d[minimax_generator] / 2, kl, d[minimax_generator] + d[bce_generator]])


def from_wgan(nets: Nets, x: Tensor, fake: Tensor) -> Tensor:
    """W1 and its slope, as a trained WGAN-GP critic sees them, divided by the critic's mean slope between the laws."""
    between = (x + fake) / 2
    slope = grad(lambda x: nets.D(x).sum())(between).abs().mean()
    gap = -wasserstein_critic(nets.D(x), nets.D(fake)).mean()
    felt = grad(lambda t: wasserstein_generator(nets.D(fake + t)).mean())(x.new_zeros(()))
    return torch.stack([gap / slope, felt / slope])


def measure(law: str, seeds: int, steps: int) -> dict[str, np.ndarray]:
    """(gaps, seeds) of every measured quantity; all gaps and seeds are lanes of one training each."""
    std, shape, *_ = LAWS[law]
    rows, fresh = rows_of(law, seeds, 0), rows_of(law, seeds, 10_000)
    hyper = {"mean": torch.tensor(GAPS).repeat_interleave(seeds)}
    named: dict[str, np.ndarray] = {}
    for rule, work, names in (
        (find("gan")(latent=1), from_gan, ("JS", "dJS", "KL", "dKL")),
        (find("wgan-gp")(latent=1, n_critic=1), from_wgan, ("W1", "dW1")),
    ):
        lanes, weights = trained(Held(rule, std=std, shape=shape), rows, steps, hyper=hyper)
        seen = look(lanes, weights, fresh, work)
        named |= {name: seen[:, i].reshape(len(GAPS), seeds).double().numpy() for i, name in enumerate(names)}
    moved = fresh + hyper["mean"][:, None, None]
    own = torch.stack([w1_columns(a, b)[0] for a, b in zip(rows, moved, strict=True)])
    return named | {"W1 of samples": own.reshape(len(GAPS), seeds).numpy()}


def closed(law: str, gaps: Sequence[float]) -> dict[str, list[float]]:
    """The same quantities in closed form."""
    *_, js, kl = LAWS[law]
    pairs = {"W1": w1_shift, "JS": js, "KL": kl}
    values = {name: [form(d) for d in gaps] for name, form in pairs.items()}
    out = {name: [v for v, _ in pair] for name, pair in values.items()}
    return out | {f"d{name}": [s for _, s in pair] for name, pair in values.items()}


def say(law: str, exact: dict[str, list[float]], seen: dict[str, np.ndarray], seeds: int) -> None:
    """The table of one pair of laws: closed form, then what critics measured."""
    rows = []
    for i, gap in enumerate(GAPS):
        cells = [f"{gap:g}"]
        for name in ("W1", "dW1", "JS", "dJS", "KL", "dKL"):
            value = exact[name][i]
            cells.append(f"{value:.3f}" if math.isfinite(value) else {math.inf: "inf"}.get(value, "none"))
            cells.append(spread(seen[name][i], 2))
        rows.append(cells)
    head = ["distance", "W1", "measured", "slope", "measured", "JS", "measured", "slope", "measured"]
    head += ["KL", "measured", "slope", "measured"]
    table(f"Two {law}, moved apart: closed form, and mean ± sd over {seeds} trained critics", head, rows)


def panel(law: str, prefix: str, seen: dict[str, np.ndarray], top: float) -> object:
    """Value (prefix "") or slope (prefix "d") against the distance."""
    fine = np.linspace(0.001, GAPS[-1], 241)
    exact, rows, dots = closed(law, fine), [], []
    for name in COLOURS:
        low, middle, high = np.quantile(seen[prefix + name], (0.1, 0.5, 0.9), axis=1)
        rows += [
            {"x": float(d), "y": v, "law": name}
            for d, v in zip(fine, exact[prefix + name], strict=True)
            if math.isfinite(v) and v <= 1.2 * top
        ]
        dots += [
            {"x": d, "y": b, "low": a, "high": c, "law": name}
            for d, a, b, c in zip(GAPS, low, middle, high, strict=True)
            if d > 0 and b <= top
        ]
    colour = alt.Color("law:N", title="distance", scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())))
    x = alt.X("x:Q", title="how far the second law has moved", scale=alt.Scale(domain=[0, 3.1], nice=False))
    title = "value" if not prefix else "slope: d value / d distance"
    y = alt.Y("y:Q", title=title, scale=alt.Scale(domain=[0 if not prefix else -0.2, top], nice=False))
    lines = alt.Chart(inline(rows)).mark_line(clip=True, strokeWidth=1.8).encode(x, y, colour)
    bars = alt.Chart(inline(dots)).mark_rule(clip=True).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), colour)
    points = alt.Chart(inline(dots)).mark_point(filled=True, size=34, clip=True, opacity=1).encode(x, y, colour)
    return (lines + bars + points + notes(law, prefix, top)).properties(width=330, height=230)


def notes(law: str, prefix: str, top: float) -> alt.LayerChart:
    """What to look at, written where it happens."""
    far = GAPS[-1]
    if not prefix:
        words = [(far, LN2 + 0.09, f"JS saturates at ln 2 = {LN2:.3f}", "right", COLOURS["JS"])]
        words += (
            [(0.06, top * 0.95, "KL = ∞ at once; the dots are critics that claim otherwise", "left", COLOURS["KL"])]
            if law == "uniforms"
            else []
        )
    else:
        words = [(far, 1.12, "W1 always pulls, with slope 1", "right", COLOURS["W1"])]
        dead = "JS: slope 0, nothing to descend" if law == "uniforms" else "JS: slope dies"
        words += [(far, 0.12, dead, "right", COLOURS["JS"])]
        words += (
            [(0.06, top * 0.95, "KL has no slope where it is ∞", "left", COLOURS["KL"])] if law == "uniforms" else []
        )
    layers = [
        alt.Chart(inline([{"x": x, "y": y, "says": says}]))
        .mark_text(align=align, color=colour, fontSize=11)
        .encode(alt.X("x:Q"), alt.Y("y:Q"), alt.Text("says:N"))
        for x, y, says, align, colour in words
    ]
    return alt.layer(*layers)


def densities(law: str) -> alt.LayerChart:
    """The two laws themselves, at three distances."""
    std, *_ = LAWS[law]
    x, rows = np.linspace(-2, 5, 701), []
    for gap in (0.0, 0.5, 1.5, 3.0):
        if law == "normals":
            y = np.exp(-0.5 * ((x - gap) / std) ** 2) / (std * math.sqrt(2 * math.pi))
        else:
            y = ((x >= gap) & (x <= gap + 1)).astype(float)
        name = "stays" if gap == 0 else f"moved {gap:g}"
        rows += [{"x": a, "y": b, "law": name} for a, b in zip(x, y, strict=True)]
    stays = alt.Chart(inline([r for r in rows if r["law"] == "stays"])).mark_area(color="#c9c9c9", interpolate="linear")
    moved = alt.Chart(inline([r for r in rows if r["law"] != "stays"])).mark_line(color="#555555", strokeWidth=1.2)
    x_axis, y_axis = alt.X("x:Q", title="x"), alt.Y("y:Q", title="density", axis=alt.Axis(tickCount=3))
    dash = alt.StrokeDash("law:N", title="second law")
    layers = stays.encode(x_axis, y_axis) + moved.encode(x_axis, y_axis, dash)
    about = "normals of std 0.5: they always overlap" if law == "normals" else "uniforms: apart from distance 1 on"
    return layers.properties(width=330, height=80, title=f"Two {about}")


def picture(seen: dict[str, dict[str, np.ndarray]], seeds: int) -> alt.VConcatChart:
    """Laws, values and slopes; normals on the left, uniforms on the right."""
    columns = [
        alt.vconcat(densities(law), panel(law, "", seen[law], 3.2), panel(law, "d", seen[law], 3.2)) for law in LAWS
    ]
    head = alt.TitleParams(
        "Earth mover's distance, Jensen-Shannon and Kullback-Leibler as two laws part",
        subtitle=f"Lines: closed forms. Dots: trained critics, median and 10 to 90 % of {seeds} seeds.",
    )
    return alt.hconcat(*columns).properties(title=head)


def main() -> None:
    """Measure, print, draw."""
    chosen: Options = options(__doc__.splitlines()[0])
    steps = 150 if chosen.quick else 600
    seen = {law: measure(law, chosen.seeds, steps) for law in LAWS}
    exact = {law: closed(law, GAPS) for law in LAWS}
    for law in LAWS:
        say(law, exact[law], seen[law], chosen.seeds)
    print("\nTwo point masses at distance d > 0: W1 = d with slope 1, JS = ln 2 with slope 0, KL infinite.")
    numbers = {"distances": GAPS, "steps": steps, "closed": exact, "measured": seen}
    chosen.done("distances_as_two_laws_part", picture(seen, chosen.seeds), numbers)


if __name__ == "__main__":
    main()

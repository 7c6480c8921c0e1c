"""A Wasserstein GAN with weight clipping learns a normal on a line, at three clips.

The generator starts near 0, the data are N(4, 0.5^2) (`toy:normal1d`), so at the start W1 is about 4. What to see:

- the critic's raw gap is as small or as large as the clip allows (at most clip^L width^(L-1) times W1): a loss of
  .001 is no sign of vanishing gradients;
- divided by the critic's own slope the gap follows the true W1, measured on rows no critic sees;
- both end at 0, the level of equality, and the loss of the generator has no level at all;
- but a clip that is too small leaves a critic that is exactly flat in the end, and one that is too large a rough ride.

Published settings (clip .01, rate 5e-5) are for networks a thousand times larger; the rate here is whichloss's default.
"""

import altair as alt
import numpy as np
import torch
from replay.critics import Held, linear, look, trained
from replay.lanes import DEPTH, FRESH, WIDTH, Curves, distances, draw, lanes_of, replay
from replay.laws import steepest
from replay.show import BLUE, INK, OCHRE, PIXELS, Options, band, beside, inline, level, options, spread, table
from torch import Tensor

from whichloss.data import find_toy
from whichloss.losses.adversarial import wasserstein_critic, wasserstein_generator
from whichloss.objectives import Nets, find

CLIPS = (0.03, 0.1, 0.3)
FLAT = 1e-6  # a slope below this is none
SHOWN = (0.01, 0.1, 1.0)  # shares of the run whose samples and critics are drawn
TOY = find_toy("toy:normal1d")[0]
GRID = torch.linspace(-1, 7, 161)[:, None]


def train(seeds: int, steps: int) -> dict[float, Curves]:
    """One group of seeds for every clip."""
    rows, fresh = draw(TOY, seeds), draw(TOY, seeds, FRESH, first=1000)
    return {
        clip: replay(lanes_of(find("wgan")(clip=clip), rows), steps, fresh, wasserstein_generator, SHOWN, GRID)
        for clip in CLIPS
    }


def steepest_seen(curves: Curves) -> np.ndarray:
    """The largest slope of every seed's critic, on the grid, at any time kept."""
    step = float(GRID[1, 0] - GRID[0, 0])
    return np.max([np.abs(np.diff(f, axis=1)).max(1) / step for f in curves.critics.values()], axis=0)


def over_slope(curves: Curves) -> np.ndarray:
    """Gap / slope (points, seeds); a critic that is flat where the samples lie has none."""
    return np.where(curves.of("slope") > FLAT, curves.of("critic gap / slope"), np.nan)


def flat(curves: Curves) -> int:
    """How many seeds end with a critic that is flat where the samples lie: it can no longer move them."""
    return int((curves.of("slope")[-1] <= FLAT).sum())


def linear_gap(seeds: int, steps: int) -> tuple[np.ndarray, float]:
    """O10: a linear critic, |w| <= c, against N(1, 0.5^2): its gap must become c |difference of means|."""
    clip, rows = 0.1, draw(TOY, seeds)
    lanes, weights = trained(
        Held(find("wgan")(latent=1, n_critic=1, clip=clip), mean=1.0, std=0.5), rows, steps, build=linear
    )

    def gap(nets: Nets, x: Tensor, fake: Tensor) -> Tensor:
        return -wasserstein_critic(nets.D(x), nets.D(fake)).mean()

    return look(lanes, weights, draw(TOY, seeds, FRESH, first=1000), gap).double().numpy(), clip * 3.0


def say(found: dict[float, Curves], gap: np.ndarray, expected: float, seeds: int) -> None:
    """The tables."""
    rows = []
    for clip, c in found.items():
        sizes = [f"{clip:g}", f"{steepest(clip, WIDTH, DEPTH):.4f}", spread(steepest_seen(c), 4)]
        gaps = [spread(-c.of("L_D")[0], 4), spread(over_slope(c)[0]), spread(c.of("W1")[0])]
        rows.append([*sizes, *gaps, str(flat(c))])
    head = [
        "clip",
        "slope bound (O10)",
        "steepest seen",
        "first gap",
        "gap / slope",
        "true W1",
        "flat critics at the end",
    ]
    table(f"WGAN with clipping on N(4, 0.5^2): mean ± sd over {seeds} seeds; the first step", head, rows)
    rows = []
    for clip, c in found.items():
        gaps = [spread(-c.final("L_D"), 4), spread(np.nanmean(over_slope(c)[-10:], 0))]
        law = [spread(c.samples[1.0].mean(1)), spread(c.samples[1.0].std(1))]
        rows.append([f"{clip:g}", *gaps, spread(c.final("W1")), spread(c.final("W1 averaged")), *law])
    rows.append(["data", "0", "0", spread(floor(seeds)), "", "4", "0.5"])
    head = ["clip", "last gap", "gap / slope", "true W1", "W1 of averaged weights", "their mean", "their std"]
    table("The end (losses and W1: second half of the run; mean and std: the last samples)", head, rows)
    rows = [[f"{expected:.4f}", spread(gap, 4)]]
    table("O10: gap of a linear critic, |w| <= 0.1, against N(1, 0.5^2)", ["closed form", "measured"], rows)


def floor(seeds: int) -> np.ndarray:
    """W1 of real rows against other real rows, as many as are judged: no generator can be told to be better."""
    return distances(draw(TOY, seeds, FRESH, first=1000), draw(TOY, seeds, FRESH, first=2000)).numpy()


def critics(curves: Curves, clip: float) -> alt.LayerChart:
    """The critic of every shown moment, first seed, divided by its slope: how it leans."""
    rows = []
    for share, f in curves.critics.items():
        own = f[0] / max(float(np.abs(np.diff(f[0])).max() / 0.05), 1e-12)
        rows += [
            {"x": float(x), "y": float(y - own[0]), "when": f"{share:.0%}"}
            for x, y in zip(GRID[:, 0], own, strict=True)
        ]
    colours = alt.Scale(domain=[f"{s:.0%}" for s in SHOWN], range=[OCHRE, BLUE, INK])
    line = (
        alt.Chart(inline(rows))
        .mark_line(strokeWidth=1.5)
        .encode(
            alt.X("x:Q", title="x"),
            alt.Y("y:Q", title="f(x) / steepest slope"),
            alt.Color("when:N", title="share of the run", scale=colours, sort=None),
        )
    )
    return line.properties(title=f"critic, clip {clip:g} (one seed)", **PIXELS)


def column(curves: Curves, clip: float) -> alt.VConcatChart:
    """One clip, top to bottom: raw gap, gap / slope with true W1, pull, critics, samples beside the data."""
    x, felt = curves.share, curves.of("gradient at x")
    bound = steepest(clip, WIDTH, DEPTH)
    same = alt.Scale(type="symlog", constant=1e-4, domain=[-1, 5], nice=False)
    straight = alt.Scale(domain=[-1, 5], nice=False)
    log = alt.Scale(type="log", domain=[1e-5, 100], nice=False)
    edges = np.linspace(-1, 7, 81)
    real = draw(TOY, 1, FRESH, first=1000)[0, :, 0].numpy()
    charts = [
        band(x, -curves.of("L_D"), title=f"clip {clip:g}: the critic's gap, raw", y="-L_D (symlog)", scale=same)
        + level(0, "equality: 0", 1, below=True),
        band(x, over_slope(curves), title="gap / slope (blue), true W1 (black)", y="distance", scale=straight)
        + band(x, curves.of("W1"), title="", y="distance", scale=straight, colour=INK)
        + level(0, "equality: 0", 1, below=True),
        band(x, np.where(felt > 0, felt, np.nan), title="pull on a sample, raw", y="|dL_G/dx| (log)", scale=log)
        + level(bound, f"no critic is steeper: {bound:.2g}", 1),
        critics(curves, clip),
    ]
    charts += [
        beside(
            real, curves.samples[s][0], edges, title=f"samples at {s:.0%} of the run, data in grey", x="x (one seed)"
        )
        for s in SHOWN
    ]
    return alt.vconcat(*charts)


def picture(found: dict[float, Curves], seeds: int) -> alt.HConcatChart:
    """One column for every clip."""
    head = alt.TitleParams(
        "WGAN with weight clipping on a normal: read the gap divided by the slope, never the raw loss",
        subtitle=f"Line: median of {seeds} seeds; band: 10 to 90 %. The generator starts near 0, the data lie at 4.",
    )
    return alt.hconcat(*[column(c, clip) for clip, c in found.items()]).properties(title=head)


def numbers(found: dict[float, Curves], gap: np.ndarray, expected: float) -> dict[str, object]:
    """What the JSON holds: every curve, point by point and seed by seed."""
    return {
        "W1 of real rows": floor(len(gap)),
        "linear critic": {"expected": expected, "measured": gap},
        "clips": {
            str(clip): {
                "share": c.share,
                "curves": {name: c.of(name) for name in c.named},
                "flat at the end": flat(c),
                "slope bound": steepest(clip, WIDTH, DEPTH),
                "steepest seen": steepest_seen(c),
                "sample mean": c.samples[1.0].mean(1),
                "sample std": c.samples[1.0].std(1),
            }
            for clip, c in found.items()
        },
    }


def main() -> None:
    """Train, print, draw."""
    chosen: Options = options(__doc__.splitlines()[0])
    found = train(chosen.seeds, 150 if chosen.quick else 1500)
    gap, expected = linear_gap(chosen.seeds, 1000)
    say(found, gap, expected, chosen.seeds)
    chosen.done("wgan_clipping_1d", picture(found, chosen.seeds), numbers(found, gap, expected))


if __name__ == "__main__":
    main()

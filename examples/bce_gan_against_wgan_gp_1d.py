"""BCE-GAN against WGAN-GP on a line: what their curves mean, which levels they must reach, and which one to use.

Both learn one normal far from where the generator starts (`toy:normal1d`) and two normals (`toy:two-normals-1d`), the
latter also standardised, as whichloss encodes its data; 16 seeds each, same rows, networks and counted compute. See:

- a BCE critic rests at 2 ln 2, its generator at ln 2; a lower critic loss is a JS distance, or a number of lost modes;
- a WGAN-GP critic rests at 0; on the way its gap is a distance only after division by its slope, which the penalty
  lets run far above 1; its generator's loss has no level;
- raw gradients of the two cannot be compared; divided by the critic's slope a sample of WGAN-GP is always pulled by 1,
  one of the BCE-GAN by sigma(-D), 1/2 at rest.

Then the oracles O1 to O12, and at the end the verdict of `whichloss.compare` on the two.
"""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import torch
from replay.lanes import FRESH, Curves, distances, draw, lanes_of, network, replay
from replay.laws import LN2, modes_of_bce
from replay.oracles import Oracle, all_oracles
from replay.show import BLUE, INK, OCHRE, Options, band, beside, level, options, spread, table
from torch import Tensor

import whichloss
from whichloss.data import Toy, find_toy
from whichloss.losses.adversarial import bce_generator, wasserstein_generator
from whichloss.metrics import modes
from whichloss.objectives import find
from whichloss.train import flops_per_step

COMPUTE = 1e10  # counted floating-point operations per run
SMALL = {"width": 185, "height": 100}
BATCH = 256  # as in whichloss.compare
STEPS = 600  # of the critics of the oracles
LEFT_OUT = {"sentence": "left out by --quick."}
VERDICT_ON, ROWS = "two-normals-1d", 3000


@dataclass(frozen=True)
class Data:
    """A toy, as it is or divided by `scale`; all distances are reported in the toy's own units."""

    name: str
    toy: Toy
    low: float
    high: float
    scale: float = 1.0

    def rows(self, seeds: int, n: int = 4000, first: int = 0) -> Tensor:
        """What the networks see: (seeds, n, 1)."""
        return draw(self.toy, seeds, n, first) / self.scale

    @property
    def centres(self) -> Tensor:
        """Of the modes, in the toy's units."""
        assert self.toy.centers is not None
        return torch.from_numpy(self.toy.centers)


NORMAL, TWO = find_toy("toy:normal1d")[0], find_toy("toy:two-normals-1d")[0]
DATA = (
    Data("one normal", NORMAL, 0.0, 7.0),
    Data("two normals", TWO, -5.0, 5.0),
    Data("two normals, standardised", TWO, -5.0, 5.0, scale=math.sqrt(2.0**2 + TWO.std**2)),
)


@dataclass(frozen=True)
class Player:
    """An objective as it is drawn: its colour, the loss its generator descends, and the levels at rest."""

    name: str
    colour: str
    loss: Callable[[Tensor], Tensor]
    critic: tuple[float, str]
    generator: tuple[float, str] | None
    pull: tuple[float, str]


PLAYERS = (
    Player("gan", OCHRE, bce_generator, (2 * LN2, "2 ln 2"), (LN2, "ln 2"), (0.5, "at rest: 1/2")),
    Player("wgan-gp", BLUE, wasserstein_generator, (0.0, "0"), None, (1.0, "always 1")),
)
Found = dict[tuple[Data, str], Curves]


def train(seeds: int, compute: float, chosen: Sequence[Data] = DATA) -> Found:
    """Every objective on all chosen data, at the same counted compute."""
    found: Found = {}
    for data in chosen:
        fresh = data.rows(seeds, FRESH, first=1000)
        for player in PLAYERS:
            lanes = lanes_of(find(player.name)(), data.rows(seeds), batch=BATCH)
            steps = int(compute / flops_per_step(lanes))
            grid = torch.linspace(data.low, data.high, 161)[:, None] / data.scale
            found[data, player.name] = replay(lanes, steps, fresh, player.loss, (1.0,), grid)
    return found


def samples(c: Curves, data: Data) -> np.ndarray:
    """What every seed drew at the end, in the toy's units: (seeds, n)."""
    return c.samples[1.0] * data.scale


def w1(c: Curves, data: Data, name: str = "W1") -> np.ndarray:
    """The distance to new rows, in the toy's units: (points, seeds)."""
    return c.of(name) * data.scale


def covered(c: Curves, data: Data) -> np.ndarray:
    """Modes every seed's samples cover, by count."""
    rows = torch.from_numpy(samples(c, data))[:, :, None]
    return np.array([modes(x, data.centres, data.toy.std).covered for x in rows])


def implied(c: Curves, data: Data) -> np.ndarray:
    """How many modes every seed's BCE critic loss stands for, over the second half of the run."""
    return np.array([modes_of_bce(float(loss), len(data.centres)) for loss in c.final("L_D")])


def floor(data: Data, seeds: int) -> np.ndarray:
    """W1 of real rows against other real rows, in the toy's units."""
    real = [data.rows(seeds, FRESH, first=first) * data.scale for first in (1000, 2000)]
    return distances(*real).numpy()


def say(found: Found, seeds: int) -> None:
    """Where the curves end."""
    rows = []
    for (data, objective), c in found.items():
        loss, bce = c.final("L_D"), objective == "gan"
        gap = c.final("critic gap / slope") * data.scale if not bce else None
        means = f"JS {spread(np.maximum(LN2 - loss / 2, 0))}" if gap is None else f"gap / slope {spread(gap)}"
        levels = ("1.386", "0.693") if bce else ("0", "none")
        row = [data.name, objective, spread(loss), levels[0], means, spread(c.final("L_G")), levels[1]]
        rows.append([*row, spread(c.final("slope"), 2), spread(c.final("gradient at x / slope"), 2)])
    head = ["data", "objective", "L_D", "at rest", "which means", "L_G", "at rest", "critic's slope", "pull / slope"]
    table(f"Losses over the second half of the run, mean ± sd over {seeds} seeds", head, rows)
    rows = []
    for (data, objective), c in found.items():
        told = spread(implied(c, data), 2) if objective == "gan" else "none"
        last, raw = w1(c, data, "W1 averaged")[-1], w1(c, data)[-1]
        worst, count = f"{last.max():.3f}", str(len(data.centres))
        rows.append([data.name, objective, spread(raw), spread(last), worst, spread(covered(c, data), 2), count, told])
    rows += [
        [data.name, "real rows", spread(floor(data, seeds)), "", "", "", "", ""]
        for data in dict.fromkeys(data for data, _ in found)
    ]
    head = [
        "data",
        "objective",
        "W1 to new rows",
        "W1 of averaged weights",
        "worst seed",
        "modes covered",
        "of",
        "modes L_D stands for",
    ]
    table("Samples at the end", head, rows)


def say_oracles(found: list[Oracle], seeds: int) -> None:
    """O1 to O12: the truth and what was measured."""
    rows = [
        [
            o.name,
            o.what,
            f"{'≤ ' * o.bound}{o.truth:.4f}",
            spread(o.seen, 4),
            f"{o.slack:.2g}",
            "yes" if o.holds else "NO",
        ]
        for o in found
    ]
    rows.append(["O8", "BEGAN's equilibrium: no BEGAN is shipped, so nothing is checked", "", "", "", ""])
    rows.sort(key=lambda row: int(row[0][1:]))
    table(f"Oracles, mean ± sd over {seeds} seeds", ["", "what", "truth", "measured", "slack", "holds"], rows)


def losses(c: Curves, player: Player, data: Data) -> list[Any]:
    """Panels: the critic's loss, the generator's, each with its equilibrium; the distance."""
    name, colour, x = player.name, player.colour, c.share
    scale = alt.Scale(domain=[0, 3], clamp=True) if name == "gan" else alt.Scale(type="symlog", constant=1)
    far = alt.Scale(domain=[-0.5, 4.5], nice=False)
    critic = band(x, c.of("L_D"), title=f"{name}: critic's loss", y="L_D", scale=scale, colour=colour)
    generator = [band(x, c.of("L_G"), title=f"{name}: generator's loss", y="L_G", scale=scale, colour=colour)]
    if player.generator:
        generator.append(level(player.generator[0], f"equilibrium {player.generator[1]}", 1))
    says = "W1 to new rows (black)"
    distance = [band(x, w1(c, data), title=says, y="distance", scale=far, colour=INK)]
    if name == "wgan-gp":
        own = c.of("critic gap / slope") * data.scale
        distance.append(band(x, own, title=f"{says}, gap / slope", y="distance", scale=far, colour=colour))
        distance[0].title = f"{says}, gap / slope (blue)"
    return [
        alt.layer(critic, level(player.critic[0], f"equilibrium {player.critic[1]}", 1)),
        alt.layer(*generator),
        alt.layer(*distance, level(0, "equality 0", 1, below=True)),
    ]


def gradients(c: Curves, player: Player) -> list[Any]:
    """Panels: the pull on a sample and on the weights, raw and divided by the critic's slope."""
    log = alt.Scale(type="log", domain=[1e-3, 100], nice=False)
    charts = []
    for what, title, y in (
        ("gradient at x", "pull on a sample", "|dL_G/dx|"),
        ("gradient of G", "gradient of G's weights", "|dL_G/dG|"),
    ):
        raw = np.where(c.of(what) > 0, c.of(what), np.nan)
        charts.append(band(c.share, raw, title=f"{title}, raw", y=f"{y} (log)", scale=log, colour=player.colour))
        own, pull = c.of(f"{what} / slope"), what == "gradient at x"
        scale = alt.Scale(domain=[0, 1.3], nice=False) if pull else log
        panel = band(c.share, own, title=f"{title} / slope", y=y, scale=scale, colour=player.colour)
        charts.append(alt.layer(panel, level(*player.pull, 1)) if pull else panel)
    return charts


def column(c: Curves, data: Data, player: Player) -> Any:
    """One objective on one data set, top to bottom; below the samples of its best and its worst seed."""
    real = (data.rows(1, FRESH, first=1000)[0, :, 0] * data.scale).numpy()
    edges, order = np.linspace(data.low, data.high, 71), np.argsort(w1(c, data, "W1 averaged")[-1])
    drawn = [
        beside(real, samples(c, data)[seed], edges, title=f"{which} seed, data in grey", x="x", colour=player.colour)
        for which, seed in (("best", order[0]), ("worst", order[-1]))
    ]
    charts = [chart.properties(**SMALL) for chart in (*losses(c, player, data), *gradients(c, player), *drawn)]
    return alt.vconcat(*charts).properties(title=f"{player.name} on {data.name}")


def picture(found: Found, seeds: int, verdict: str) -> Any:
    """One column for every objective on every data set."""
    columns = [column(c, data, next(p for p in PLAYERS if p.name == o)) for (data, o), c in found.items()]
    head = alt.TitleParams(
        "BCE-GAN (ochre) against WGAN-GP (blue) at equal compute; dashed red: where theory says they rest",
        subtitle=[f"Line: median of {seeds} seeds; band: 10 to 90 %.", f"Verdict on {VERDICT_ON}: {verdict}"],
    )
    return alt.hconcat(*columns).properties(title=head)


def ask(seeds: int, compute: float) -> dict[str, Any]:
    """The verdict the tool gives, with the networks of this experiment."""
    with tempfile.TemporaryDirectory() as folder:
        found = whichloss.compare(
            f"toy:{VERDICT_ON}:{ROWS}",
            objectives=["gan", "wgan-gp"],
            nets={"G": network, "D": network},
            budget=compute,
            seeds=seeds,
            out=Path(folder) / "run",
        )
        rows = [[r.name, r.role, spread(r.scores, 4), str(r.failures)] for r in found.study.ranked()]
        answer = found.study.answer
    title = (
        f"whichloss.compare on {VERDICT_ON}: {compute:.1e} operations per run, {seeds} fresh seeds, MMD² (less is best)"
    )
    table(title, ["", "role", "score", "failed"], rows)
    print(f"\nVerdict: {answer.kind}. {answer.sentence}\n{answer.reason}\n{answer.caution}")
    return {"kind": answer.kind, "recommended": answer.recommended, "sentence": answer.sentence, "rows": rows}


def numbers(found: Found, oracles: list[Oracle], verdict: dict[str, Any]) -> dict[str, Any]:
    """What the JSON holds."""
    runs = {
        f"{data.name}/{objective}": {
            "share": c.share,
            "scale": data.scale,
            "curves": {k: c.of(k) for k in c.named},
            "modes covered": covered(c, data).tolist(),
        }
        for (data, objective), c in found.items()
    }
    known = [
        {
            "name": o.name,
            "what": o.what,
            "truth": o.truth,
            "measured": o.seen,
            "slack": o.slack,
            "bound": o.bound,
            "holds": o.holds,
        }
        for o in oracles
    ]
    return {"runs": runs, "oracles": known, "verdict": verdict}


def main() -> None:
    """Train, check, ask, print, draw."""
    chosen: Options = options(__doc__.splitlines()[0], budget=COMPUTE)
    found = train(chosen.seeds, chosen.budget, DATA[-1:] if chosen.quick else DATA)
    say(found, chosen.seeds)
    oracles = all_oracles(chosen.seeds, STEPS)
    say_oracles(oracles, chosen.seeds)
    verdict = LEFT_OUT if chosen.quick else ask(chosen.seeds, chosen.budget)
    name = "bce_gan_against_wgan_gp_1d"
    chosen.done(name, picture(found, chosen.seeds, verdict["sentence"]), numbers(found, oracles, verdict))


if __name__ == "__main__":
    main()

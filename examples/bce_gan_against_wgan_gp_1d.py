"""BCE-GAN against WGAN-GP on a line: what their curves mean, which levels they must reach, and which one to use.

Both objectives learn `toy:normal1d` (one normal, far from where the generator starts) and `toy:two-normals-1d` (two
modes), 16 seeds each, the same rows, networks and counted compute. What to see:

- a BCE critic rests at 2 ln 2, its generator at ln 2; a lower critic loss is a JS distance, or a number of lost modes;
- a WGAN-GP critic rests at 0, on the way its gap is a distance only after division by its slope, which the penalty lets
  run far above 1; its generator's loss means nothing;
- raw gradients of the two cannot be compared; divided by the critic's slope a sample of WGAN-GP is always pulled by 1,
  one of the BCE-GAN by sigma(-D), 1/2 at rest.

Then the oracles O1 to O12, and at the end the verdict of `whichloss.compare` on the two.
"""

import tempfile
from collections.abc import Callable
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
from whichloss.data import find_toy
from whichloss.losses.adversarial import bce_generator, wasserstein_generator
from whichloss.metrics import modes
from whichloss.objectives import find
from whichloss.train import flops_per_step

TOYS = ("normal1d", "two-normals-1d")
VERDICT_ON, ROWS = "two-normals-1d", 3000  # the data of the verdict
RANGE = {"normal1d": (0.0, 7.0), "two-normals-1d": (-5.0, 5.0)}
COMPUTE = 1e10  # counted floating-point operations per run


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
Found = dict[tuple[str, str], Curves]


def train(seeds: int, compute: float) -> Found:
    """Every objective on every toy, at the same counted compute."""
    found: Found = {}
    for name in TOYS:
        toy = find_toy(f"toy:{name}")[0]
        rows, fresh = draw(toy, seeds), draw(toy, seeds, FRESH, first=1000)
        for player in PLAYERS:
            lanes = lanes_of(find(player.name)(), rows)
            steps = int(compute / flops_per_step(lanes))
            grid = torch.linspace(*RANGE[name], 161)[:, None]
            found[name, player.name] = replay(lanes, steps, fresh, player.loss, (1.0,), grid)
    return found


def covered(curves: Curves, name: str) -> np.ndarray:
    """Modes every seed's samples cover, by count."""
    toy = find_toy(f"toy:{name}")[0]
    assert toy.centers is not None
    centres = torch.from_numpy(toy.centers)
    return np.array([modes(torch.from_numpy(x)[:, None], centres, toy.std).covered for x in curves.samples[1.0]])


def floor(name: str, seeds: int) -> np.ndarray:
    """W1 of real rows against other real rows."""
    toy = find_toy(f"toy:{name}")[0]
    return distances(draw(toy, seeds, FRESH, first=1000), draw(toy, seeds, FRESH, first=2000)).numpy()


def say(found: Found, seeds: int) -> None:
    """Where the curves end."""
    rows = []
    for (name, objective), c in found.items():
        bce = objective == "gan"
        loss, pull = c.final("L_D"), c.final("gradient at x / slope")
        meaning = (
            f"JS {spread(np.maximum(LN2 - loss / 2, 0))}"
            if bce
            else f"gap / slope {spread(c.final('critic gap / slope'))}"
        )
        rows.append(
            [
                name,
                objective,
                spread(loss),
                "1.386" if bce else "0",
                meaning,
                spread(c.final("L_G")),
                "0.693" if bce else "none",
            ]
        )
        rows[-1] += [spread(c.final("slope"), 2), spread(pull, 2)]
    head = ["data", "objective", "L_D", "at rest", "which means", "L_G", "at rest", "critic's slope", "pull / slope"]
    table(f"Losses over the second half of the run, mean ± sd over {seeds} seeds", head, rows)
    rows = []
    for (name, objective), c in found.items():
        count = len(find_toy(f"toy:{name}")[0].centers)
        implied = np.array([modes_of_bce(float(v), count) for v in c.final("L_D")])
        told = spread(implied, 2) if objective == "gan" else "none"
        rows.append([name, objective, spread(c.of("W1 averaged")[-1]), spread(covered(c, name), 2), str(count), told])
    rows += [[name, "real rows", spread(floor(name, seeds)), "", "", ""] for name in TOYS]
    table(
        "Samples at the end",
        ["data", "objective", "W1 to new rows", "modes covered", "of", "modes L_D stands for"],
        rows,
    )


def say_oracles(found: list[Oracle], seeds: int) -> None:
    """O1 to O12: the truth and what was measured."""
    rows = [
        [o.name, o.what, f"{o.truth:.4f}", spread(o.seen, 4), f"{o.slack:.2g}", "yes" if o.holds else "NO"]
        for o in found
    ]
    rows.append(["O8", "BEGAN's equilibrium: no BEGAN is shipped, so nothing is checked", "", "", "", ""])
    rows.sort(key=lambda row: int(row[0][1:]))
    table(f"Oracles, mean ± sd over {seeds} seeds", ["", "what", "truth", "measured", "slack", "holds"], rows)


def column(c: Curves, name: str, player: Player) -> alt.VConcatChart:
    """One objective on one toy: losses, distance, gradients, samples beside the data."""
    x, far = c.share, {"normal1d": 4.5, "two-normals-1d": 2.5}[name]
    at = alt.Scale(domain=[0, 3]) if player.name == "gan" else alt.Scale(type="symlog", constant=1, domain=[-60, 60])
    loss = at if player.name == "gan" else alt.Scale(type="symlog", constant=1)
    rest = [level(player.critic[0], f"equilibrium: {player.critic[1]}", 1)]
    generator = [level(player.generator[0], f"equilibrium: {player.generator[1]}", 1)] if player.generator else []
    distance, pulls = alt.Scale(domain=[-0.5, far], nice=False), alt.Scale(domain=[0, 1.3], nice=False)
    log = alt.Scale(type="log", domain=[1e-3, 100], nice=False)
    draw_ = lambda curve, title, y, scale, colour=player.colour: band(
        x, curve, title=title, y=y, scale=scale, colour=colour
    )
    positive = lambda curve: np.where(curve > 0, curve, np.nan)
    own = [draw_(c.of("critic gap / slope"), "", "distance", distance)] if player.name == "wgan-gp" else []
    real = draw(find_toy(f"toy:{name}")[0], 1, FRESH, first=1000)[0, :, 0].numpy()
    says = "W1 to new rows (black), gap / slope (blue)" if own else "W1 to new rows"
    charts = [
        alt.layer(draw_(c.of("L_D"), f"{player.name} on {name}: critic's loss", "L_D", at), *rest),
        alt.layer(draw_(c.of("L_G"), "generator's loss", "L_G", loss), *generator),
        alt.layer(draw_(c.of("W1"), says, "distance", distance, INK), *own, level(0, "equality: 0", 1, below=True)),
        draw_(positive(c.of("gradient at x")), "pull on a sample, raw", "|dL_G/dx| (log)", log),
        alt.layer(
            draw_(c.of("gradient at x / slope"), "pull on a sample / critic's slope", "pull", pulls),
            level(*player.pull, 1),
        ),
        draw_(positive(c.of("gradient of G")), "gradient of the generator's weights, raw", "|dL_G/dG| (log)", log),
        draw_(positive(c.of("gradient of G / slope")), "the same / critic's slope", "|dL_G/dG| (log)", log),
        beside(
            real,
            c.samples[1.0][0],
            np.linspace(*RANGE[name], 71),
            title="samples at the end (one seed), data in grey",
            x="x",
            colour=player.colour,
        ),
        beside(
            real,
            c.samples[1.0].ravel(),
            np.linspace(*RANGE[name], 71),
            title="samples of all seeds, data in grey",
            x="x",
            colour=player.colour,
        ),
    ]
    return alt.vconcat(*charts)


def picture(found: Found, seeds: int, verdict: str) -> alt.HConcatChart:
    """One column for every objective on every toy."""
    columns = [column(c, name, next(p for p in PLAYERS if p.name == o)) for (name, o), c in found.items()]
    head = alt.TitleParams(
        "BCE-GAN (ochre) against WGAN-GP (blue): the same compute, levels of rest in red",
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
    title = f"whichloss.compare on {VERDICT_ON}, {compute:.1e} operations per run, {seeds} fresh seeds, MMD² (less is better)"
    table(title, ["", "role", "score", "failed"], rows)
    print(f"\nVerdict: {answer.kind}. {answer.sentence}\n{answer.reason}\n{answer.caution}")
    return {"kind": answer.kind, "recommended": answer.recommended, "sentence": answer.sentence, "rows": rows}


def numbers(found: Found, oracles: list[Oracle], verdict: dict[str, Any]) -> dict[str, Any]:
    """What the JSON holds."""
    runs = {
        f"{name}/{objective}": {
            "share": c.share,
            "curves": {k: c.of(k) for k in c.named},
            "modes covered": covered(c, name).tolist(),
        }
        for (name, objective), c in found.items()
    }
    known = [
        {"name": o.name, "what": o.what, "truth": o.truth, "measured": o.seen, "slack": o.slack, "holds": o.holds}
        for o in oracles
    ]
    return {"runs": runs, "oracles": known, "verdict": verdict}


def main() -> None:
    """Train, check, ask, print, draw."""
    chosen: Options = options(__doc__.splitlines()[0], budget=COMPUTE)
    found = train(chosen.seeds, chosen.budget)
    say(found, chosen.seeds)
    oracles = all_oracles(chosen.seeds, 200 if chosen.quick else 600)
    say_oracles(oracles, chosen.seeds)
    verdict = ask(chosen.seeds, chosen.budget)
    name = "bce_gan_against_wgan_gp_1d"
    chosen.done(name, picture(found, chosen.seeds, verdict["sentence"]), numbers(found, oracles, verdict))


if __name__ == "__main__":
    main()

"""A margin of energies that never or always acts."""

from collections.abc import Iterator

from ...task import Finding
from ..outcome import badly
from ..say import Say
from ..trace import Trace, late

HIGH = 10.0  # times the energy of data: samples lie far off
HALF = 0.6  # of the coverage: no other rule sees what a hinge that is always on costs


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        pulled, here = game.curves.get("rows pulled", []), game.curves.get("energy of real", [])
        share, real = late(pulled), late(here)
        if real is None or len(pulled) < 5:
            continue  # not an autoencoder that judges
        made = -(game.late("made score") or 0.0)
        if share is not None and share < 0.02:
            yield say.told(
                badly(game) or made > HIGH * real,
                "margin always off",
                f"The energies of samples (about {made:.3g}) lie above the margin: {judge} stopped learning from them.",
                "The margin is too small.",
                "Raise it, towards some times the energy of data at the start.",
                {"rows pulled": share},
                "Zhao et al., 2017",
            )
        elif share is not None and share > 0.98 and badly(game, HALF):
            yield say.fault(
                "margin always on",
                f"No sample ever reaches the margin; {judge} raises energies without end (samples {made:.3g}, data "
                f"{real:.3g}).",
                "The margin is out of reach.",
                "Lower it, towards some times the energy of data at the start.",
                {"rows pulled": share},
                "Zhao et al., 2017",
            )

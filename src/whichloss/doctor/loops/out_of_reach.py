"""Data where the maker cannot come."""

from collections.abc import Iterator

import numpy as np

from ...task import Finding
from ..say import Say
from ..trace import Trace


def rule(trace: Trace, say: Say) -> Iterator[Finding]:
    for (maker, _judge), game in trace.games.items():
        if maker not in trace.networks:
            continue
        if len(game.made) < 64 or len(game.real) < 64 or not len(game.first_made):
            continue
        bound = float(np.abs(np.concatenate([game.made, game.first_made])).max())
        outside = float((np.abs(game.real) > 1.0 + 1e-6).mean())
        if bound <= 1.0 + 1e-6 and outside > 0.01 and trace.networks[maker].facts.get("ends in tanh"):
            yield say.fault(
                "contract: out of reach",
                f"{maker} ends in a tanh, within -1 and 1; {outside:.0%} of the data's numbers lie outside.",
                "The data were not scaled for it.",
                "Scale the data into [-1, 1], or end the network in a linear layer.",
                {"outside": outside},
            )

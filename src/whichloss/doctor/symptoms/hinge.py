"""A margin that never or always acts. "hinge ..." is 1 at equilibrium, "... margin" is not."""

from collections.abc import Iterator

from ...task import Finding
from ..record import Record


def rule(record: Record) -> Iterator[Finding]:
    near = [(n, v) for n, v in record.late("hinge").items() if v < 0.02]
    held = [(n, v) for n, v in record.late("margin").items() if not 0.02 <= v <= 0.98]
    for name, value in near + held:
        off = value < 0.02
        yield record.say.fault(
            "hinge always off" if off else "hinge always on",
            f"'{name}' is {value:.1%} in the second half of the run.",
            "The margin lies below every sample's energy, so the critic stops learning from samples."
            if off
            else "The margin is out of reach, so the critic only pushes samples' energies up.",
            "Raise the margin, or lower the critic's lr."
            if off
            else "Lower the margin, towards the energy of real rows.",
            {name: value},
            "Zhao et al., 2017",
        )

"""The Metropolis-adjusted Langevin algorithm: a Langevin step, and the test that makes it exact."""

from torch import Tensor

from ..errors import UserError
from ..rng import Rng
from .hmc import Chains, Energy, Hamiltonian, Length, Moved, State
from .langevin import Info


def mala(
    energy: Energy,
    x: Tensor,
    rng: Rng,
    *,
    draws: int,
    step: float | None = None,
    inverse_mass: Tensor | None = None,
    temperature: float = 1.0,
    warmup: int = 0,
    target: float = 0.574,
    keep: bool = True,
    grad: Energy | None = None,
) -> tuple[Tensor, Info]:
    """x' = x - h grad E / T + sqrt(2 h) xi, accepted with min(1, p(x') q(x | x') / (p(x) q(x' | x))), p = e^(-E / T).

    It is one leapfrog of length sqrt(2 h), h = `step`, and the ratio is e^-dH: one gradient a step. x (B, ...) -> the
    last states (B, ...), info as `hmc` returns it; with an inverse mass v a coordinate's h is v times as long. In many
    dimensions the best acceptance is .574, the `target` of a warm-up. Raises UserError as `hmc` does.
    Roberts & Tweedie (1996); Roberts & Rosenthal (1998).
    """
    if step is not None and not step > 0:
        raise UserError(f"mala needs a positive step; got step = {step}.")
    law, leap = Hamiltonian("mala", energy, grad, temperature), None if step is None else (2 * step) ** 0.5

    def move(state: State, rng: Rng, length: Length) -> tuple[State, Moved]:
        return law.propose(state, rng, length, 1)

    x, info = Chains(law, draws, warmup, target, leap, inverse_mass, keep).run(move, x, rng)
    return x, info | {"step": info["step"] ** 2 / 2}

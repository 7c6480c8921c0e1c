"""Hamiltonian Monte Carlo, and what all samplers with an accept-reject test share."""

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..rng import Rng
from .adapt import DualAveraging, Welford, reasonable_step, windows
from .diagnostics import LEAST, e_bfmi, ess, split_rhat
from .langevin import Info, plus

Energy = Callable[[Tensor], Tensor]
DIVERGENCE = 1000.0  # an error of H this large is no rounding: the trajectory has left the law


def hmc(
    energy: Energy,
    x: Tensor,
    rng: Rng,
    *,
    draws: int,
    leaps: int = 10,
    step: float | None = None,
    jitter: float = 0.5,
    inverse_mass: Tensor | None = None,
    temperature: float = 1.0,
    warmup: int = 0,
    target: float = 0.8,
    keep: bool = True,
    grad: Energy | None = None,
) -> tuple[Tensor, Info]:
    """B chains of exp(-E / T): a fresh momentum, `leaps` leapfrogs of length `step`, accepted with min(1, e^-dH).

    x (B, ...) -> the last states (B, ...), info. energy(x) (B,) must not mix rows; `grad` (B, ...) is its gradient, if
    one is at hand, else autograd's. The number of leaps is uniform over leaps (1 - jitter) .. leaps (1 + jitter),
    against resonance, and the same for all chains, which march together: one that stops would wait. A warm-up tunes the
    step (mean acceptance of all chains: `target`) and the diagonal mass (Stan's windows) and is not in the draws. Info:

    - draws (draws, B, ...), ess_bulk, ess_tail (worst coordinate, nan below 4 draws), rhat (worst): where `keep`
    - acceptance; divergences: proposals with dH > 1000; refused: with a NaN or an infinity (both count as rejected)
    - step, inverse_mass, temperature, ebfmi (worst chain), calls (gradients per chain, warm-up included)

    Raises UserError where a start has no finite energy. Duane et al. (1987); Neal (2011).
    """
    if leaps < 1 or not 0 <= jitter <= 1:
        raise UserError(f"hmc needs leaps >= 1 and 0 <= jitter <= 1; got leaps = {leaps}, jitter = {jitter}.")
    least, most = max(1, round(leaps * (1 - jitter))), max(1, round(leaps * (1 + jitter)))
    law = Hamiltonian("hmc", energy, grad, temperature)

    def move(state: State, rng: Rng, length: Length) -> tuple[State, Moved]:
        count = least if least == most else least + int(rng.integers("leaps", (), most - least + 1))
        return law.propose(state, rng, length, count)

    return Chains(law, draws, warmup, target, step, inverse_mass, keep).run(move, x, rng)


def traced_gradient(energy: Energy, x: Tensor) -> Energy:
    """grad E for chains shaped as x (B, ...), recorded once and replayed without autograd: the same numbers, sooner.

    Give it as `grad` of a long run, or -grad as the score of `langevin`: up to 3 x quicker where E is cheap, 1.1 x
    where it is a large network. To record takes a tenth of a second, and seconds the first time in a process.
    Other shapes go through autograd. Raises UserError where E cannot be recorded: it branches on values of x, or leaves
    torch.
    """
    from torch.fx.experimental.proxy_tensor import make_fx  # takes seconds to import

    shape, ones, other = x.shape, x.new_ones(len(x)), 0.9 * x.detach().flip(0) + 0.05

    def gradient(x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(energy(x), x, ones if len(x) == len(ones) else x.new_ones(len(x)))[0]

    with _frozen(energy):
        try:
            replay = make_fx(gradient)(x.detach())
        except RuntimeError as error:
            raise UserError(f"traced_gradient: the energy cannot be recorded ({error}). Do without it.") from error
        replay.graph.eliminate_dead_code()  # above all E itself, which its gradient does not need
        replay.recompile()
        with torch.no_grad():
            same = torch.allclose(replay(other), gradient(other), rtol=1e-4, atol=1e-6, equal_nan=True)
    if not same:
        why = "replayed at another point it is not autograd's: E branches on x, or leaves torch"
        raise UserError(f"traced_gradient: the energy cannot be recorded ({why}). Do without it.")

    def again(x: Tensor) -> Tensor:
        if x.shape != shape:
            return gradient(x)
        with torch.no_grad():  # weights may want gradients again
            found: Tensor = replay(x)
        return found

    return again


Length = float | Tensor


class State(NamedTuple):
    """Where the chains are, with E and grad E there, so that neither is computed again."""

    x: Tensor
    e: Tensor
    g: Tensor


class Moved(NamedTuple):
    """What a transition of every chain was like, each (B,)."""

    acceptance: Tensor
    refused: Tensor
    diverged: Tensor
    h: Tensor


Move = Callable[[State, Rng, Length], tuple[State, Moved]]


class Hamiltonian:
    """H = beta E(x) + |q|^2 / 2, q the momentum in units in which its variance is 1; counts gradients.

    A mass M enters as lengths: with p = M^(1/2) q a leap is q -= h/2 s beta grad E, x += h s q, s = M^(-1/2).
    """

    def __init__(
        self, name: str, energy: Energy, grad: Energy | None, temperature: float, heat: Tensor | None = None
    ) -> None:
        _positive(name, "temperature", temperature)
        self.name, self.energy, self.grad, self.temperature = name, energy, grad, temperature
        self.beta: Length = (
            1 / temperature if heat is None else 1 / (temperature * heat)
        )  # heat: of every row (B, 1, ...)
        self.rows, self.ones = 0, torch.ones(0)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """E (B,) and its gradient (B, ...)."""
        if self.grad is not None:
            return self.energy(x), self.gradient(x)
        self.rows += len(x)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            e = self.energy(x)
        if len(self.ones) != len(x) or self.ones.dtype != e.dtype:
            self.ones = torch.ones_like(e)
        (g,) = torch.autograd.grad(e, x, self.ones)
        return e.detach(), g

    def gradient(self, x: Tensor) -> Tensor:
        """The gradient alone."""
        if self.grad is None:
            return self.both(x)[1]
        self.rows += len(x)
        return self.grad(x)

    def start(self, x: Tensor) -> State:
        """The state at x. Raises UserError where energies have a wrong shape, or a chain no finite one."""
        name = self.name
        if not isinstance(x, Tensor):
            raise UserError(f"{name}: x must be a tensor (B, ...); got {type(x).__name__}. Give torch.as_tensor(x).")
        if x.ndim < 1 or len(x) < 1 or not x.is_floating_point():
            raise UserError(f"{name}: x must be B >= 1 chains (B, ...) of floats; got {tuple(x.shape)}, {x.dtype}.")
        shape = tuple(self.energy(x.detach()).shape)
        if shape != (len(x),):
            fix = ": write energy(x).squeeze(1)" if shape == (len(x), 1) else ""
            raise UserError(f"{name}: energy(x) must be one number per chain, ({len(x)},); got {shape}{fix}.")
        e, g = self.both(x)
        bad = ~(e.isfinite() & _flat(g).isfinite().all(dim=1))
        if bad.any():
            k = int(bad.nonzero()[0])
            rest = f", as do {int(bad.sum()) - 1} others" if bad.sum() > 1 else ""
            says = f"chain {k} starts at energy {float(e[k])} with a gradient of {float(_flat(g)[k].norm())}{rest}"
            raise UserError(f"{name}: {says}. Start every chain where the law has density.")
        return State(x.detach(), e, g)

    def total(self, e: Tensor, q: Tensor) -> Tensor:
        """H (B,)."""
        beta = self.beta if isinstance(self.beta, float) else _flat(self.beta)[:, 0]
        return beta * e + _flat(q * q).sum(dim=1) / 2

    def leapfrog(self, state: State, q: Tensor, length: Length, leaps: int) -> tuple[State, Tensor]:
        """`leaps` leaps from a state with momentum q: half a kick, drift, kick, ..., drift, half a kick."""
        x, _, g = state
        kick = -length * self.beta
        q = plus(q, g, kick / 2)
        for _ in range(leaps - 1):
            x = plus(x, q, length)
            q = _plus_(q, self.gradient(x), kick)
        x = plus(x, q, length)
        e, g = self.both(x)
        return State(x, e, g), _plus_(q, g, kick / 2)

    def propose(self, state: State, rng: Rng, length: Length, leaps: int) -> tuple[State, Moved]:
        """A transition: fresh momentum, leaps, accept or stay."""
        q = rng.normal("momentum", state.x.shape).to(state.x)
        h = self.total(state.e, q)
        new, q = self.leapfrog(state, q, length, leaps)
        h_new = self.total(new.e, q)
        error = h_new - h
        sound = error.isfinite()  # a NaN or an infinity anywhere in x, E or grad E ends up here
        accepted = sound & (rng.uniform("accept", h.shape).log() < -error)
        acceptance = torch.where(sound, error.clamp(min=0).neg().exp(), 0)
        kept = State(*(torch.where(_like(accepted, a), a, b) for a, b in zip(new, state, strict=True)))
        return kept, Moved(acceptance, ~sound, sound & (error > DIVERGENCE), torch.where(accepted, h_new, h))


@dataclass(frozen=True)
class Chains:
    """How chains run: a warm-up, then draws of the first `shown` rows; `step` and `target` may differ by level."""

    law: Hamiltonian
    draws: int
    warmup: int
    target: float
    step: float | Tensor | None
    inverse_mass: Tensor | None
    keep: bool
    levels: int = 1

    def __post_init__(self) -> None:
        name = self.law.name
        if self.draws < 1 or self.warmup < 0:
            says = f"draws = {self.draws}, warmup = {self.warmup}"
            raise UserError(f"{name} needs draws >= 1 and warmup >= 0; got {says}.")
        if not 0 < self.target < 1:
            raise UserError(f"{name} needs 0 < target < 1, the acceptance to tune to; got {self.target}.")
        if self.step is None and not self.warmup:
            raise UserError(f"{name} needs a step, or a warm-up that finds one; got neither. Give warmup=300.")
        if self.step is not None:
            _positive(name, "step", float(torch.as_tensor(self.step).min()))

    def run(self, move: Move, x: Tensor, rng: Rng) -> tuple[Tensor, Info]:
        """The last states of the first level and what every sampler's info holds."""
        with _frozen(self.law.energy), torch.no_grad():
            return self._run(move, x, rng)

    def _run(self, move: Move, x: Tensor, rng: Rng) -> tuple[Tensor, Info]:
        shown, start = len(x), self.law.start(x)
        state = State(*(part.repeat(self.levels, *[1] * (part.ndim - 1)) for part in start))
        mass = self._mass(state.x)
        state, step, mass = self._warm(move, state, rng["warmup"], mass, shown)
        length, seen = self._length(step, mass, state.x), []
        draws = state.x.new_empty((self.draws if self.keep else 0, shown, *state.x.shape[1:]))
        for i in range(self.draws):
            state, moved = move(state, rng["draws"][i], length)
            seen.append(moved)
            if self.keep:
                draws[i] = state.x[:shown]
        acceptance, refused, diverged, h = (torch.stack(parts) for parts in zip(*seen, strict=True))
        by_level = acceptance.reshape(self.draws, self.levels, shown).mean(dim=(0, 2))
        info: Info = {
            "acceptance": by_level if self.levels > 1 else float(by_level),
            "divergences": float(diverged.sum()),
            "refused": float(refused.sum()),
            "step": step if self.levels > 1 else float(step),
            "inverse_mass": torch.ones_like(state.x[0]) if mass is None else mass,
            "ebfmi": float(e_bfmi(h[:, :shown]).min()) if self.draws > 1 else math.nan,
            "temperature": self.law.temperature,
            "calls": self.law.rows / shown,
        }
        if self.keep:
            info |= {"draws": draws, **_judged(draws)}
        return state.x[:shown], info

    def _mass(self, x: Tensor) -> Tensor | None:
        mass = self.inverse_mass
        if mass is None:
            return None
        if mass.shape != x.shape[1:] or not bool((mass > 0).all()) or not bool(mass.isfinite().all()):
            says = f"positive numbers of shape {tuple(x.shape[1:])}, the variances of the coordinates"
            raise UserError(
                f"{self.law.name}: inverse_mass must be {says}; got {tuple(mass.shape)}, least {mass.min()}."
            )
        return mass.to(x)

    def _length(self, step: Tensor, mass: Tensor | None, x: Tensor) -> Length:
        """h s: a number where one serves all rows and coordinates, which is the fastest."""
        if self.levels == 1:
            return float(step) if mass is None else float(step) * mass.sqrt()
        rows = step.to(x).repeat_interleave(len(x) // self.levels)
        return _like(rows, x) if mass is None else _like(rows, x) * mass.sqrt()

    def _warm(
        self, move: Move, state: State, rng: Rng, mass: Tensor | None, shown: int
    ) -> tuple[State, Tensor, Tensor | None]:
        step = torch.as_tensor(1.0 if self.step is None else self.step, dtype=torch.float64).expand(self.levels)
        schedule = windows(self.warmup)
        for k, (first, last) in enumerate(schedule):
            if self.step is None or k:
                step = self._search(state, rng["search"][k], step, mass)
            average, seen = DualAveraging(step.log(), (10 * step).log()), Welford(state.x[0])
            learns = 0 < k < len(schedule) - 1
            for i in range(first, last + 1):
                state, moved = move(state, rng[i], self._length(average.x.exp(), mass, state.x))
                average.update(self.target - moved.acceptance.double().reshape(self.levels, -1).mean(dim=1))
                if learns:
                    seen.add(state.x[:shown])
            step = average.average.exp()
            if learns:
                mass = seen.variance().to(state.x)
        return state, step, mass

    def _search(self, state: State, rng: Rng, step: Tensor, mass: Tensor | None) -> Tensor:
        def accept(step: Tensor) -> Tensor:
            moved = self.law.propose(state, rng, self._length(step, mass, state.x), 1)[1]
            return moved.acceptance.double().reshape(self.levels, -1).mean(dim=1)

        return reasonable_step(accept, step)


def _judged(draws: Tensor) -> dict[str, float]:
    """Worst effective sample sizes and R-hat over the coordinates of draws (n, B, ...)."""
    if len(draws) < LEAST:
        return dict.fromkeys(("ess_bulk", "ess_tail", "rhat"), math.nan)
    bulk, tail, rhat = ess(draws, "bulk"), ess(draws, "tail"), split_rhat(draws)
    return {"ess_bulk": float(bulk.min()), "ess_tail": float(tail.min()), "rhat": float(rhat.max())}


@contextmanager
def _frozen(energy: Energy) -> Iterator[None]:
    """No gradients for the weights of the networks that an energy is, or refers to by name, for 3 to 10 % less time."""
    held = [energy, getattr(energy, "__self__", None)]
    if inspect.isfunction(energy):
        names = inspect.getclosurevars(energy)
        held += [*names.nonlocals.values(), *names.globals.values()]
    weights = {p for net in held if isinstance(net, nn.Module) for p in net.parameters() if p.requires_grad}
    try:
        for p in weights:
            p.requires_grad_(False)
        yield
    finally:
        for p in weights:
            p.requires_grad_(True)


def _positive(name: str, what: str, value: float) -> float:
    """The value as a float. Raises UserError where it is not a positive number."""
    if not 0 < value < math.inf:
        raise UserError(f"{name} needs a positive {what}; got {what} = {value}.")
    return float(value)


def _flat(x: Tensor) -> Tensor:
    """(B, ...) -> (B, d)."""
    return x.reshape(len(x), -1)


def _like(rows: Tensor, x: Tensor) -> Tensor:
    """(B,) -> (B, 1, ...), so that it goes with x (B, ...)."""
    return rows.reshape(-1, *[1] * (x.ndim - 1))


def _plus_(x: Tensor, y: Tensor, a: Length) -> Tensor:
    """x + a y, written into x."""
    return x.addcmul_(y, a) if isinstance(a, Tensor) else x.add_(y, alpha=a)

"""Optimisers on one flat tensor of weights per role, a learning rate per lane: w (S, P), lr (S, 1)."""

from torch import Tensor

from ..objectives.base import Adam, RMSprop

Slots = dict[str, Tensor]  # what an optimiser remembers, each (S, P)


def adam(w: Tensor, g: Tensor, slots: Slots, lr: Tensor, betas: tuple[float, float]) -> None:
    """w -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + 1e-8), in place; `t` counts in slots["t"]."""
    b1, b2 = betas
    slots["t"] += 1
    t = int(slots["t"])
    m = slots["m"].mul_(b1).add_(g, alpha=1 - b1)
    v = slots["v"].mul_(b2).addcmul_(g, g, value=1 - b2)
    root = v.sqrt().mul_((1 - b2**t) ** -0.5).add_(1e-8)
    w.sub_((m / root).mul_(lr / (1 - b1**t)))


def rmsprop(w: Tensor, g: Tensor, slots: Slots, lr: Tensor, smoothing: float) -> None:
    """v = a v + (1 - a) g^2; w -= lr g / (sqrt(v) + 1e-8), in place."""
    v = slots["v"].mul_(smoothing).addcmul_(g, g, value=1 - smoothing)
    w.sub_((g / v.sqrt().add_(1e-8)).mul_(lr))


def slots(optimiser: Adam | RMSprop, w: Tensor) -> Slots:
    """What the optimiser remembers before its first step."""
    fresh = {"v": w.new_zeros(w.shape)}
    if isinstance(optimiser, Adam):
        fresh |= {"m": w.new_zeros(w.shape), "t": w.new_zeros((), device="cpu")}
    return fresh


def step(
    optimiser: Adam | RMSprop, w: Tensor, g: Tensor, slots: Slots, lr: Tensor, decaying: Tensor | None = None
) -> None:
    """Move w (S, P) along -g (S, P), each lane at its own rate lr (S, 1), in place; decaying (P,): 1 where weights
    decay, which they do by themselves, not through g."""
    if decaying is not None and optimiser.decay:
        w.mul_(1 - lr * optimiser.decay * decaying)
    if isinstance(optimiser, Adam):
        adam(w, g, slots, lr, optimiser.betas)
    else:
        rmsprop(w, g, slots, lr, optimiser.smoothing)

"""Embeddings of two views of a row, told from other rows; and what goes wrong with them."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

from ..watch import Watch
from .base import Family, Fault, batches, graded, labelled, mlp, seeded

STEPS, BATCH, SIZE = 300, 64, 16


def loop(data: str, width: int, seed: int, fault: str) -> Iterator[Watch]:  # noqa: C901  one branch a fault
    """Two networks, two halves of the columns of a row, InfoNCE both ways."""
    seeded(seed)
    x, _y = labelled(data)
    x = x[:, x.std(0) > 0]
    if fault == "equal rows":
        x = x[: len(x) // 12].repeat(12, 1)
    one, other = x[:, ::2], x[:, 1::2]
    if shuffled := graded(fault, "pairs shuffled", 1.0):
        some = torch.randperm(len(other))[: round(shuffled * len(other))]
        other = other.index_copy(0, some, other[some.roll(1)])
    first, second = mlp(one.shape[1], width, width, SIZE), mlp(other.shape[1], width, width, SIZE)
    if fault == "narrow head":
        first, second = (mlp(z.shape[1], width, 2, SIZE, act=nn.Identity) for z in (one, other))
    parameters = [*first.parameters(), *second.parameters()]
    rate = {"rate too high": 3.0, "rate too low": 1e-8}.get(fault, 2e-3)
    optimizer = torch.optim.Adam(parameters, lr=rate)
    watch = Watch({"first": first, "second": second}, [optimizer], f"contrast {fault}").start()
    yield watch
    temperature = {"temperature too high": 50.0, "temperature too low": 1e-3, "temperature low": 0.04}.get(fault, 0.1)
    for a, b in batches(one, BATCH, STEPS, other):
        optimizer.zero_grad()
        z, w = first(a), second(b)
        if fault != "not normalised":
            z, w = F.normalize(z, dim=1), F.normalize(w, dim=1)
        if fault == "wrong axis":
            z, w = F.normalize(first(a), dim=0), F.normalize(second(b), dim=0)
        if fault == "one side cut":
            w = w.detach()
        logits = z @ w.T / (1.0 if fault == "no temperature" else temperature)
        told = torch.arange(len(z))
        if fault == "targets shifted":
            told = told.roll(7)
        if fault == "no negatives":
            loss = -(z * w).sum(1).mean()
        elif fault == "sign":
            loss = -F.cross_entropy(logits, told)
        else:
            loss = (F.cross_entropy(logits, told) + F.cross_entropy(logits.T, told)) / 2
        loss.backward()
        optimizer.step()


FAULTS = (
    Fault("pairs shuffled", ("pairs without signal",)),
    Fault("targets shifted", ("pairs not found",)),
    Fault("temperature too high", ("temperature too high",)),
    Fault("temperature too low", ("temperature too low",)),
    Fault("no temperature", ("bounded logits", "temperature too high")),
    Fault("not normalised", ("contract: not normalised",), True),
    Fault("wrong axis", ("contract: not normalised",), True),
    Fault("narrow head", ("dimensional collapse",)),
    Fault("no negatives", ("embedding collapse",)),
    Fault("equal rows", ("equal rows in a batch",)),
    Fault("one side cut", ("contract: graph cut",), True),
    Fault("sign", ("contract: sign",), True),
    Fault("rate too high", ("learning rate too high", "non-finite")),
    Fault("rate too low", ("learning rate too low", "pairs not found", "contract: does not move")),
)
FAMILY = Family("contrast", ("digits", "cancer", "blobs"), loop, FAULTS, ("temperature low",))

"""Classifiers, and what goes wrong with them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ..watch import Watch
from .base import Family, Fault, batches, graded, labelled, mlp, seeded

STEPS, BATCH = 400, 64


def loop(data: str, width: int, seed: int, fault: str) -> Iterator[Watch]:  # noqa: C901, PLR0915  one branch a fault
    """A plain classifier with Adam; `fault` is what is planted, or a control, or nothing."""
    seeded(seed)
    x, y = labelled(data)
    classes, _dim = int(y.max()) + 1, x.shape[1]
    if fault == "unscaled":
        x = x * 60 + 400
    if fault == "constant input":
        x = x * 0
    if fault == "label leak":
        x = torch.cat([x, y[:, None].float()], 1)
    if fault == "random labels":
        y = y[torch.randperm(len(y))]
    if noise := graded(fault, "label noise", 0.4):
        wrong = torch.rand(len(y)) < noise
        y = torch.where(wrong, torch.randint(0, classes, y.shape), y)
    if fault == "rare classes":
        y, classes = (y == 0).long(), 2
        left_out = (y > 0) & (torch.rand(len(y)) > 0.15)
        y, x = y[~left_out], x[~left_out]
        x = x + torch.randn_like(x)
    if fault == "few rows":
        x, y = x[:BATCH], y[:BATCH]
    act = {"sigmoids": nn.Sigmoid}.get(fault, nn.ReLU)
    hidden = [width] * (12 if fault == "sigmoids" else 2)
    layers = mlp(x.shape[1], *hidden, classes, act=act)
    if fault == "dead":
        for layer in layers:
            if isinstance(layer, nn.Linear):
                nn.init.constant_(layer.bias, -10.0)
    if fault == "weights of 0":
        for p in layers.parameters():
            nn.init.zeros_(p)
    if fault == "dropout":
        layers.insert(len(layers) - 1, nn.Dropout(0.5))
    net = Listed(layers) if fault == "layers in a list" else layers
    rate = {"rate too high": 3.0, "rate too low": 1e-8, "rate of 0": 0.0}.get(fault, 3e-3)
    held = list(net.parameters())[2:] if fault == "layer forgotten" else list(net.parameters())
    optimizer: torch.optim.Optimizer = torch.optim.Adam(held, lr=rate)
    if fault in ("rate too high", "unscaled", "sum over the batch", "rare classes"):
        optimizer = torch.optim.SGD(
            held, lr={"unscaled": 0.01, "rare classes": 0.01, "sum over the batch": 0.5}.get(fault, 30.0)
        )
    if fault == "decay too strong":
        optimizer = torch.optim.AdamW(held, lr=rate, weight_decay=100.0)
    watch = Watch({"net": net}, [optimizer], f"classify {fault}").start()
    yield watch
    for a, b in batches(x, min(BATCH, len(x)), STEPS, y):
        if fault != "never cleared":
            optimizer.zero_grad()
        z = layers[2:](layers[:2](a).detach()) if fault == "cut" else net(a)
        if fault == "softmax twice":
            loss = F.cross_entropy(z.softmax(1), b)
        elif fault == "softmax axis":
            loss = F.nll_loss(F.log_softmax(z, dim=0), b)
        elif fault == "sign":
            loss = -F.cross_entropy(z, b)
        elif fault == "squared error of ids":
            loss = F.mse_loss(mlp_id(z), b.float())
        elif fault == "log of 0":
            loss = -(z.relu().log()[torch.arange(len(b)), b]).mean()
        elif fault == "labels shifted":
            loss = F.cross_entropy(z, b.roll(1))
        elif fault == "sum over the batch":
            loss = F.cross_entropy(z, b, reduction="sum")
        else:
            loss = F.cross_entropy(z, b, label_smoothing=0.2 if fault == "smoothed labels" else 0.0)
        loss.backward()
        if fault != "no step":
            optimizer.step()


class Listed(nn.Module):
    """Layers in a row, the middle ones in a plain list."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.first, self.last = layers[0], layers[-1]
        self.hidden = [*layers[1:-1].children()]

    def forward(self, x: torch.Tensor) -> Any:
        """Through all of them."""
        x = self.first(x)
        for layer in self.hidden:
            x = layer(x)
        return self.last(x)


def mlp_id(z: torch.Tensor) -> torch.Tensor:
    """The first output alone."""
    return z[:, 0]


FAULTS = (
    Fault("softmax twice", ("contract: softmax twice",), True),
    Fault("softmax axis", ("contract: softmax axis",), True),
    Fault("sign", ("contract: sign",), True),
    Fault("never cleared", ("contract: gradient never cleared",), True),
    Fault("layer forgotten", ("contract: parameters of nobody",), True),
    Fault("layers in a list", ("contract: layers not listed",), True),
    Fault("no step", ("contract: no step",), True),
    Fault("cut", ("contract: graph cut",), True),
    Fault("squared error of ids", ("contract: wrong loss",), True),
    Fault("constant input", ("contract: input without content",), True),
    Fault("rate of 0", ("contract: does not move",), True),
    Fault("rate too high", ("learning rate too high", "non-finite")),
    Fault("rate too low", ("learning rate too low", "contract: does not move")),
    Fault("dead", ("dead units", "contract: does not move")),
    Fault("sigmoids", ("vanishing gradient",)),
    Fault("weights of 0", ("contract: units alike",), True),
    Fault("sum over the batch", ("learning rate too high", "non-finite")),
    Fault("unscaled", ("scale of the data", "non-finite")),
    Fault("random labels", ("labels without signal",)),
    Fault("labels shifted", ("labels without signal",)),
    Fault("label noise", ("wrong labels",)),
    Fault("rare classes", ("most frequent class only",)),
    Fault("label leak", ("label among the inputs",)),
    Fault("decay too strong", ("no better than guessing",)),
    Fault("log of 0", ("non-finite",)),
)
# a loss that ends far above 0; one that is worse in training than in use
CONTROLS = ("smoothed labels", "dropout")
FAMILY = Family("classify", ("digits", "wine", "blobs"), loop, FAULTS, CONTROLS)

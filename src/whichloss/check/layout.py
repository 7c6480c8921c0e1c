"""How the same input is laid out in people's code: scores as (B,) or (B, 1), rows as pictures, a network's output."""

from itertools import product

import torch
from torch import Tensor

from .claim import Form, Value
from .networks import Network

Layout = dict[str, str]  # role -> layout
SAYS = {
    "image": "rows as pictures (B, 1, h, w)",
    "long": "labels as whole numbers",
    "one-hot": "labels as one-hot rows",
    "sigmoid": "a network with a sigmoid at its end",
    "flat": "a network that returns (B,)",
    "pair": "an autoencoder that returns (reconstruction, codes)",
}


def layouts(form: Form) -> list[Layout]:
    """Every way to lay the form's arguments out; arguments that know the same layouts share one."""
    groups = list(dict.fromkeys(a.layouts for a in form.arguments))
    return [{a.role: chosen[groups.index(a.layouts)] for a in form.arguments} for chosen in product(*groups)]


def says(layout: Layout) -> list[str]:
    """The layouts that are not the plain one, in words."""
    return list(dict.fromkeys(SAYS[name] for name in layout.values() if name in SAYS))


def lay_out(value: Value, layout: str, classes: int) -> Value:
    """`value` in a layout; differentiable for tensors."""
    if isinstance(value, Network):
        value.style = layout or value.style
        return value
    if not isinstance(value, Tensor):
        return value
    if layout == "column":
        return value.unsqueeze(1)
    if layout == "image":
        height = 2 if value.shape[1] % 2 == 0 else 1
        return value.reshape(len(value), 1, height, -1)
    if layout == "long":
        return value.long()
    if layout == "one-hot":
        return torch.nn.functional.one_hot(value, classes).to(torch.float64)
    return value.clone()

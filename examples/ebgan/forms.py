"""The paper's loss, every deviation from it, and the one network that they share but for one change at a time."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from whichloss.losses.ebgan import energy_critic, energy_generator, pull_away, reconstruction_energy

SHAPE, LATENT = (1, 28, 28), 62


@dataclass(frozen=True)
class Form:
    """The paper's form; a field with another value is a deviation."""

    detached: bool = False
    one_norm: bool = False
    mean_hinge: bool = False
    margin: float | None = None  # None: the variance of the data, the energy of the best constant
    repulsion: float = 0.1  # as a share of that variance
    norm_g: bool = True
    norm_dec: bool = False  # with it the energy of a row depends on the other rows of its batch
    wide: bool = True  # a fully connected layer of 1024 before the convolutions of G
    init: float | None = 0.02  # None: what torch does
    code: int = 32
    output: str = "tanh"


PAPER = Form()
FOUR = replace(PAPER, detached=True, one_norm=True, mean_hinge=True, margin=1.0)
POPULAR = replace(FOUR, norm_dec=True)
FORMS = {
    "paper": ("both", "the paper's loss", PAPER),
    "repository": ("both", "all four deviations of the loss, BatchNorm in the decoder", POPULAR),
    "four": ("together", "all four deviations of the loss", FOUR),
    "detached": ("loss", "target of G's energy detached", replace(PAPER, detached=True)),
    "one-norm": ("loss", "codes divided by one global L1 norm", replace(PAPER, one_norm=True)),
    "mean-hinge": ("loss", "hinge on the batch mean", replace(PAPER, mean_hinge=True)),
    "margin-1": ("loss", "margin 1 on mean pixels", replace(PAPER, margin=1.0)),
    "no-pull-away": ("loss", "no pull-away term", replace(PAPER, repulsion=0.0)),
    "no-norm-G": ("network", "no BatchNorm in G", replace(PAPER, norm_g=False)),
    "norm-Dec": ("network", "BatchNorm in the decoder", replace(PAPER, norm_dec=True)),
    "plain-G": ("network", "no FC-1024 in G, convolutions only", replace(PAPER, wide=False)),
    "default-init": ("network", "torch's initial weights, not N(0, .02²)", replace(PAPER, init=None)),
    "wide-code": ("network", "a code as wide as the picture (784)", replace(PAPER, code=784)),
    "sigmoid": ("network", "pictures and outputs in [0, 1], sigmoid", replace(PAPER, output="sigmoid")),
    "unbounded": ("network", "outputs unbounded, pictures in [-1, 1]", replace(PAPER, output="none")),
}


def critic_loss(form: Form, real: Tensor, fake: Tensor, m: float) -> Tensor:
    """E E(x) + E [m - E(G(z))]^+ of energies (B,)."""
    if form.mean_hinge:
        return real.mean() + torch.relu(m - fake.mean())  # one far fake switches all others off
    return energy_critic(real, fake, m).mean()


def generator_loss(form: Form, x: Tensor, x_hat: Tensor) -> Tensor:
    """E E(G(z)), x = G(z) and x_hat = Dec(Enc(x))."""
    target = x.detach() if form.detached else x  # the value stays, half of the gradient is gone
    return energy_generator(reconstruction_energy(target, x_hat)).mean()


def repulsion(form: Form, codes: Tensor) -> Tensor:
    """PT, the mean squared cosine of codes (B, s)."""
    if form.one_norm:
        n, u = len(codes), codes / codes.abs().sum()  # cosines need one norm a row
        return ((u @ u.T).square().sum() - n) / (n * (n - 1))
    return pull_away(codes).mean()


class Autoencoder(nn.Module):
    """x (B, 1, 28, 28) -> its code (B, s) and its reconstruction."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.Enc = nn.Sequential(nn.Conv2d(1, 64, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 14 * 14, form.code))
        norm = [nn.BatchNorm1d(64 * 14 * 14)] if form.norm_dec else []
        grow = [nn.Linear(form.code, 64 * 14 * 14), *norm, nn.ReLU(), nn.Unflatten(1, (64, 14, 14))]
        self.Dec = nn.Sequential(*grow, nn.ConvTranspose2d(64, 1, 4, 2, 1), bounded(form))
        begin(self, form)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        codes = self.Enc(x)
        return codes, self.Dec(codes)

    def energy(self, x: Tensor) -> Tensor:
        """E(x) (B,)."""
        return reconstruction_energy(x, self(x)[1])


def generator(form: Form) -> nn.Sequential:
    """z (B, 62) -> (B, 1, 28, 28); the sizes of Chen et al. (2016)."""

    def active(channels: int, norm: Callable[[int], nn.Module]) -> list[nn.Module]:
        return [norm(channels), nn.ReLU()] if form.norm_g else [nn.ReLU()]

    fc = [nn.Linear(LATENT, 1024), *active(1024, nn.BatchNorm1d)] if form.wide else []
    first = [nn.Linear(1024 if form.wide else LATENT, 128 * 7 * 7), *active(128 * 7 * 7, nn.BatchNorm1d)]
    middle = [nn.Unflatten(1, (128, 7, 7)), nn.ConvTranspose2d(128, 64, 4, 2, 1), *active(64, nn.BatchNorm2d)]
    net = nn.Sequential(*fc, *first, *middle, nn.ConvTranspose2d(64, 1, 4, 2, 1), bounded(form))
    begin(net, form)
    return net


def bounded(form: Form) -> nn.Module:
    """The last layer of G and of the decoder."""
    return {"tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(), "none": nn.Identity()}[form.output]


def begin(net: nn.Module, form: Form) -> None:
    """Weights N(0, init^2), biases 0."""
    for part in net.modules():
        if form.init is not None and isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, std=form.init)
            nn.init.zeros_(part.bias)

"""The loss of normalizing flows: the likelihood of a row through an invertible map z = f(x) to normal noise."""

import math

from torch import Tensor


def change_of_variables(z: Tensor, log_det: Tensor) -> Tensor:
    """|z|^2 / 2 + d log(2 pi) / 2 - log |det dz/dx| per row: -log p(x), in nats (Rezende & Mohamed, 2015).

    z (B, d), log_det (B,) or (B, 1). Its mean is least, the entropy of the data, where f carries them to N(0, I).
    """
    return 0.5 * (z**2 + math.log(2 * math.pi)).sum(dim=1) - log_det.reshape(len(z))

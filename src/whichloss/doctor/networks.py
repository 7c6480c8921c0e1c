"""Networks before training: can a seed own them, many seeds share them, and a row be judged by itself?"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized

from ..rng import Rng
from ..task import Finding
from .say import Say

Shapes = Mapping[str, tuple[torch.Size, ...]]  # role -> the shapes of the inputs it is called with
NOT_OWN = "Weights and draws belong to a lane (one seed); what a module keeps for itself does not."


def check_parts(modules: Mapping[str, nn.Module], say: Say) -> Iterator[Finding]:
    """Layers and weights that seeds trained side by side cannot have."""
    for role, module in modules.items():
        yield from _layers(role, module, say)
        yield from _weights(role, module, say)
    yield from _shared(modules, say)


def _layers(role: str, module: nn.Module, say: Say) -> Iterator[Finding]:
    for name, part in module.named_modules():
        where, kind = f"layer '{name}' of {role}" if name else role, type(part).__name__
        rate = part.p if isinstance(part, _DropoutNd) else getattr(part, "dropout", 0.0)
        if isinstance(rate, (int, float)) and rate > 0:
            yield say.fault(
                "contract: dropout",
                f"{where} ({kind}) drops units at random, with numbers that no seed controls.",
                NOT_OWN,
                "Take the dropout out (p = 0). To regularise, use fewer units or a penalty in the loss.",
                {"dropout rate": float(rate)},
            )
        if isinstance(part, (_BatchNorm, _InstanceNorm)) and part.track_running_stats:
            yield say.fault(
                "contract: running statistics",
                f"{where} ({kind}) keeps running means and variances between batches.",
                NOT_OWN,
                "Set track_running_stats=False, and use LayerNorm instead in a critic or energy.",
            )
        if is_parametrized(part) or hasattr(part, "weight_u"):
            yield say.fault(
                "contract: parametrised weights",
                f"{where} ({kind}) computes its weights from others (spectral or weight normalisation).",
                "Such layers cannot be stacked over seeds.",
                "Use the plain layer; a gradient penalty (wgan-gp, r3gan) bounds the slope instead.",
            )


def _weights(role: str, module: nn.Module, say: Say) -> Iterator[Finding]:
    parameters = dict(module.named_parameters())
    lazy = [name for name, p in parameters.items() if is_lazy(p)]
    frozen = [name for name, p in parameters.items() if not p.requires_grad]
    if not parameters:
        yield say.fault(
            "contract: nothing to train",
            f"{role} has no weights.",
            "Its layers may be kept in a plain list or dict, where PyTorch does not see them.",
            "Use nn.Sequential, nn.ModuleList or nn.ModuleDict.",
            {"weights": 0.0},
        )
    if lazy:
        yield say.fault(
            "contract: lazy weights",
            f"{role} has weights without a size ({lazy[0]}).",
            "A lazy layer takes its size from the first rows it meets; sizes are needed before.",
            "Give the sizes: the maker is called with (inputs, outputs).",
        )
    if frozen:
        yield say.note(
            "contract: frozen weights",
            f"{role}'s {frozen[0]} has requires_grad=False, and will be trained all the same.",
            "Which weights move is said by an update's `moves`, role by role.",
            "Make what must not move a buffer, or a role of its own that no update moves.",
            {"frozen tensors": float(len(frozen))},
        )


def _shared(modules: Mapping[str, nn.Module], say: Say) -> Iterator[Finding]:
    owner: dict[int, str] = {}
    for role, module in modules.items():
        others = {owner.setdefault(id(p), role) for p in module.parameters()} - {role}
        for other in sorted(others):
            yield say.fault(
                "contract: shared weights",
                f"{other} and {role} hold the same weights; they would be trained as two copies.",
                "Every role owns its weights.",
                "Make the shared part a role of its own and call it from the loss.",
            )


def check_buffers(first: Mapping[str, nn.Module], again: Mapping[str, nn.Module], say: Say) -> Iterator[Finding]:
    """Fixed tensors must not be drawn at random: no seed controls them."""
    for role, module in first.items():
        other = dict(again[role].named_buffers())
        for name, buffer in module.named_buffers():
            if name not in other or not torch.equal(buffer, other[name]):
                yield say.fault(
                    "contract: random buffer",
                    f"{role}'s buffer '{name}' is drawn at random when the network is made.",
                    "Buffers are shared by all seeds and stored nowhere, so the run could not be repeated.",
                    "Make it an nn.Parameter, or compute it from a fixed rule.",
                )


def check_outputs(modules: Mapping[str, nn.Module], asked: Mapping[str, Sequence[int]], say: Say) -> Iterator[Finding]:
    """A network maps (n, inputs) to (n, outputs), and changes nothing in itself when it does."""
    for role, (inputs, outputs) in asked.items():
        if role not in modules:
            continue
        module = modules[role]
        before = {name: b.clone() for name, b in module.named_buffers()}
        x = readable(module, Rng.of(0)["doctor"].normal("inputs", (8, inputs)))
        try:
            out = module(x)
        except Exception as error:
            yield _raises(role, module, x, error, say)
            continue
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        if shape != (8, outputs):
            yield say.fault(
                "contract: output shape",
                f"{role} turns rows (8, {inputs}) into {shape}; ({8}, {outputs}) is needed.",
                "The maker is called with (inputs, outputs) and may ignore one of them.",
                "End with a layer of `outputs` units and keep the row axis first.",
            )
        elif any(not torch.equal(b, before[name]) for name, b in module.named_buffers()):
            yield say.fault(
                "contract: running statistics",
                f"{role} changes a buffer of its own whenever it is called.",
                NOT_OWN,
                "Keep nothing between calls; for normalisation layers set track_running_stats=False.",
            )


def readable(module: nn.Module, x: Tensor) -> Tensor:
    """Rows that a network can read: ids that it has vectors for, where it looks vectors up."""
    known = [part.num_embeddings for part in module.modules() if isinstance(part, nn.Embedding)]
    return (1000 * x).floor() % min(known) if known else x


def _raises(role: str, module: nn.Module, x: Tensor, error: Exception, say: Say) -> Finding:
    try:
        module.float()(x.float())
    except Exception:
        return say.raised(f"{role}, called with {len(x)} rows of {x.shape[1]} numbers,", error)
    finally:
        module.double()
    return say.note(
        "contract: float32 only",
        f"{role} works in float32 only, so its losses could not be checked ({error}).",
        "Somewhere it makes a tensor of a fixed dtype.",
        "Make new tensors with x.new_zeros(...) or dtype=x.dtype.",
    )


def check_rows(
    nets: Mapping[str, object], shapes: Shapes, modules: Mapping[str, nn.Module], say: Say
) -> Iterator[Finding]:
    """What a network that sees the data says of a row must not depend on the other rows of the batch."""
    for role, inputs in shapes.items():
        if any(len(shape) != 2 or shape[0] < 2 for shape in inputs):
            continue
        rng = Rng.of(0)["doctor"][role]
        a = [readable(modules[role], rng.normal(i, shape)) for i, shape in enumerate(inputs)]
        others = [readable(modules[role], rng["others"].normal(i, x[1:].shape)) for i, x in enumerate(a)]
        b = [torch.cat([x[:1], rest]) for x, rest in zip(a, others, strict=True)]
        here, there = (nets[role](*rows)[0] for rows in (a, b))  # type: ignore[operator]
        change = float((here - there).abs().max() / here.abs().max().clamp(min=1e-12))
        if not change < 1e-8:
            yield say.fault(
                "contract: batch leak",
                f"{role}'s output for a row changes by {change:.0%} when only the other rows of the batch change.",
                "A layer mixes rows (BatchNorm, a mean over the batch): real and fake batches can be told apart by it, "
                "and a penalty on one row's slope has no meaning.",
                "Use LayerNorm, or no normalisation, in networks that judge rows one by one.",
                {"relative change": change},
                "Gulrajani et al., 2017, section 4",
            )

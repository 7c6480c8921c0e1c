"""The contrastive losses against open_clip, pytorch-metric-learning and torch: equal values, memory, time.

Parity: value and gradient of the mean, float64, largest difference relative to the largest number. Then one step (loss
and gradients) of the losses that hold no N x N beside open_clip's, unit embeddings of 512 columns: peak memory is the
growth of a fresh process over what it held before the step, time is interleaved in one process.

    python benchmarks/contrastive.py [--sizes 4096 16384] [--ours 65536] [--scales 14.3 100] [--rounds 3]
                                     [--parity] [--out contrastive.json]

Needs, beside the package: pip install --no-deps open_clip_torch pytorch-metric-learning tqdm
"""

import gc
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from measure import interleaved, keep, parser, settle, summary, table
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, cross_entropy, normalize

from whichloss.losses import contrastive, metric_learning, redundancy, streaming

WIDTH = 512
BIAS = -10.0
Step = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # a, b, scale, bias -> the mean loss


# peers ---------------------------------------------------------------------------------------------------------------


@cache
def open_clip() -> ModuleType | None:
    """Its losses alone, from their file: the package itself asks for torchvision and a vocabulary."""
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        return None
    spec = importlib.util.spec_from_file_location("open_clip_loss", Path(found.origin).with_name("loss.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def metric_library() -> Any:
    try:
        import pytorch_metric_learning as found
        from pytorch_metric_learning import distances, losses, miners, reducers  # noqa: F401
    except ImportError:
        return None
    return found


# parity --------------------------------------------------------------------------------------------------------------


def parity() -> Iterator[tuple[str, str, Step, Step]]:
    """Peer, loss, ours, theirs: functions of a, b, scale, bias."""
    two = lambda a, b: torch.cat([a, b])
    names = lambda a: torch.arange(len(a)).repeat(2)
    classes = lambda a: torch.arange(len(a)).remainder(5)
    target = lambda a: classes(a).remainder(2).to(a.dtype)
    unit = lambda a: normalize(a, dim=1)

    def both(a: Tensor, b: Tensor, s: Tensor) -> Tensor:
        logits, own = s * unit(a) @ unit(b).T, torch.arange(len(a))
        return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2

    yield (
        "torch",
        "info_nce",
        lambda a, b, s, h: contrastive.info_nce(a, b, 1 / s).mean(),
        lambda a, b, s, h: both(a, b, s),
    )
    yield (
        "torch", "cosine_bce", lambda a, b, s, h: contrastive.cosine_bce(a, b, target(a), s, h).mean(),
        lambda a, b, s, h: binary_cross_entropy_with_logits(s * cosine_similarity(a, b) + h, target(a)),
    )  # fmt: skip
    yield (
        "torch", "triplet", lambda a, b, s, h: metric_learning.triplet(a, b, b.roll(1, 0)).mean(),
        lambda a, b, s, h: torch.nn.TripletMarginLoss(eps=0.0)(a, b, b.roll(1, 0)),
    )  # fmt: skip
    if (clip := open_clip()) is not None:
        clips = lambda a, b, s, h: clip.ClipLoss()(unit(a), unit(b), s)
        sigs = lambda a, b, s, h: clip.SigLipLoss()(unit(a), unit(b), s, h)
        yield "open_clip", "info_nce", lambda a, b, s, h: contrastive.info_nce(a, b, 1 / s).mean(), clips
        yield (
            "open_clip",
            "streaming_info_nce",
            lambda a, b, s, h: streaming.streaming_info_nce(a, b, 1 / s, 24).mean(),
            clips,
        )
        yield "open_clip", "siglip", lambda a, b, s, h: contrastive.siglip(a, b, s, h).mean(), sigs
        yield (
            "open_clip",
            "streaming_siglip",
            lambda a, b, s, h: streaming.streaming_siglip(a, b, s, h, 24).mean(),
            sigs,
        )
    if (pml := metric_library()) is not None:
        plain, mean = pml.distances.LpDistance(normalize_embeddings=False), pml.reducers.MeanReducer()
        hinge = pml.losses.TripletMarginLoss(margin=1.0, distance=plain, reducer=mean)
        hard = pml.miners.BatchHardMiner(distance=plain)
        pairs = pml.losses.ContrastiveLoss(distance=plain, reducer=pml.reducers.DoNothingReducer())

        def hadsell(a: Tensor, b: Tensor) -> Tensor:
            """Half the squares of its terms: its own are not squared."""
            same, other = (torch.where(target(a) == t)[0] for t in (1, 0))
            terms = pairs(a, indices_tuple=(same, same, other, other), ref_emb=b)
            return sum((term["losses"] ** 2).sum() for term in terms.values()) / (2 * len(a))

        yield (
            "pytorch-metric-learning", "nt_xent", lambda a, b, s, h: contrastive.nt_xent(a, b, 0.2).mean(),
            lambda a, b, s, h: pml.losses.NTXentLoss(0.2)(two(a, b), names(a)),
        )  # fmt: skip
        yield (
            "pytorch-metric-learning", "sup_con", lambda a, b, s, h: contrastive.sup_con(a, classes(a), 0.2).mean(),
            lambda a, b, s, h: pml.losses.SupConLoss(0.2)(a, classes(a)),
        )  # fmt: skip
        yield (
            "pytorch-metric-learning", "batch_hard_triplet",
            lambda a, b, s, h: metric_learning.batch_hard_triplet(a, classes(a)).mean(),
            lambda a, b, s, h: hinge(a, classes(a), hard(a, classes(a))),
        )  # fmt: skip
        yield (
            "pytorch-metric-learning", "pair_contrastive",
            lambda a, b, s, h: metric_learning.pair_contrastive(a, b, target(a)).mean(),
            lambda a, b, s, h: hadsell(a, b),
        )  # fmt: skip
        yield (
            "pytorch-metric-learning", "vicreg", lambda a, b, s, h: redundancy.vicreg(a, b).mean(),
            lambda a, b, s, h: pml.losses.VICRegLoss()(a, ref_emb=b),
        )  # fmt: skip


def difference(ours: Step, theirs: Step) -> float:
    """The largest of value and gradients, on pairs that are close enough for margins to be crossed."""
    g = torch.Generator().manual_seed(0)
    a = 0.3 * torch.randn(60, 8, generator=g, dtype=torch.float64)
    inputs = [a, a + 0.2 * torch.randn(60, 8, generator=g, dtype=torch.float64)]
    inputs += [torch.tensor(v, dtype=torch.float64) for v in (14.3, -2.0)]
    sides = []
    for step in (ours, theirs):
        own = [x.clone().requires_grad_() for x in inputs]
        value = step(*own)
        sides.append([value.detach(), *torch.autograd.grad(value, own, allow_unused=True, materialize_grads=True)])
    return max(float((x - y).abs().max() / y.abs().max().clamp(min=1e-12)) for x, y in zip(*sides, strict=True))


# memory and time -----------------------------------------------------------------------------------------------------


def works(loss: str) -> dict[str, Step]:
    """Name -> a mean loss of unit embeddings."""
    ours: dict[str, Step] = {
        "info_nce": lambda a, b, s, h: streaming.streaming_info_nce(a, b, 1 / s).mean(),
        "siglip": lambda a, b, s, h: streaming.streaming_siglip(a, b, s, h).mean(),
    }
    found = {"whichloss": ours[loss]}
    if (clip := open_clip()) is not None:
        theirs: dict[str, Step] = {
            "info_nce": lambda a, b, s, h: clip.ClipLoss()(a, b, s),
            "siglip": lambda a, b, s, h: clip.SigLipLoss()(a, b, s, h),
        }
        found["open_clip"] = theirs[loss]
    return found


def step(work: Step, n: int, scale: float) -> Callable[[], object]:
    """The loss and its gradients, of n pairs that are drawn now."""
    g = torch.Generator().manual_seed(0)
    a, b = (normalize(torch.randn(n, WIDTH, generator=g), dim=1).requires_grad_() for _ in range(2))
    s, h = (torch.tensor(v, requires_grad=True) for v in (scale, BIAS))
    return lambda: torch.autograd.grad(work(a, b, s, h), [a, b, s, h], allow_unused=True)


def _status(key: str) -> float:
    """A line of /proc/self/status, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":")) / 1024


def growth(loss: str, name: str, n: int, scale: float) -> float:
    """Peak memory of one step in this process over what it held before, after a tiny step that loads everything."""
    work = works(loss)[name]
    step(work, 64, scale)()
    large = step(work, n, scale)
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    large()
    return _status("VmHWM") - before


def apart(loss: str, name: str, n: int, scale: float) -> float:
    """`growth` in a fresh process."""
    command = [sys.executable, __file__, "--one", loss, name, str(n), str(scale)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(run.stdout))


def compared(loss: str, n: int, scale: float, rounds: int, names: list[str]) -> list[dict[str, Any]]:
    """A row per library."""
    seconds = interleaved({name: step(works(loss)[name], n, scale) for name in names}, rounds)
    memory = {name: apart(loss, name, n, scale) for name in names}
    rows = []
    for name in names:
        time = summary(seconds[name])
        row = {"loss": loss, "N": n, "scale": scale, "library": name, "peak MiB": memory[name], "CPU s": time["median"]}
        row |= {"least": time["min"], "memory of ours": memory[name] / memory["whichloss"]}
        rows.append(row | {"time of ours": time["median"] / summary(seconds["whichloss"])["median"]})
    return rows


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--sizes", type=int, nargs="*", default=[4096, 16384])
    options.add_argument("--ours", type=int, nargs="*", default=[], help="sizes of whichloss's own losses alone")
    options.add_argument("--scales", type=float, nargs="*", default=[14.3, 100.0])
    options.add_argument("--losses", nargs="*", default=["info_nce", "siglip"])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--parity", action="store_true", help="compare values and gradients only")
    options.add_argument("--one", nargs=4, help="used by this script")
    given = options.parse_args()
    settle()
    if given.one:
        loss, name, n, scale = given.one
        print(json.dumps(growth(loss, name, int(n), float(scale))))
        return
    for module, package in ((open_clip(), "open_clip_torch"), (metric_library(), "pytorch-metric-learning tqdm")):
        if module is None:
            print(f"left out, not installed: pip install --no-deps {package}")
    equal = [{"peer": p, "loss": loss, "difference": difference(*pair)} for p, loss, *pair in parity()]
    table(equal)
    rows: list[dict[str, Any]] = []
    for loss in given.losses if not given.parity else ():
        for n in (*given.sizes, *given.ours):
            for scale in given.scales:
                names = ["whichloss"] if n in given.ours else list(works(loss))
                rows += compared(loss, n, scale, given.rounds, names)
                print(json.dumps(rows[-len(names) :]), file=sys.stderr)
    if rows:
        table(rows)
    keep(given.out, "contrastive", {"parity": equal, "rows": rows})


if __name__ == "__main__":
    main()

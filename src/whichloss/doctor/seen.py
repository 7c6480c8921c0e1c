"""What a look is turned into: the curves and facts of a `Trace`."""

import itertools
import math
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .graph import Guessed, Reading, Scored, Told
from .trace import Game, Loss

if TYPE_CHECKING:
    from .watch import Call, Watch

KEPT, ROWS, WIDE = 12, 128, 2048  # looks whose rows are kept, rows of each, numbers of each row
ASKED = 64  # rows that a network is asked again
FIRST = 50  # classes that are counted
SPREAD = 0.1  # of logits over rows; less tells them next to nothing apart
EVEN = 0.5  # ids of classes are about as frequent as each other; counts die out
NONE = np.zeros((0, 1), np.float32)


def loss(watch: "Watch", found: Loss, reading: Reading, value: Tensor) -> None:
    """What one loss is made of."""
    for name, shares in (("dead units", reading.dead), ("saturated units", reading.saturated)):
        if shares:
            found.note(name, max(shares))
    found.facts["nodes"] = float(len(reading.graph))
    used = [call for call in watch.calls if call.output.grad_fn in reading.graph]
    found.facts["norms off"] = max(found.facts.get("norms off", 0.0), _norms_off(watch, reading))
    for told in reading.told:
        _told(watch, found, told, used if len(reading.told) == 1 else [], used)
    for guessed in reading.guessed:
        _guessed(watch, found, guessed, used)
    if reading.products:
        found.note("spread of lengths", max(reading.products))
    for scored in reading.scored:
        _scored(watch, found, scored, used)


def _norms_off(watch: "Watch", reading: Reading) -> float:
    """1 where the slopes of a penalty have a norm over other axes than those of a row."""
    shapes = {one.slope.ndim for one in watch.slopes if one.kept and one.slope.ndim > 1}
    taken = [axes for count, axes in reading.norms if count in shapes and max(shapes) > 1]
    whole = {tuple(range(1, count)) for count in shapes}
    flat = any(count == 2 and axes == (1,) for count, axes in reading.norms)  # rows made flat before
    return float(bool(taken) and not flat and not any(axes in whole for axes in taken))


def _told(watch: "Watch", found: Loss, told: Told, alone: list["Call"], used: list["Call"]) -> None:
    """A cross-entropy: of classes, or of pairs among the rows of a batch. Of mixed rows, each of which has two labels,
    no call stands alone."""
    log_p, labels = told.log_p.float(), told.labels
    if log_p.ndim == 2 and labels.ndim == 1 and (there := (labels >= 0) & (labels < log_p.shape[1])).any():
        log_p, labels, whole = log_p[there], labels[there], bool(there.all())  # without what is to be ignored
    else:
        return
    if log_p.ndim != 2 or not len(log_p) or told.axis not in (-1, -2):
        return
    rows, width = log_p.shape
    known = log_p > -1e7  # what is masked is no choice
    count = int(known.sum(1).float().median())
    choices = torch.arange(rows, device=labels.device)
    among = width in (rows, rows - 1, 2 * rows) and len(labels.unique()) == rows
    square = rows > 2 and among
    high, low = log_p.amax(1), torch.where(known, log_p, torch.inf).amin(1)
    found.facts |= {
        "classes": count,
        "rows": rows,
        "twice": float(told.twice),
        "axis": told.axis,
        "pairs": float(square),
    }
    found.note("range of logits", float((high - low).max()))
    found.note("largest share", float(high.exp().mean()))
    right = (log_p.argmax(1) == labels).float()
    found.note("accuracy", float(right.mean()))
    found.note("cross-entropy", float(-log_p[choices, labels].mean()))
    shares = torch.where(known, log_p, -torch.inf).exp().mean(0)
    found.note("classes predicted", float(torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum())))
    weights = torch.bincount(labels.flatten(), minlength=width).double() / max(1, labels.numel())
    found.note("largest class", float(weights.max()))
    if labels.ndim == 1 and not square:
        there = weights > 0
        hits = torch.bincount(labels, weights=right.double(), minlength=width) / max(1, rows)
        found.note("balanced accuracy", float((hits[there] / weights[there]).mean()))
        found.note("classes in a batch", float(there.sum()))
        found.note("entropy of labels", float(-(weights[there] * weights[there].log()).sum()))
        found.note("ranked", _ranked(log_p, labels))
    told.node.register_prehook(lambda slopes: _weights(found, slopes[0]))
    if square:
        _embeddings(watch, found, log_p, used)
    elif whole and (call := _call_of(alone, rows)) is not None:
        _keep(watch, ("labelled", found.site), _rows(call.inputs[0]), labels[:ROWS].cpu().numpy())


def _weights(found: Loss, slopes: Tensor) -> None:
    """The factor with which a cross-entropy enters the loss, and whether its rows have factors of both signs."""
    facts, each = found.facts, slopes.detach().float()
    facts["weight"] = max(facts.get("weight", -math.inf), float(each.sum()))
    low, high = float(each.min()), float(each.max())
    facts["least factor"], facts["most factor"] = (
        min(facts.get("least factor", low), low),
        max(facts.get("most factor", high), high),
    )
    facts["uneven"] = max(facts.get("uneven", 0.0), float(high - low > 1e-3 * max(abs(high), abs(low)) and low < 0))


def _ranked(scores: Tensor, labels: Tensor) -> float:
    """How often a row of a class comes before another row in the scores (n, K) of that class, each class counted alike;
    NaN where all rows are of one class, or where the rows are told next to nothing apart."""
    n, classes = len(scores), min(scores.shape[1], FIRST)
    scores, members = scores[:, :classes], (labels[:, None] == torch.arange(classes, device=labels.device)).double()
    many = members.sum(0)
    there = (many > 0) & (many < n) & (scores.std(0) > SPREAD)
    place = scores.argsort(0).argsort(0).double()
    area = ((place * members).sum(0) - many * (many - 1) / 2) / (many * (n - many)).clamp(min=1)
    return float(area[there].mean()) if there.any() else math.nan


def _embeddings(watch: "Watch", found: Loss, log_p: Tensor, used: list["Call"]) -> None:
    """How the outputs of the networks that were compared fill their space."""
    rows = len(log_p)
    for call in used:
        z = call.output
        if z.shape == log_p.shape and any(_alike(x.detach().float(), log_p) for x in (z, z.T)):
            continue  # these are the comparisons themselves
        if z.ndim == 2 and len(z) in (rows, rows // 2, 2 * rows) and z.shape[1] > 1:
            found.note("effective rank", _rank(z))
            found.facts["directions"] = float(min(len(z) - 1, z.shape[1]))
            unit = nn.functional.normalize(z.detach().float(), dim=1)
            found.note("mean cosine", float(unit.mean(0).square().sum()))
    _pairs(watch, used)
    first = [call for call in used if len(call.inputs[0]) == rows]
    if first:
        x = _rows(first[0].inputs[0])
        found.note("doubles", 1 - len(np.unique(x, axis=0)) / max(1, len(x)))


def _alike(logits: Tensor, log_p: Tensor) -> bool:
    """Do these logits, times some factor, give these log-probabilities?"""
    a, b = (x - x.mean(1, keepdim=True) for x in (logits, log_p))
    return bool(nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0) > 0.999)


def _rank(z: Tensor) -> float:
    """exp of the entropy of the singular values' shares (RankMe, Garrido et al., 2023), about their mean."""
    z = nn.functional.normalize(z.detach().double(), dim=1)
    z = z - z.mean(0)
    z = z if len(z) < z.shape[1] else z.T
    values = torch.linalg.eigvalsh(z @ z.T).clamp(min=0).sqrt()  # of the smaller side: several times quicker
    shares = values / values.sum().clamp(min=1e-12)
    return float(torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum())) if float(values.sum()) > 1e-6 else 1.0


def _guessed(watch: "Watch", found: Loss, guessed: Guessed, used: list["Call"]) -> None:
    """A squared error: of denoisers, autoencoders and regressions."""
    error = guessed.error.float()
    if guessed.wanted is not None and guessed.wanted.numel() == len(guessed.wanted):
        whole = guessed.wanted.unique()
        if 2 < len(whole) <= 100 and whole.equal(torch.arange(len(whole)).to(whole)):  # others may well be counts
            found.facts["whole targets"] = max(found.facts.get("whole targets", 0.0), float(len(whole)))
            _keep(watch, ("ids", found.site), guessed.wanted.flatten().cpu().numpy())
    calls = [call for call in used if call.output.shape == error.shape]
    if not calls:
        outputs = {tuple(call.output.shape) for call in used}
        found.facts["every pair"] = float(bool(outputs & {(len(error),), (len(error), 1)}) and _every_pair(error))
        return
    call = calls[-1]
    wanted = guessed.wanted if guessed.wanted is not None else call.output.detach() - error
    wanted = wanted.float()
    wanted, error = (part.reshape(len(part), -1) for part in (wanted, error))
    spread = float(wanted.var(0).mean()) if len(wanted) > 1 else 0.0
    if spread < 1e-12:
        return
    x = call.inputs[0]
    row = x.numel() // max(1, len(x)), wanted.shape[1]
    levels = next((t.flatten().float() for t in call.inputs[1:] if t.numel() == len(x)), None)
    if row[0] > row[1] == 1:
        levels = None  # one number is asked of a row of several: no noise
    found.note("explained", _explained(wanted, error, levels))
    alike = x.numel() == wanted.numel() and bool(torch.allclose(x.float().reshape(wanted.shape), wanted, atol=1e-6))
    found.facts["rebuilds"] = float(alike)
    cut = found.facts["rebuilds"] and call.attached and guessed.constant
    found.facts["target cut"] = max(found.facts.get("target cut", 0.0), float(bool(cut)))
    if not found.facts["rebuilds"] and (levels is not None or row[1] == 1):  # else an autoencoder that is told more
        found.facts["given away"] = max(found.facts.get("given away", 0.0), _contains(x, wanted))
    if levels is not None:
        kept = _rows(x), levels[:ROWS].cpu().numpy(), _rows(wanted), _rows(error)
        _keep(watch, ("denoised", found.site), *kept)
        found.note("change with level", _levels_seen(watch.modules[call.network], call))
    found.note("input sd", float(x.detach().float().std()))


def _every_pair(error: Tensor) -> bool:
    """Are these the differences a_i - b_j of all i and all j?"""
    if error.ndim != 2 or error.shape[0] != error.shape[1] or len(error) < 3:
        return False
    rest = error - error[:1] - error[:, :1] + error[0, 0]
    return bool(rest.abs().max() <= 1e-4 * error.abs().max())


def _explained(wanted: Tensor, error: Tensor, levels: Tensor | None) -> float:
    """The share of what is wanted that is predicted. Every eighth of the levels counts alike: where what is wanted
    grows as the noise falls, as scores do, the others would not count at all."""
    parts: Any = [slice(None)] if levels is None or len(levels) < 64 else levels.argsort().tensor_split(8)
    wide = [wanted[part].var(0).mean().clamp(min=1e-12) for part in parts]
    shares = [1 - float(error[part].square().mean() / by) for part, by in zip(parts, wide, strict=True)]
    return float(np.mean(np.clip(shares, -1, 1)))


def _contains(x: Tensor, wanted: Tensor) -> float:
    """1 where the input holds what is to be predicted, beside other things."""
    a, b = x.reshape(len(x), -1).float(), wanted.reshape(len(wanted), -1)
    if len(a) < 8 or a.shape[1] <= b.shape[1]:
        return 0.0
    at = [(a - b[:, k : k + 1]).abs().amax(0).amin() for k in _some(b.shape[1], 64)]
    return float(max(at) < 1e-6 and float(b.std()) > 1e-6)


def _levels_seen(module: nn.Module, call: "Call") -> float:
    """How far the output moves when the noise levels of the rows are exchanged, relative to its size."""
    n = min(ASKED, len(call.inputs[0]))
    given = [t[:n] if t.shape[:1] == call.inputs[0].shape[:1] else t for t in call.inputs]
    other = [given[0], *(t.roll(n // 2, 0) if t.shape[:1] == given[0].shape[:1] else t for t in given[1:])]
    with untouched(module), torch.no_grad():
        a, b = (call.again(module, *one) for one in (given, other))
    return float((a - b).norm() / a.norm().clamp(min=1e-12))


def _scored(watch: "Watch", found: Loss, scored: Scored, used: list["Call"]) -> None:
    """A binary cross-entropy; of pairs of rows, it is kept how far apart the two rows are."""
    x, y = scored.scores.float(), scored.targets.float()
    both = 0 < float(y.mean()) < 1  # else they are players' rows, all of one kind
    apart = _distances(used, x.numel()) if both and x.numel() == y.numel() else None
    if apart is not None:
        _keep(watch, ("judged", found.site), apart, y.flatten().cpu().numpy())
    found.note("least score", float(x.min()))
    found.note("most score", float(x.max()))
    found.facts["logits"] = float(scored.logits)
    outputs = [call.output.detach().flatten().float() for call in used if call.output.numel() == x.numel()]
    found.facts["own output"] = float(any(out.equal(x.detach().flatten()) for out in outputs))
    middle = 0.0 if scored.logits else 0.5
    found.note("binary accuracy", float(((x > middle) == (y > 0.5)).float().mean()))
    found.note("share of ones", float((y > 0.5).float().mean()))
    found.note("ranked", _ranked(x.reshape(-1, 1), (y.flatten() <= 0.5).long()))  # class 0 is what scores are high of
    others = x[y < 0.5]
    if len(others) > 1:
        found.note("mean score of others", float(others.mean()))
        found.note("spread of others", float(others.std()))
    found.note("mean score", float(x.mean()))
    found.note("spread of scores", float(x.std()) if x.numel() > 1 else 0.0)


def _distances(used: list["Call"], pairs: int) -> np.ndarray | None:
    """How far apart the rows of each pair are, where networks were given so many pairs: one after the other, or the
    first of all pairs and then the second."""
    given = [
        call.inputs[0].detach().flatten(1)
        for call in used
        if call.source == "data" and call.inputs[0].ndim > 1 and call.inputs[0].is_floating_point()
    ]
    halves = [x.chunk(2) for x in given if len(x) == 2 * pairs] or [tuple(given[-2:])] * (len(given) >= 2)
    if not halves or len(halves[-1]) != 2 or any(len(x) != pairs for x in halves[-1]):
        return None
    one, other = halves[-1]
    return (one - other).norm(dim=1).float().cpu().numpy() if one.shape == other.shape else None


def look(watch: "Watch") -> None:
    """What the calls of a look show together."""
    for call in watch.calls:
        x = call.inputs[0]
        if call.source == "data" and x.is_floating_point() and x.ndim > 1 and x.numel() > 1:
            watch.trace.networks[call.network].note("input sd", float(x.float().std()))
            watch.trace.networks[call.network].note("input mean", float(x.float().mean()))
        out = call.output.detach().float().flatten(1) if call.output.ndim > 1 else None
        if out is not None and out.shape[1] > 1 and len(out) >= 16:
            size = float(out.square().sum(1).mean().sqrt())
            watch.trace.networks[call.network].note(
                "spread of outputs", float(out.var(0).sum().sqrt()) / max(size, 1e-30)
            )
    for judge in {call.network for call in watch.calls}:
        mine = [call for call in watch.calls if call.network == judge]
        makers = {call.source for call in mine} & set(watch.modules) - {judge}
        given = [call for call in mine if call.source == "data"]
        real = given or [call for call in mine if call.source == "mixed"]  # data that something was done to
        for maker in makers:
            _game(watch, maker, judge, real, [call for call in mine if call.source == maker])
        if not makers:
            _chained(watch, judge, mine)


def _pairs(watch: "Watch", used: list["Call"]) -> None:
    """Rows that two networks are given side by side; what words have for numbers has no distances."""
    given = {call.network: call for call in used if call.source == "data"}
    if len(given) != 2 or not all(call.inputs[0].is_floating_point() for call in given.values()):
        return
    one, other = given.values()
    if len(one.inputs[0]) == len(other.inputs[0]) and one.output.shape == other.output.shape:
        _keep(watch, ("pairs", one.network, other.network), _rows(one.inputs[0]), _rows(other.inputs[0]))


def energy(x: Tensor, out: Tensor) -> Tensor | None:
    """One number a row (n,): the output itself, or, of an autoencoder, minus its error."""
    if out.numel() == len(x):
        return out.detach().flatten().float()
    if out.shape == x.shape:
        return -(out - x).detach().flatten(1).float().square().mean(1)
    return None


def _game(  # noqa: C901  one line a curve
    watch: "Watch", maker: str, judge: str, real: list["Call"], made: list["Call"]
) -> None:
    real = [call for call in real if call.inputs[0].shape[1:] == made[0].inputs[0].shape[1:]]
    if not real:
        return  # a network behind another one, not a judge
    a, b = energy(real[0].inputs[0], real[0].output), energy(made[0].inputs[0], made[0].output)
    if a is None or b is None:
        return
    game = watch.trace.games.setdefault((maker, judge), Game(maker, judge))
    game.note("real score", float(a.mean()))
    game.note("made score", float(b.mean()))
    game.note("told apart", float((a[:, None] > b).float().mean()))
    game.note("right", float(((a > 0).float().mean() + (b < 0).float().mean()) / 2))
    game.note("certain", float((b.abs() > 10).float().mean()))
    losses = watch.trace.losses
    own = {site for site, one in losses.items() if judge in one.moves}
    others = {site for site, one in losses.items() if maker in one.moves} - own
    for name, calls, sites in (("pull real", real, own), ("pull made", made, own), ("pull of maker", made, others)):
        told = [call.pulls[site] for call in calls for site in sites if call.pulls.get(site)]
        game.note(name, float(np.mean(told)) if told else 0.0)
    for name, calls, sites in (("rows pulled", made, own), ("size of pull on maker", made, others)):
        kind = "still" if name == "rows pulled" else "sizes"
        told = [getattr(call, kind)[site] for call in calls for site in sites if site in getattr(call, kind)]
        if told:
            game.note(name, 1 - told[-1] if kind == "still" else told[-1])
    passed = [
        call.sizes[site] for call in watch.calls if call.network == maker for site in others if site in call.sizes
    ]
    if passed:
        game.note("slope passed to maker", passed[-1] * len(made[-1].inputs[0]))
    shared = {site for site, one in losses.items() if judge in one.moves and maker in one.moves}
    game.note("shared", float(bool(shared)))
    game.note("attached", float(any(call.attached and own & set(call.pulls) for call in made)))
    slopes = [one.slope.flatten(1).norm(dim=1) for one in watch.slopes if one.kept and one.slope.ndim > 1]
    if slopes:
        game.note("penalty slope", float(slopes[-1].mean()))
    if any(not one.kept for one in watch.slopes):
        game.note("penalty cut", 1.0)
    module = watch.modules[judge]
    for name, call in (("slope at real", real[0]), ("slope at made", made[0])):
        game.note(name, _slope(module, call))
    _keep(watch, ("real", maker, judge), _rows(real[0].inputs[0]))
    _keep(watch, ("made", maker, judge), _rows(made[-1].inputs[0]))
    watch.last.setdefault(("first", maker, judge), [_rows(made[-1].inputs[0])])
    if real[0].output.shape == real[0].inputs[0].shape and real[0].output.numel() > len(a):
        with untouched(module), torch.no_grad():
            x = real[0].inputs[0][:ASKED]
            noise = (
                torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).to(x) * (x.max() - x.min()) + x.min()
            )
            there, here = energy(noise, real[0].again(module, noise)), energy(x, real[0].again(module, x))
        if there is not None and here is not None:
            game.note("energy of noise / real", float(there.mean() / here.mean().clamp(max=-1e-12)))
            game.note("energy of real", -float(here.mean()))
            game.note("noise not rebuilt", -float(there.mean()) / float(noise.var().clamp(min=1e-12)))


def clipped(module: nn.Module) -> float:
    """The share of the weights that stand at the same extreme value: clipped ones."""
    values = torch.cat([p.detach().flatten() for p in module.parameters()])
    most = float(values.abs().max())
    return float((values.abs() >= most * (1 - 1e-6)).float().mean()) if most > 0 else 0.0


def _slope(module: nn.Module, call: "Call") -> float:
    """The mean slope of a judge's numbers in its rows."""
    x = call.inputs[0].detach()[:ASKED].clone().requires_grad_()
    with untouched(module), torch.enable_grad():
        out = call.again(module, x)
        if out.shape == x.shape and x.numel() > len(x):
            out = (out - x).flatten(1).square().mean(1)
        (slope,) = torch.autograd.grad(out.sum(), x)
    return float(slope.flatten(1).norm(dim=1).mean())


def _chained(watch: "Watch", judge: str, mine: list["Call"]) -> None:
    """An energy whose samples come from chains that follow its slope."""
    steps = [one for one in watch.slopes if one.x.ndim > 1]
    if len(steps) < 3 or any(x.x.shape != y.x.shape or x.x.equal(y.x) for x, y in itertools.pairwise(steps)):
        return
    asked = [
        call
        for call in mine
        if call.pulls and call.source != "leaf" and call.inputs[0].shape[1:] == steps[0].x.shape[1:]
    ]
    last = steps[-1].x.flatten(1)
    far = [_apart(call.inputs[0].detach().flatten(1), last) for call in asked]
    if len(asked) < 2:
        return
    made = asked[int(np.argmin(far))]
    real = asked[int(np.argmax(far))]
    game = watch.trace.games.setdefault(("chains", judge), Game("chains", judge))
    a, b = energy(real.inputs[0], real.output), energy(made.inputs[0], made.output)
    if a is None or b is None:
        return
    spread = float(real.inputs[0].detach().flatten(1).std(0).norm().clamp(min=1e-12))
    moved = (last - steps[0].x.flatten(1)).norm(dim=1).median()
    ways = [(y.x - x.x).flatten() for x, y in itertools.pairwise(steps) if y.x.shape == x.x.shape]
    along = [
        float(nn.functional.cosine_similarity(w, s.slope.flatten(), dim=0)) for w, s in zip(ways, steps, strict=False)
    ]
    game.note("real score", float(a.mean()))
    game.note("made score", float(b.mean()))
    game.note("told apart", float((a[:, None] > b).float().mean()))
    game.note("chain reach", float(moved) / spread)
    game.note("starts at noise", float(_noise(steps[0].x.flatten().double())))
    game.note("chain sd", float(last.std(0).norm()) / spread)
    game.note("follows", float(np.mean(along)) if along else 0.0)
    game.note("step", float(np.mean([float(w.norm()) for w in ways]) / max(len(last), 1) ** 0.5) / spread)
    push = np.mean([float(s.slope.flatten(1).norm(dim=1).mean()) for s in steps])
    game.note("slope in chains", float(push) * spread)
    game.note("pull real", sum(real.pulls.values()))
    game.note("pull made", sum(made.pulls.values()))
    game.note("attached", float(made.attached))
    game.note(
        "slope by backward", float(any(one.inputs and judge in one.reaches for one in watch.trace.losses.values()))
    )
    _keep(watch, ("real", "chains", judge), _rows(real.inputs[0]))
    _keep(watch, ("made", "chains", judge), _rows(made.inputs[0]))


def _noise(x: Tensor) -> bool:
    """Are these draws of N(0, 1), or of a uniform law, as far as the fourth moment tells?"""
    z = x - x.mean()
    peaked = float((z**4).mean() / z.square().mean().square().clamp(min=1e-12))
    few = 1 / len(x) ** 0.5
    normal = abs(float(x.mean())) < 0.1 + 3 * few and abs(float(z.square().mean()) - 1) < 0.15 + 4 * few
    return bool(normal and abs(peaked - 3) < 0.5 + 6 * few) or abs(peaked - 1.8) < 0.15 + few


def _apart(x: Tensor, y: Tensor) -> float:
    return float((x[: len(y)] - y[: len(x)]).norm(dim=1).mean())


def finish(watch: "Watch") -> None:
    """What the kept rows show at the end. What a network made is of the later half; data is data at any time."""
    trace = watch.trace
    for players in [one for one in trace.games if one[::-1] in trace.games]:
        del trace.games[players]  # each feeds the other: a cycle, and no game
    for (maker, judge), game in trace.games.items():
        (game.real,) = _kept(watch, ("real", maker, judge)) or (NONE,)
        (game.made,) = _kept(watch, ("made", maker, judge), later=True) or (NONE,)
        game.first_made = watch.last.get(("first", maker, judge), [NONE])[0]
    for where in watch.last:
        if where[0] == "pairs":
            trace.pairs[where[1:]] = _kept(watch, where)
    for site, found in trace.losses.items():
        if labelled := _kept(watch, ("labelled", site)):
            found.rows, found.labels = labelled
            found.facts["labelled looks"] = float(len(watch.last["labelled", site]))
        found.judged = _kept(watch, ("judged", site))
        if ids := _kept(watch, ("ids", site)):
            many = np.bincount(ids[0].astype(np.int64))
            found.facts["even targets"] = float(many.min() > EVEN * many.mean())
        if denoised := _kept(watch, ("denoised", site)):
            new = _kept(watch, ("denoised", site), later=True)
            found.denoised = *denoised, np.arange(len(denoised[0])) >= len(denoised[0]) - len(new[0])


def _keep(watch: "Watch", where: Any, *rows: np.ndarray) -> None:
    kept = watch.last.setdefault(where, [])
    kept.append((max(watch.counts.values(), default=0), rows))
    del kept[:-KEPT]


def _kept(watch: "Watch", where: Any, later: bool = False) -> tuple[np.ndarray, ...]:
    kept = watch.last.get(where, [])
    half = min(watch.trace.steps / 2, kept[-1][0]) if later and kept else 0
    return tuple(np.concatenate(part) for part in zip(*(rows for step, rows in kept if step >= half), strict=True))


def _call_of(used: list["Call"], rows: int) -> "Call | None":
    """The one call that was given these rows; of numbers, as names of words and things have no distances."""
    found = [call for call in used if len(call.inputs[0]) == rows and call.source == "data"]
    return found[0] if len(found) == 1 and found[0].inputs[0].is_floating_point() else None


def _rows(x: Tensor) -> np.ndarray:
    flat = x.detach()[:ROWS].flatten(1) if x.ndim > 1 else x.detach()[:ROWS, None]
    found: np.ndarray = flat[:, list(_some(flat.shape[1], WIDE))].float().cpu().numpy()
    return found


def _some(many: int, most: int) -> Iterable[int]:
    """All places, or so many of them, evenly."""
    return range(many) if many <= most else np.linspace(0, many - 1, most).astype(int).tolist()


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Draws and buffers (running statistics, the vectors of spectral norms) are afterwards as they were."""
    kept = [(part, {k: v.clone() for k, v in part._buffers.items() if v is not None}) for part in module.modules()]
    devices = {p.device.index or 0 for p in module.parameters() if p.is_cuda}
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            for part, buffers in kept:
                for name, value in buffers.items():
                    part._buffers[name].copy_(value)  # type: ignore[union-attr]

"""A step of several seeds, and the use of untrained networks: sampling, watching, scoring."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from ..objectives.base import Aligner, Classifier, Embedder, Generative, Nets
from ..task import Finding
from ..train import Lanes, Loop
from .bench import Bench, generators, global_draws

FEW = 8  # rows that are drawn and scored: shapes, draws and finite numbers show in these


def check_step(bench: Bench) -> Iterator[Finding]:
    """One step of two seeds: it reads no values, can be stacked, and moves what it should."""
    before = generators()
    try:
        moved = _moved(bench.lanes)
    except Exception as error:
        try:
            _moved(bench.lanes.alone(0))
        except Exception:
            yield bench.say.raised("A training step", error)
            return
        yield bench.say.note(
            "contract: one seed at a time",
            f"Several seeds cannot train side by side: {type(error).__name__}: {str(error).splitlines()[0]}",
            "Some layer or operation cannot be stacked over seeds (torch.vmap).",
            "Nothing needs to be done; training is slower. Plain layers and tensor operations avoid it.",
        )
        return
    if before != generators():
        yield global_draws(bench.say, "A training step")
    named = {role for update in bench.objective.updates() for role in update.moves}
    for role, changed in moved.items():
        if changed != (role in named):
            yield bench.say.fault(
                "contract: role does not move" if role in named else "contract: role moves",
                f"{role} {'did not change' if role in named else 'changed'} in a training step.",
                "Weights are changed in place inside a loss, or the step is cancelled by `project`.",
                "Leave weights to the optimiser; name the roles of an update in `moves`.",
            )


def _moved(lanes: Lanes) -> dict[str, bool]:
    """role -> did its weights change, every update acting once."""
    state = lanes.start()
    loop = Loop(lanes, state, steps=1000)  # it moves the state to the device
    start = {role: w.clone() for role, w in state.weights.items()}
    loop.work = {i: loop._gradient(i) for i in range(len(loop.updates))}  # not traced: that takes a second
    for begin in sorted({update.active[0] for update in loop.updates}):
        state.step = round(1000 * begin)
        loop.step()
    return {role: not torch.equal(w, start[role]) for role, w in state.weights.items()}


def check_use(bench: Bench) -> Iterator[Finding]:
    """Sampling, watching and scoring the untrained networks."""
    objective, nets, say = bench.objective, bench.nets(), bench.say
    before = generators()
    try:
        batch = bench.batch(objective.updates()[0], bench.x())
        numbers = objective.watch(nets, batch, bench.rng)
        wrong = {name: v for name, v in numbers.items() if v.shape != () or not torch.isfinite(v)}
        for name, v in wrong.items():
            yield say.fault(
                "contract: watched number",
                f"'{name}' is {v.tolist() if v.shape == () else f'of shape {tuple(v.shape)}'} at the start.",
                "A watched number is one finite number per look.",
                "End it with .mean(), and guard quotients.",
            )
        if isinstance(objective, Generative):
            yield from _check_sample(bench, objective, nets)
        if isinstance(objective, Classifier):
            yield from _check_logits(bench, objective, nets)
        if isinstance(objective, Aligner):
            yield from _check_aligned(bench, objective, nets)
        if isinstance(objective, Embedder):
            yield from _check_embeddings(bench, objective, nets)
    except Exception as error:
        yield say.raised("Sampling, watching or scoring", error)
    if before != generators():
        yield global_draws(say, "Sampling, watching or scoring")


def _check_logits(bench: Bench, objective: Classifier, nets: Nets) -> Iterator[Finding]:
    z, shape = objective.logits(nets, bench.x(), bench.lanes.task), (bench.rows, bench.lanes.task.classes)
    if tuple(z.shape) != shape or not torch.isfinite(z).all():
        yield bench.say.fault(
            "contract: logits",
            f"logits of {bench.rows} rows have shape {tuple(z.shape)} or are not finite.",
            "`logits` gives one finite number per row and class.",
            f"Return a tensor of shape {shape}.",
        )


def _check_aligned(bench: Bench, objective: Aligner, nets: Nets) -> Iterator[Finding]:
    sides = objective.first(nets, bench.x()), objective.second(nets, bench.y)
    if any(tuple(z.shape) != (bench.rows, objective.size) or not torch.isfinite(z).all() for z in sides):
        yield bench.say.fault(
            "contract: embeddings",
            f"embeddings of {bench.rows} pairs have shapes {[tuple(z.shape) for z in sides]} or are not finite.",
            f"`first` and `second` give {objective.size} finite numbers per row.",
            f"Return tensors of shape {(bench.rows, objective.size)}.",
        )


def _check_embeddings(bench: Bench, objective: Embedder, nets: Nets) -> Iterator[Finding]:
    z, shape = objective.embed(nets, bench.x()), (bench.rows, objective.size)
    if tuple(z.shape) != shape or not torch.isfinite(z).all():
        yield bench.say.fault(
            "contract: embeddings",
            f"embeddings of {bench.rows} rows have shape {tuple(z.shape)} or are not finite.",
            f"`embed` gives {objective.size} finite numbers per row.",
            f"Return a tensor of shape {shape}.",
        )


def _check_sample(bench: Bench, objective: Generative, nets: Nets) -> Iterator[Finding]:
    shape, say = (FEW, bench.lanes.task.dim), bench.say
    objective, own = replace(objective, **objective.rough), nets.told(bench.y[:FEW])
    rows, again, other = (objective.sample(own, shape, bench.rng[n]) for n in ("sample", "sample", "another"))
    if tuple(rows.shape) != shape:
        yield say.fault(
            "contract: sample shape",
            f"sample(shape={shape}) returned rows of shape {tuple(rows.shape)}.",
            "`sample` must give as many rows, and as wide ones, as it is asked for.",
            "Draw the noise with shape[0] rows; let the network end in task.dim units.",
        )
    elif not torch.isfinite(rows).all():
        yield say.fault(
            "contract: finite samples",
            "Samples of the untrained networks are not finite.",
            "The sampler's steps are too long for the network's size at the start.",
            "Shorten the steps, or scale the network's output.",
        )
    elif not torch.equal(rows, again) or torch.equal(rows, other):
        same = torch.equal(rows, other)
        yield say.fault(
            "contract: keyed samples",
            "Samples " + ("do not depend on the draws." if same else "differ under the same draws."),
            "`sample` ignores its rng, or draws from elsewhere.",
            'Draw everything from the rng that is passed in, for example rng.normal("z", shape).',
        )
    if objective.scores:
        score = objective.score(own, bench.x()[:FEW])
        if tuple(score.shape) != (FEW,) or not torch.isfinite(score).all():
            yield say.fault(
                "contract: score",
                f"score of {FEW} rows has shape {tuple(score.shape)} or is not finite.",
                "`score` gives one finite number per row.",
                "Drop the last axis: .squeeze(-1).",
            )

"""A watched loop as one self-contained page, and as lines in a terminal: findings, who learnt from what, curves."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..doctor.trace import Loss, Trace
from ..study.store import write as write_file
from ..task import Finding
from . import health, words
from .charts import Figure
from .html import as_json, bundle, page, text

CURVES = {
    "gradient": "size of the gradient",
    "update": "update / weights",
    "spread of outputs": "spread of its outputs / their size",
    "cross-entropy": "cross-entropy",
    "accuracy": "accuracy in the batch",
    "explained": "share explained",
    "told apart": "pairs told apart (0.5: guessing)",
    "slope at made": "slope at samples",
    "slope passed to maker": "slope passed on",
    "chain reach": "reach of a chain, in spreads of the data",
    "real score": "score of data",
    "made score": "score of samples",
    "effective rank": "directions used",
}


def headline(trace: Trace, findings: Sequence[Finding]) -> str:
    """What was found, in a line."""
    faults = sum(f.level == "fault" for f in findings)
    if not trace.steps and not faults:
        return f"{trace.name} took no step, so there is nothing to judge"
    if not faults:
        return f"No fault was found in {trace.name}" + " before it crashed" * trace.crashed
    return f"{faults} fault{'s' * (faults > 1)} found in {trace.name}"


def seen(trace: Trace) -> str:
    """How much was watched, and how the loop ended."""
    looks = len(trace.looks)
    return (
        f"{trace.steps:,} steps, {looks} of them looked at closely ({trace.share:.1%} of the time); "
        f"the loop {trace.ended if trace.ended.startswith(('ended', 'stopped')) else 'ran to its end'}."
    )


def learnt(trace: Trace) -> list[tuple[str, str, str, str, str]]:
    """Of each loss: where, its line, its value from start to end, whom its gradient reaches, whom it moved."""
    return [
        (one.site, one.text, " → ".join(health.ends(one.values)[::2]), words.listed(sorted(one.reaches)) or "nobody",
         words.listed(sorted(one.moves)) or "nobody")
        for one in trace.losses.values()
    ]  # fmt: skip


def lines(trace: Trace, findings: Sequence[Finding]) -> Iterator[str]:
    """What a terminal shows."""
    yield f"{headline(trace, findings)}. {seen(trace)}"
    for f in findings:
        yield f"{f.level}: {f.rule}: {f.says}"
        yield f"  cause: {f.cause}"
        yield f"  remedy: {f.remedy}" + (f" (read: whichloss explain {f.card})" if f.card else "")
    for site, line, value, reaches, moves in learnt(trace):
        yield f"{site}  {line}  {value}: its gradient reaches {reaches}; moved by it: {moves}"
    for network in trace.networks.values():
        if network.still and trace.steps:
            more = " ..." * (len(network.still) > 5)
            yield f"{network.name}: never moved: {words.listed(list(network.still[:5]))}{more}"


def write(trace: Trace, findings: Sequence[Finding], path: Path) -> Path:
    """Write the page."""
    write_file(path, render(trace, findings).encode())
    return path


def render(trace: Trace, findings: Sequence[Finding]) -> str:
    """The page."""
    context = {
        "headline": headline(trace, findings),
        "seen": seen(trace),
        "trace": trace,
        "findings": [(f, health.evidence(f)) for f in findings],
        "losses": learnt(trace),
        "groups": list(groups(trace)),
        "charts": {},
        "style": text("style.css"),
        "script": text("script.js"),
        "bundle": bundle(),
        "as_json": as_json,
    }
    return page("loop.html.j2", context)


def groups(trace: Trace) -> Iterator[tuple[str, list[Figure]]]:
    """The curves of every loss, network and game."""
    number = 0
    for kind, found in (("loss", trace.losses), ("network", trace.networks), ("game", trace.games)):
        for key, one in found.items():
            name = f"{kind} {key}" if isinstance(key, str) else " and ".join(key)
            shown = {"value": one.values} if isinstance(one, Loss) else {}
            shown |= {title: one.curves[curve] for curve, title in CURVES.items() if curve in one.curves}
            known = {title: curve for title, curve in shown.items() if sum(map(np.isfinite, curve)) > 1}
            row: Any = SimpleNamespace(name=name, collapse=None, least=None)
            if known:
                yield name, [health.curve(number, row, k, *pair) for k, pair in enumerate(known.items())]
                number += 1

"""The end of a study: all results as one value, and the recommended model in RUN/best."""

import dataclasses
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from ..data.pixels import said, shade
from ..errors import StudyError
from ..rng import key
from ..train import count
from . import collect, model, rows
from .nets import Makers
from .records import Row, Study
from .run import Found
from .unlikely import MOST, constant, held_out
from .work import make_lanes

HELD, FEWEST = 1e12, 100  # operations that scores of held-out rows may cost; rows that are scored whatever they cost
PEERS = ("torch", "numpy", "scipy", "scikit-learn", "duckdb")


USE = {
    "generate": 'model.sample(1000).to_csv("new.csv")',
    "classify": 'model.predict("new.csv").to_csv("predicted.csv")',
    "embed": 'model.embed("new.csv").to_csv("embedded.csv")',
    "align": 'model.retrieve("red car", top=5)  # the pairs of the study that fit best',
}
USE_PICTURES = {
    "generate": 'model.sample(100).to_sheet("sheet.png")  # or .to_folder("new"), .to_npy("new.npy")',
    "classify": 'model.predict("new_pictures").to_csv("predicted.csv")  # a folder, a file, an array',
    "embed": 'model.embed("new_pictures").to_csv("embedded.csv")  # a folder, a file, an array',
    "align": 'model.retrieve("red car", top=5)  # the pictures of the study that fit best',
}
LIMITS = {
    "generate": "its rows are not private (see the copy test in the report), and its score says nothing about uses "
    "other than resembling the data.",
    "classify": "its probabilities hold for rows that come as these did, with classes as frequent as here.",
    "embed": "it puts rows together that were alike in the sense of these labels, or of these views; another sense of "
    "alike needs others.",
    "align": "it knows things like those it was trained on; what is found first is the nearest, not a promise.",
}


def make_study(found: Found, command: str, started: float) -> Study:
    """All results of a study as one value."""
    plan = found.plan
    table: tuple[Row, ...] = rows.rows(found)
    decided, audit = collect.answer(found, table)
    found_all = collect.findings(found, table)
    for row in table:
        if not row.state and any(f.objective == row.name and f.rule == "needs longer" for f in found_all):
            row.state = "needs longer"
    spent = sum(
        float(found.store.read(run.id)[0].get("clock", {}).get("cpu seconds", 0.0))
        for groups in found.stages.values() for group in groups for run in group.runs
    )  # fmt: skip
    return Study(
        version=version("whichloss"),
        command=command,
        goal=plan.goal,
        score_name=found.judge.score_name,
        budget=msgspec.to_builtins(plan.budget),
        stages=tuple(plan.stages()),
        data=collect.data(found),
        answer=decided,
        rows=table,
        skipped=plan.skipped,
        findings=found_all,
        preflight=found.preflight.facts() | ({"free": msgspec.to_builtins(found.reaches)} if found.reaches else {}),
        audit=audit,
        fewer_rows=collect.fewer_rows(found),
        overlap=found.judge.overlap,
        method=found.judge.method,
        versions={name: version(name) for name in PEERS} | {"python": platform.python_version()},
        clock={"started": started, "wall seconds": time.time() - started, "training cpu seconds": spent},
    )


def save_best(found: Found, study: Study, folder: Path, nets: Makers | None) -> None:
    """RUN/best: the recommended objective's run with the best validation score, by the data that may choose."""
    name = study.answer.recommended
    stage = "final" if name in found.finalists else "screen"
    lived = []
    for run in found.runs(stage, name):
        record, arrays = found.store.read(run.id)
        if not record["failed"]:
            lived.append((min(q for q in record["quarters"] if q is not None), run, record, arrays))
    if not lived:
        raise StudyError(f"Every run of {name} failed, so there is no model to save; see the report for the reasons.")
    _, run, record, arrays = min(lived, key=lambda entry: entry[0])
    encoders, _ = make_lanes(found.judge, (run,), nets)
    weights = {k.removeprefix("weights/"): v for k, v in arrays.items() if k.startswith("weights/")}
    about = {
        "run": msgspec.to_builtins(run),
        "task": dataclasses.asdict(found.judge.task),
        **found.judge.about(arrays),
        "encoder": msgspec.to_builtins(encoders[0]),
        "source": found.judge.table.source,
        "own networks": sorted(nets) if nets else [],
        "version": study.version,
        "score": record["score"],
        "steps": record["steps"],
    }
    trained = model.Model(about, {k: torch.from_numpy(w) for k, w in weights.items()}, nets)
    if trained.scores:
        generator = np.random.Generator(np.random.PCG64(key("held out")))  # sorted rows often come class by class
        test = generator.permutation(found.judge.split(run.seed).test)[:MOST]
        held, told = found.judge.inputs[test], found.judge.told(test)
        most = affordable(trained, held, told)
        about["held out"] = held_out(trained, held[:most], told[:most])
        whole = study.goal == "generate" and not trained.choice.name  # every class has a log Z of its own
        if trained.scores == "energy" and whole and not trained.shape:  # no chain mixes there
            about["log Z"] = constant(trained, torch.from_numpy(encoders[0].encode(held)))
    model.save(folder / "best", about, weights, model_card(study, about, folder))


def affordable(trained: model.Model, rows: np.ndarray, told: torch.Tensor) -> int:
    """How many rows' scores cost at most HELD operations, but at least FEWEST; a density of pictures is dear."""
    one = count(lambda: trained.estimates(rows[:1], told[:1]))
    return max(FEWEST, int(HELD / max(one, 1.0)))


def model_card(study: Study, about: Mapping[str, Any], folder: Path) -> str:
    """What the model is, how good, and how to make it again; plain Markdown."""
    row = study.row(study.answer.recommended)
    setting = ", ".join(f"{k} = {v:g}" for k, v in row.setting.items()) or "no searched settings"
    ceiling = [r for r in study.rows if r.role == "ceiling"]
    given = about.get("given", {})
    pictures, what = bool(study.data.shape), known(study, about)
    lines = [
        f"# {row.name}, trained on {study.data.source}",
        "",
        f"{study.answer.sentence} {study.answer.reason} {study.answer.caution}".strip(),
        "",
        "| | |",
        "|---|---|",
        f"| objective | {row.name} ({setting}) |",
        f"| score ({study.score_name} on test rows, this model) | {about['score']:.3g} |",
        f"| score, mean of {len(row.scores)} seeds | {row.mean:.3g} (95 % interval {row.low:.3g} to {row.high:.3g}) |",
        *(f"| {r.name} score | {r.mean:.3g} |" for r in ceiling),
        f"| seed, steps, compute | {about['run']['seed']}, {about['steps']}, {row.training_flops:.3g} operations |",
        f"| parameters | {', '.join(f'{k} {v:,}' for k, v in row.parameters.items())} |",
        f"| trained on | {study.data.split.train:,} of {study.data.rows:,} {what} |",
        *(f"| read | {note} |" for note in study.data.notes if pictures),
        f"| data fingerprint | {study.data.fingerprint} |",
        f"| whichloss, torch | {study.version}, {study.versions['torch']} |",
        *normalised(about),
        *asked_for(about),
        *told_apart(about),
        "",
        "Use it:",
        "",
        "    import whichloss",
        f"    model = whichloss.load({str(folder / 'best')!r})",
        f"    {use(study)}",
        *(f"    model.sample(100, where={{{given['name']!r}: {name!r}}})" for name in given.get("classes", ())[:1]),
        "",
        "Make it again:",
        "",
        f"    {study.command or 'whichloss.compare(...)'}",
        "",
        f"Limits: the model knows {'pictures of this size' if pictures else 'the columns'} and the "
        f"{'ones' if pictures else 'rows'} it was given and nothing else; "
        + (LIMITS[study.goal].replace("rows", "pictures") if pictures else LIMITS[study.goal]),
        "",
    ]
    return "\n".join(lines)


def use(study: Study) -> str:
    """The line that puts the model to use."""
    return (USE_PICTURES if study.data.shape else USE)[study.goal]


def known(study: Study, about: Mapping[str, Any]) -> str:
    """What a model learned from: rows, 8 columns; or pictures of 16 x 16, grey; or pairs."""
    if "threshold" in about:
        return "pairs of vectors" if not study.data.shape else f"pairs of pictures of {said(study.data.shape[1:])}"
    if not study.data.shape:
        return f"rows, {len(study.data.columns) - len(about.get('target', ()))} columns"
    return f"pictures of {said(study.data.shape[1:])} (height x width), {shade(study.data.shape)}"


def asked_for(about: Mapping[str, Any]) -> list[str]:
    """What rows are generated given."""
    given = about.get("given")
    if not given:
        return []
    shares = ", ".join(f"{name} {share:.0%}" for name, share in zip(given["classes"], given["shares"], strict=True))
    return [f"| rows are generated given | {given['name']}: {shares} unless asked otherwise |"]


def told_apart(about: Mapping[str, Any]) -> list[str]:
    """From which cosine on two things are called alike."""
    if "threshold" not in about:
        return []
    return [f"| two things are called alike | where their cosine is above {about['threshold']:.3g} |"]


def normalised(about: Mapping[str, Any]) -> list[str]:
    """How far an energy is known to be a density."""
    known = about.get("log Z")
    return [f"| log Z | {known['value']:.3f} nats: {known['label']} ({known['says']}) |"] if known else []

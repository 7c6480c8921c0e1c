"""Studies made up with realistic numbers, and the folders that a real one would leave."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from whichloss.data import Table, describe, read
from whichloss.study import rank, store, verdict
from whichloss.study.records import Answer, Data, Row, Split, Study
from whichloss.task import Finding

QUALITY = {  # how far an objective's rows are from real ones
    "flow-matching": 0.02,
    "ddpm": 0.03,
    "wgan-gp": 0.12,
    "r3gan": 0.16,
    "denoising-score-matching": 0.22,
    "gan": 0.35,
    "ebgan": 0.6,
    "pcd": 0.9,
}
ANCHORS = {
    "Gaussian mixture": ("baseline", 0.3),
    "Gaussian": ("baseline", 0.7),
    "independent marginals": ("baseline", 1.0),
    "fresh real rows": ("ceiling", 0.0),
    "copies of training rows": ("cheat", 0.0),
}
CURVES = {
    "gan": ("loss 0:D", "loss 1:G", "critic accuracy"),
    "wgan-gp": ("loss 0:D", "loss 1:G", "critic slope", "critic gap / slope"),
    "pcd": ("loss 0:D", "energy gap"),
}
ROPE = 0.0012
FINDINGS = (
    Finding(
        "hinge inactive",
        "ebgan",
        "fault",
        "The hinge is inactive on 99 % of the generated rows.",
        {"share of rows inside the margin": 0.011, "healthy from": 0.43, "healthy to": 0.62},
        "The margin is smaller than the energy of real rows.",
        "Set the margin to the energy of real rows, about 0.9.",
        "Zhao et al., 2017, section 2.1",
    ),
    Finding(
        "mode collapse", "ebgan", "fault", "It covers 2 of 8 modes.", {"coverage": 0.21}, "", "Use the pull-away term."
    ),
    Finding(
        "critic too strong", "gan", "note", "The critic tells 97 % of rows apart.", {"critic accuracy": 0.97}, "", ""
    ),
    Finding(
        "needs longer", "wgan-gp", "note", "Its score still falls at the end.", {}, "", "Give it --budget standard."
    ),
)


def mixed(rows: int = 600) -> Table:
    """Numbers, whole numbers, categories, a boolean, a date, missing values, a constant, a name that is no letter."""
    g = np.random.default_rng(5)
    kind = g.integers(0, 3, rows)
    length = 30 + 8 * kind + g.normal(0, 2, rows)
    mass = 3000 + 700 * kind + 60 * (length - 40) + g.normal(0, 250, rows)
    sex = np.where(g.random(rows) < 0.05, None, np.where(mass > 3900 + g.normal(0, 300, rows), "männlich", "weiblich"))
    day = np.datetime64("2021-01-01") + (300 * g.beta(2, 4, rows) + 20 * kind).astype(int)
    return read(
        {
            "species": np.array(["Adelie", "Chinstrap", "Gentoo"], object)[kind],
            "bill length (mm)": np.where(g.random(rows) < 0.03, np.nan, length.round(1)),
            "mass": mass.round(-1).astype(int),
            "eggs": g.poisson(1 + kind),
            "sex": sex.astype(object),
            "Größe <b>über</b> alles": np.exp(g.normal(kind, 0.5)).round(3),
            "clutch complete": g.random(rows) < 0.3 + 0.3 * (kind == 1),
            "seen": day,
            "station": np.full(rows, 7),
        }
    )


def drawn(table: Table, quality: float, n: int, seed: int) -> np.ndarray:
    """Rows like the table's, the worse the larger `quality`."""
    g = np.random.default_rng(seed)
    values = table.values[g.integers(0, len(table), n)].copy()
    spread = np.nanstd(table.values, axis=0)
    for j, column in enumerate(table.schema.columns):
        swap = g.random(n) < quality
        values[swap, j] = table.values[g.integers(0, len(table), int(swap.sum())), j]
        if column.kind == "number":
            values[:, j] += 0.5 * quality * spread[j] * g.standard_normal(n)
    if 0.5 < quality < 0.7:  # a collapse
        values[: int(0.8 * n)] = values[:1]
    return values


def scores(quality: float, n: int, seed: int) -> tuple[float, ...]:
    """MMD^2 over seeds."""
    g = np.random.default_rng(seed)
    return tuple(float(s) for s in 0.12 * quality**1.7 * np.exp(g.normal(0, 0.25, n)) + 0.0004 * g.normal(size=n))


def curve(name: str, points: int = 50) -> tuple[float | None, ...]:
    """A training curve."""
    g, t = np.random.default_rng(len(name)), np.linspace(0, 1, points)
    start, end = {"loss 0:D": (0.6, 1.3), "critic accuracy": (0.95, 0.6)}.get(name, (3.0, 0.8))
    return tuple(map(float, end + (start - end) * np.exp(-6 * t) + 0.05 * g.normal(size=points)))


def metrics(quality: float, toy: bool) -> dict[str, tuple[float, float]]:
    """Descriptive metrics."""
    found = {
        "energy distance": (0.3 * quality, 0.01),
        "sliced W2": (0.05 + 0.5 * quality, 0.02),
        "two-sample accuracy": (0.5 + 0.45 * min(1.0, quality * 1.3), 0.02),
        "precision": (0.95 - 0.5 * quality, 0.02),
        "coverage": (0.96 - 0.7 * quality, 0.02),
        "spread": (1.0 - 0.6 * quality, 0.03),
        "copy test p": (0.5 - 0.3 * quality, 0.1),
        "copied share": (0.0, 0.0),
    }
    if toy:
        found |= {
            "modes": (8.0, 0.0),
            "modes covered": (8 - 6 * quality**2, 0.3),
            "high-quality share": (0.98 - quality / 2, 0.02),
        }
    return found


def objective(name: str, number: int, final: bool, toy: bool) -> Row:
    """One line of the table."""
    q, dead = QUALITY.get(name, 0.1 + number / 20), name == "pcd"
    screen = scores(q, 4, 10 + number)
    values = scores(q, 16, 30 + number) if final else screen
    mean, low, high = rank.interval(values, 0.0)
    tried = tuple(
        ({"lr": lr}, None if lr > 5e-3 else s)
        for lr, s in zip((1e-3, 3e-4, 1e-2), scores(q * 1.1, 3, number), strict=True)
    )
    quarters = tuple(0.12 * q**1.7 * (1 + 2 * (1 - k / 4) ** 2) for k in (1, 2, 3, 4))
    failures = len(values) if dead else 1 if name == "ebgan" else 0
    row = Row(
        name=name,
        role="objective",
        stage="final" if final else "screen",
        scores=values,
        mean=mean,
        low=low,
        high=high,
        failures=failures,
        reasons=("diverged: weights became infinite by step 210",) if failures else (),
        skill=1 - mean / 0.02 if final else None,
        metrics={} if dead else metrics(q, toy),
        screen=screen,
        setting={"lr": 3e-4},
        default={"lr": 1e-3},
        tuning=tried,
        quarters=() if dead else quarters,
        steps=1880,
        parameters={"G": 9026, "D": 8577} if "gan" in name else {"F": 13000},
        training_flops=1e12,
        state="needs longer" if name == "wgan-gp" else "",
        use_flops=1.8e4 * (1 if "gan" in name else 60 if name == "flow-matching" else 2000),
        last=None if dead else mean * 1.1,
        loss_skill=0.83 if name in ("ddpm", "flow-matching") else None,
        curves={} if dead else {c: curve(c) for c in CURVES.get(name, ("loss 0:F",))},
        sample="" if dead else f"run-{number}",
    )
    row.failure_low, row.failure_high = rank.wilson(failures, len(values))
    return row


def anchor(name: str, toy: bool) -> Row:
    """One anchor."""
    role, q = ANCHORS[name]
    mean, low, high = rank.interval(values := scores(q, 16, len(name)), 0.0)
    return Row(
        name=name,
        role=role,
        stage="final",
        scores=values,
        mean=mean,
        low=low,
        high=high,
        skill=1 - mean / 0.02,  # type: ignore[arg-type]
        metrics=metrics(q, toy),
        sample=f"anchors-1#samples/{name}",
    )


def make(
    folder: Path,
    table: Table,
    names: Sequence[str] = tuple(QUALITY),
    finalists: int = 3,
    findings: Sequence[Finding] = FINDINGS,
) -> Study:
    """A study of a table, its folder written."""
    toy = table.source.startswith("toy:ring")
    rows = [objective(name, i, i < finalists, toy) for i, name in enumerate(names)]
    rows += [anchor(name, toy) for name in ANCHORS]
    table.save(folder / "data.safetensors")
    for row in rows:
        if row.role == "objective" and row.sample:
            values = drawn(table, QUALITY.get(row.name, 0.2), 500, len(row.name))
            store.write(folder / "runs" / f"{row.sample}.safetensors", store.pack({}, {"samples": values}))
    arrays = {f"samples/{name}": drawn(table, q, 500, 3) for name, (_, q) in ANCHORS.items()}
    store.write(folder / "runs" / "anchors-1.safetensors", store.pack({}, arrays))
    g = np.random.default_rng(0)
    final = [
        rank.Scores(r.name, r.scores, 0.001 * g.normal(size=400), 0, r.use_flops, r.training_flops)
        for r in rows
        if r.role == "objective" and r.stage == "final"
    ]
    said = verdict.judge(final, rope=ROPE, overlap=0.0)
    for row in rows:
        row.letters = said.letters.get(row.name, "")
    study = Study(
        version="0.1.0",
        command="whichloss compare 'my data.csv' --budget standard",
        goal="generate",
        score_name="MMD^2",
        budget={
            "name": "standard",
            "flops": 1e12,
            "settings": 3,
            "screen": 4,
            "finalists": 3,
            "seeds": 16,
            "width": 128,
            "shares": [],
        },
        stages=(("tune", 24, 1.2e13), ("screen", 32, 3.2e13), ("final", 48, 4.8e13), ("twin", 16, 1.6e13)),
        data=Data(
            source=table.source,
            rows=len(table),
            dim=table.schema.dim,
            columns=tuple(msgspec.to_builtins(c) for c in table.schema.columns),
            fingerprint=table.fingerprint,
            split=Split(384, 96, 120, 96, "at random"),
            notes=("A date column is present.",),
            lines=tuple(describe(table).lines()),
        ),
        answer=Answer(
            kind=said.kind,
            leader=said.leader,
            recommended=said.recommended,
            tied=said.tied,
            sentence=said.sentence,
            reason=said.reason,
            caution="",
            seeds_needed=said.seeds_needed,
            rows_needed=said.rows_needed,
            differences=tuple(msgspec.to_builtins(d) for d in said.differences),
        ),
        rows=tuple(rows),
        skipped={"clip": "it aligns two modalities"},
        findings=tuple(f for f in findings if f.objective in names),
        preflight={
            "rows": 96,
            "rope": ROPE,
            "marginals_seen": True,
            "independent": False,
            "smallest": ["noise of 0.2 standard deviations added to every row"],
            "damages": [
                {"kind": "noise", "size": s, "harm": s * s / 10, "seen": s > 0.15} for s in (0.05, 0.1, 0.2, 0.4)
            ],
        },
        audit={"objective": names[0], "ties": True, "difference": 1e-4, "low": -3e-4, "high": 5e-4},
        fewer_rows=(),
        overlap=0.25,
        method=("Every objective gets the same.",),
        versions={"torch": "2.13.0", "python": "3.11.7"},
        clock={"started": 1.7e9, "wall seconds": 754.0, "training cpu seconds": 1300.0},
    )
    store.write(folder / "study.json", msgspec.json.format(msgspec.json.encode(study)))
    return study

"""Study -> RUN/report.html: one file that opens offline and asks for nothing."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from ..study.finish import use
from ..study.goals import judge_of
from ..study.records import Study
from ..study.store import write as write_file
from . import health, lookup, ranking, sheet, why, words
from .charts import Figure
from .lookup import of_role, rope, things
from .samples import MOST_COLUMNS, MOST_REAL, Rows, load
from .wording import score_name, wording

HERE = files(__package__)


def write(study: Study, folder: Path) -> Path:
    """Write folder/report.html. Raises UserError or StudyError if the folder's data is missing or damaged."""
    path = Path(folder) / "report.html"
    write_file(path, render(study, Path(folder)).encode())
    return path


def render(study: Study, folder: Path) -> str:
    """The page."""
    return page("report.html.j2", everything(study, folder))


def page(template: str, context: dict[str, Any]) -> str:
    """A template of this package, filled in; the specs of its charts are added to context["charts"]."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for name in ("figures", "fixed", "flop", "percent", "listed", "several", "duration"):
        environment.filters[name] = getattr(words, name)
    environment.filters["things"] = things
    environment.globals["chart"] = chart_macro(context["charts"])
    return environment.get_template(template).render(context)


def text(name: str) -> str:
    """A file of this package."""
    return HERE.joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def as_json(value: Any) -> str:
    """JSON that may stand inside a script element: no character of it can end the element."""
    return (
        msgspec.json.encode(value)
        .decode()
        .replace("<", "\\u003c")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


def chart_macro(charts: dict[str, Any]) -> Callable[[Figure], str]:
    """Puts a figure's specification into the page's list when the template draws it."""

    def chart(figure: Figure) -> str:
        charts[figure.name] = figure.spec
        return ""

    return chart


def everything(study: Study, folder: Path) -> dict[str, Any]:
    """What the template draws."""
    from . import costs, evidence, outliers
    from .card_page import in_report

    objectives = of_role(study, "objective")
    return {
        "study": study,
        "answer": study.answer,
        "objectives": objectives,
        "charts": {},
        "sheet": sheet,
        "ranking": ranking,
        "digits": words.places(rope(study)),
        "noise": rope(study),
        "heads": ranking.heads(study),
        "groups": ranking.groups(study),
        "matrix": ranking.matrix(study),
        "strips": evidence.strips(study),
        "why": [
            (row, why.sentences(study, row), [f for f in study.findings if f.objective == row.name])
            for row in objectives
        ],
        "budget": evidence.over_budget(study),
        "tuning": evidence.tuned(study),
        "costs": costs.costs(study),
        "health": health.matrix(study),
        "details": list(health.details(study)),
        "wording": wording(study),
        "score": wording(study).score.format(name=score_name(study)),
        "number": {name: i + 1 for i, name in enumerate(wording(study).sections)},
        "use": use(study),
        **{"generate": drawn, "classify": predictions, "embed": embedded, "align": aligned}[study.goal](study, folder),
        "theory": [(row.name, card) for row in objectives if (card := in_report(row.name))],
        "style": text("style.css") + text("card.css"),
        "script": text("script.js"),
        "bundle": bundle(),
        "as_json": as_json,
        "vital": sheet.facts(study),
        "outliers": outliers.section(study, folder) if lookup.outliers(study) else None,
    }


def predictions(study: Study, folder: Path) -> dict[str, Any]:
    """What only a study of predictions has."""
    from . import diagrams, labels
    from .predictions import load, saved
    from .signal import signal

    rows = load(study, folder)
    several = rows.judge.labels.kind == "several"
    found = {
        "names": [p.name for p in rows.shown],
        "shown": [f"{p.name} (seed {p.seed})" if p.seed is not None else p.name for p in rows.shown],
        "saved": saved(folder),
        "absent": [p for p in rows.shown if p.found is None],
        "target": target(rows.judge.target, rows.classes, rows.judge.labels.kind),
        "word": "label" if several else "class",
        "many": len(rows.classes) if len(rows.classes) > 2 or several else 0,
        "per_class": labels.per_class(rows),
        "calibrations": diagrams.calibrations(rows),
        "rocs": diagrams.rankings(rows, "roc"),
        "precisions": diagrams.rankings(rows, "pr"),
        "confusions": labels.confusions(rows),
        "mistaken": labels.mistaken(rows),
    }
    inputs = study.data.dim if study.data.shape else len(study.data.columns) - len(rows.judge.target)
    return {"predictions": found, "signal": signal(study), "metrics": labels.metrics(study), "inputs": inputs}


def embedded(study: Study, folder: Path) -> dict[str, Any]:
    """What only a study of embeddings has."""
    from . import cosines, embeddings
    from .signal import signal

    judge: Any = judge_of(str(folder.resolve()))
    columns, paired = getattr(judge, "target", ()), lookup.compared(study)
    alike = "both things of a pair, where its label is 1" if paired else "two views of each"
    if columns:
        alike = f"{things(study)} of equal {target(columns, judge.labels.names, judge.labels.kind)}"
    told = {"cosines": cosines.section(study, folder), "alike_colours": cosines.COLOURS} if paired else {}
    return told | {
        "embeddings": embeddings.section(study, folder),
        "retrieval": {},
        "signal": {} if paired else signal(study),
        "metrics": ranking.metrics(study),
        "inputs": study.data.dim if study.data.shape or paired else len(study.data.columns) - len(columns),
        "predictions": {"target": alike},
    }


def aligned(study: Study, folder: Path) -> dict[str, Any]:
    """What only a study of pairs has."""
    from . import embeddings, retrieval

    return {
        "embeddings": embeddings.section(study, folder),
        "retrieval": retrieval.section(study, folder),
        "metrics": ranking.metrics(study),
        "inputs": 0,
        "predictions": {"target": "things of one pair, or of one unit"},
    }


def target(columns: Sequence[str], classes: Sequence[str], kind: str) -> str:
    """species: Adelie, Chinstrap and Gentoo"""
    if kind == "several":
        return f"{words.listed(columns)}: each row may have several"
    shown = words.listed(list(map(words.quoted, classes))) if len(classes) <= 12 else f"{len(classes)} classes"
    return f"{columns[0]}: {shown}{', in this order' if kind == 'ordered' else ''}"


def drawn(study: Study, folder: Path) -> dict[str, Any]:
    """What only a study of samples has."""
    from . import given, grids

    return {
        "given": given.section(study),
        "samples": grids.sheets(study, folder) if study.data.shape else samples(study, load(study, folder)),
        "damage": why.smallest_damage(study),
        "metrics": ranking.metrics(study),
        "inputs": len(study.data.columns),
    }


def samples(study: Study, rows: Rows) -> dict[str, Any]:
    """The fifth section."""
    from . import links, pictures, sparks

    names = [sample.name for sample in rows.samples]
    pick = names.index(study.answer.recommended)
    pick = pick if len(rows.samples[pick].values) else next((k for k, s in enumerate(rows.samples) if len(s.values)), 0)
    absent = [s for s in rows.samples if not len(s.values)]
    found: dict[str, Any] = {
        "kind": rows.kind,
        "names": [(k, s.name, s.row.role) for k, s in enumerate(rows.samples) if len(s.values)],
        "rows": [s.row for s in rows.samples],
        "ceiling": any(s.row.role == "ceiling" for s in rows.samples),
        "pick": pick,
        "absent": absent,
        "energies": [],
        "constants": [
            c.name
            for c in rows.table.schema.columns
            if c.constant and len(rows.varying) < len(rows.table.schema.columns)
        ],
        "shown": len(rows.shapes),
        "all": len(rows.varying),
        "most": MOST_COLUMNS,
        "drawn": min(len(rows.table), MOST_REAL),
    }
    if rows.kind == "line":
        return found | {"figures": pictures.lines(rows), "energies": pictures.energies(rows)}
    if rows.kind == "plane":
        return found | {"figures": pictures.scatters(rows), "energies": pictures.energies(rows)}
    return found | {
        "figures": pictures.columns(rows, pick),
        "sparks": sparks.table(rows),
        "heat": links.heat_map(rows, pick),
        "pairs": links.worst_pairs(rows) if len(rows.shapes) > 1 else [],
    }

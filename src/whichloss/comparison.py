"""The front door from Python: compare data, get an answer, a report and a trained model."""

import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from . import report
from .errors import StudyError, UserError
from .study.model import Model, load
from .study.nets import Makers
from .study.records import Study
from .study.request import Request, request
from .study.run import Silent, Watcher


class Comparison:
    """A finished study: `study` holds every number, `best` the trained model."""

    def __init__(self, study: Study, folder: Path, nets: Makers | None = None) -> None:
        self.study, self.folder, self._nets = study, folder, nets

    @property
    def verdict(self) -> str:
        """better, practically equivalent, or undecided."""
        return self.study.answer.kind

    @property
    def recommended(self) -> str:
        """The objective to use."""
        return self.study.answer.recommended

    @cached_property
    def best(self) -> Model:
        """The trained model of the recommended objective."""
        return load(self.folder, self._nets)

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    def _repr_html_(self) -> str:
        return report.text.notebook(self.study)

    def __repr__(self) -> str:
        return f"Comparison({self.verdict}: {self.recommended}; {self.report})"


def compare(
    data: object,
    *,
    goal: str | None = None,
    target: str | Sequence[str] | None = None,
    metric: str | None = None,
    outliers: object = None,
    given: str | None = None,
    budget: str | float = "quick",
    objectives: Sequence[str] | None = None,
    nets: Makers | str | Path | None = None,
    group: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    seeds: int | None = None,
    settings: int | None = None,
    size: int | tuple[int, int] | None = None,
    features: str | None = None,
    first: str | None = None,
    second: str | None = None,
    out: str | Path | None = None,
    engine: str = "local",
    workers: int | None = None,
    anyway: bool = False,
    watcher: Watcher | None = None,
) -> Comparison:
    """Which training objective fits this data best, and why? Trains them all and judges them on unseen rows.

    data: a path (.csv, .parquet, .npy, .npz), "toy:ring8", an array, tensor, data frame or dict of columns; pictures:
    a folder of PNG or JPEG files, an IDX or NPY file, an array (n, H, W[, C]). size: the side they are reduced to;
    features: what they are compared by, "labels", "turns", "random" or "efficientnet-lite0".
    target: the column of labels (goals classify and embed), or several 0/1 columns; metric: what decides then:
    log-loss, or of embeddings "knn-accuracy", without a target "view-recall", of pairs "pair-auroc".
    outliers: rows that do not belong, or a 0/1 column that marks them: no objective trains on them, the study says how
    well each finds them, and metric "auroc" has that decide.
    goal "align": pairs, a table of picture files and captions, or of two blocks of numbers, or two arrays; first,
    second: the columns of each, found by what they hold if not given; group: the column of concepts, kept whole.
    goal "embed" of pairs that target, a column of 1 and 0, calls alike or not: first, second as above, both of one
    kind; or three arrays (a, b, labels).
    given: the column of classes that every row is generated given; of labelled pictures "label".
    budget: "quick", "standard", "thorough", or floating-point operations per run; seeds per finalist and settings per
    objective are the budget's unless given. nets: your own networks, makers
    f(inputs, outputs) by role ({"G": f, "D": g}) or a file that defines them. anyway: train although the data look
    unfit. Running it again resumes.
    Raises UserError for what cannot be asked, DataUnfit for data that cannot be compared, StudyError for the folder.
    """
    others = {
        "goal": goal,
        "target": target,
        "metric": metric,
        "outliers": outliers,
        "given": given,
        "group": group,
        "time": time,
        "drop": drop,
        "size": size,
        "features": features,
        "first": first,
        "second": second,
        "anyway": anyway,
    }
    asked = request(
        data, goal=goal, target=target, metric=metric, outliers=outliers, given=given, anyway=anyway, size=budget,
        side=size, features=features, first=first, second=second,
        objectives=objectives, nets=nets, group=group, time=time, drop=drop, seeds=seeds,
        settings=settings, out=out, engine=engine, workers=workers,
        command=as_python(data, budget, objectives, {"seeds": seeds, "settings": settings} | others),
    )  # fmt: skip
    return carry_out(asked, watcher or default_watcher())


def default_watcher() -> Watcher:
    """A live display in a notebook, silence elsewhere."""
    try:
        from IPython import get_ipython
    except ImportError:
        return Silent()
    if getattr(get_ipython(), "kernel", None) is None:
        return Silent()
    from .notebook import Notebook

    return Notebook()


def carry_out(asked: Request, watcher: Watcher) -> Comparison:
    """Run a planned comparison and write its report."""
    found = Comparison(asked.run(watcher), asked.folder, asked.nets)
    report.write(found.study, found.folder)
    return found


def as_python(data: object, budget: object, objectives: Sequence[str] | None, others: Mapping[str, object]) -> str:
    """The call, for the model card, as far as it can be written."""
    what = repr(data) if isinstance(data, str) else "data"
    rest = f", objectives={list(objectives)!r}" if objectives else ""
    for name, value in others.items():
        if not isinstance(value, str | bool | int | list | tuple | None):
            rest += f", {name}={name}"  # rows, which cannot be written
        elif value:
            rest += f", {name}={value!r}"
    return f"whichloss.compare({what}, budget={budget!r}{rest})"


def side_of(text: str | None) -> int | tuple[int, int] | None:
    """--size 16, or 24x16: height, then width."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise UserError(f"--size '{text}': give one whole number, such as 16, or HEIGHTxWIDTH, such as 24x16.")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def objective_names(text: str | None) -> list[str] | None:
    """--objectives a,./mine.py or 'all', which stands for every shipped one."""
    if text is None:
        return None
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UserError("--objectives is empty: give names with commas, or 'all'.")
    return names


def as_command(arguments: Sequence[str]) -> str:
    """The command line, quoted for a shell."""
    return shlex.join(["whichloss", *arguments])


def open_run(path: str | Path) -> Comparison:
    """A finished comparison from its folder."""
    path = Path(path)
    file = path / "study.json"
    if not file.exists():
        raise StudyError(f"'{path}' holds no finished comparison (no study.json). {_instead(path)}")
    try:
        study = msgspec.json.decode(file.read_bytes(), type=Study)
    except OSError as error:
        raise StudyError(f"'{file}' cannot be read: {error.strerror}. Run the same comparison again.") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise StudyError(
            f"'{file}' is damaged ({error}). Run the same comparison again; finished runs are kept."
        ) from error
    return Comparison(study, path)


def _instead(path: Path) -> str:
    """What to do when a folder holds no study.json."""
    if (path.absolute().parent / "study.json").exists():
        return f"Give the folder above it, '{path.parent}'."
    if (path / "plan.json").exists():
        return "It was interrupted: run its `whichloss compare` command again, which goes on where it stopped."
    return "Run `whichloss compare` first, or give the folder it wrote."

"""In a notebook: the live display, and the study that shows itself. The slow test runs a real kernel."""

import html
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from small_study import Here

from whichloss import comparison
from whichloss.data import Pictures, read
from whichloss.notebook import Notebook
from whichloss.study.budget import budget
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.generate.pictures import PictureJudge
from whichloss.study.plan import Group, Run
from whichloss.study.run import Silent, make_plan
from whichloss.study.store import Store


class Shown:
    """Stands for the notebook's output cell: keeps every picture of it."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def display(self, page: dict[str, str], raw: bool = False, display_id: bool = False) -> "Shown":
        assert display_id, "without an id the output cannot be redrawn in place"
        self.update(page, raw=raw)
        return self

    def update(self, page: dict[str, str], raw: bool = False) -> None:
        assert raw and list(page) == ["text/html"]
        self.pages.append(page["text/html"])


@pytest.fixture
def shown(monkeypatch):
    import IPython.display

    shown = Shown()
    monkeypatch.setattr(IPython.display, "display", shown.display)
    return shown


def test_pictures_are_shown_as_pictures(shown, monkeypatch, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (60, 192)).astype(np.uint8)
    judge = PictureJudge(Pictures(values, (3, 8, 8)))
    plan = make_plan(judge, budget("1e8", 2), ["gan"], None)
    watcher, store = Notebook(), Store(tmp_path)
    watcher.planned(plan, judge, store)
    run = Run(data="", objective="gan", code="", setting={}, seed=1, flops=1e6, width=16)
    store.write(run.id, {"failed": ""}, {"samples": values[:40]})
    watcher.finished(Group("screen", (run,)), [{"failed": "", "score": 0.5}])
    assert shown.pages[-1].count('<img src="data:image/png;base64,') == 2
    assert "real pictures</figcaption>" in shown.pages[-1] and "gan</figcaption>" in shown.pages[-1]


def test_the_display_shows_real_rows_then_the_table_and_samples_beside_them(small, mine, shown, tmp_path):
    watcher = Notebook()
    small(tmp_path / "run", watcher=watcher)
    first, last = next(page for page in shown.pages if "<figure" in page), shown.pages[-1]
    assert "real rows</figcaption>" in first and first.count("<figure") == 1
    assert f"{html.escape(mine)}</figcaption>" in last and last.count("<figure") == 2
    table = re.sub("<[^>]+>", "", last)
    assert "screen" in table and "done" in table and "score so far" in table
    scores = [float(s) for s in re.findall(r"done\s+done\s+done\s+(\d\.\d{4})", table)]
    assert len(scores) == 1
    at = np.array(re.findall(r'cx="([-\d.]+)" cy="([-\d.]+)"', watcher.pictures["real rows"]), float)
    assert len(at) > 100 and at.min() >= 0 and at.max() <= 150  # no real row falls outside the picture
    for page in shown.pages:
        assert not re.search(r"\b(nan|inf)\b", " ".join(re.findall(r'="([^"]*)"', page)))
        assert "<script" not in page and "http" not in page


def test_a_table_of_one_column_is_a_histogram(shown, tmp_path):
    watcher, judge = Notebook(), SampleJudge(read("toy:normal1d:400"))
    plan = make_plan(judge, budget("quick"), ["gan"], None)
    watcher.planned(plan, judge, Store(tmp_path))
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', shown.pages[-1])]
    assert len(heights) == 40 and max(heights) == 140 and "<circle" not in shown.pages[-1]
    counts, _ = np.histogram(judge.table.values[judge.rest], bins=40)
    assert np.isclose(sum(h > 0 for h in heights), (counts > 0).sum(), atol=4)  # a margin of 5 % on each side


def test_a_study_of_labels_draws_no_rows_but_says_what_was_measured(shown, tmp_path):
    from whichloss.study.classify.judge import LabelJudge

    g = np.random.default_rng(0)
    judge = LabelJudge(
        read({"x": g.normal(size=80), "kind": np.array(["a", "b"], object)[np.arange(80) % 2]}), ("kind",)
    )
    plan = make_plan(judge, budget("quick"), ["cross-entropy"], None)
    notebook, store = Notebook(), Store(tmp_path)
    notebook.planned(plan, judge, store)
    notebook.measured(judge.preflight())
    run = Run(data="", objective="cross-entropy", code="", setting={}, seed=1, flops=1e6, width=8)
    notebook.finished(Group("screen", (run,)), [{"failed": "", "score": 0.5, "quarters": []}])
    assert "<svg" not in shown.pages[-1] and "a cheap probe predicts" in shown.pages[-1]


def test_progress_redraws_now_and_then_and_results_at_once(shown, monkeypatch):
    now, watcher = [100.0], Notebook()
    monkeypatch.setattr("whichloss.notebook.time", SimpleNamespace(monotonic=lambda: now[0]))
    run = Run(data="", objective="gan", code="", setting={}, seed=1, flops=1e6, width=8)
    group = Group("tune", (run,))
    watcher.store = Store("nowhere")
    watcher.stage("tune", [group])
    pages = len(shown.pages)
    for step in range(100):
        now[0] += 0.02
        watcher.progress(group, step, 100)
    assert 3 <= len(shown.pages) - pages <= 4  # 2 s at one picture per half second
    watcher.finished(group, [{"failed": "", "quarters": [0.5]}])
    assert "done" in shown.pages[-1]


def test_notes_are_text_not_markup(shown):
    watcher = Notebook()
    watcher.note("<b>'a & b'</b> is damaged")
    watcher.draw()
    assert "&lt;b&gt;" in shown.pages[-1] and "<b>" not in shown.pages[-1]


def test_outside_a_notebook_nothing_is_shown(monkeypatch):
    import IPython

    assert isinstance(comparison.default_watcher(), Silent)
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=None))  # ipython in a terminal
    assert isinstance(comparison.default_watcher(), Silent)
    monkeypatch.setitem(sys.modules, "IPython", None)  # not installed
    assert isinstance(comparison.default_watcher(), Silent)


def test_in_a_notebook_the_display_is_the_default(shown, monkeypatch):
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    assert isinstance(comparison.default_watcher(), Notebook)


def test_compare_from_python_returns_a_study_that_shows_itself(table_csv, mine, tmp_path, monkeypatch):
    from whichloss.study.generate import anchors

    monkeypatch.setattr("whichloss.study.request.Local", lambda workers: Here())
    monkeypatch.setattr(anchors, "COMPONENTS", (1, 2))
    found = comparison.compare(
        str(table_csv), budget=1e8, seeds=2, objectives=[mine], drop=["flag"], out=tmp_path / "run"
    )
    assert found.recommended == mine and found.verdict == found.study.answer.kind
    page = found._repr_html_()
    assert "<table" in page and html.escape(mine) in page and "fresh real rows" in page
    assert found.report == tmp_path / "run" / "report.html" and found.report.exists()
    assert found.best.sample(7).schema.names == ("x", "y", "sign", "size")
    assert repr(found) == f"Comparison({found.verdict}: {mine}; {found.report})"
    call = f"whichloss.compare({str(table_csv)!r}, budget=100000000.0, objectives=[{mine!r}], seeds=2, drop=['flag'])"
    assert found.study.command == call and call in (tmp_path / "run" / "best" / "README.md").read_text()


CELLS = (
    "import whichloss",
    """study = whichloss.compare({data!r}, budget=1e8, seeds=2, objectives=[{mine!r}], out={out!r}, workers=1)""",
    "study",
    "study.best.sample(3).to_pandas()",
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_a_real_notebook_without_a_screen(table_csv, mine, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    names = {"data": str(table_csv), "mine": mine, "out": str(tmp_path / "run")}
    cells = [nbformat.v4.new_code_cell(cell.format(**names) if "{" in cell else cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    _, compared, study, rows = notebook.cells
    live = [output.data["text/html"] for output in compared.outputs if "data" in output]
    assert len(live) == 1, compared.outputs  # one output, redrawn in place
    assert "done" in live[0] and "real rows</figcaption>" in live[0] and live[0].count("<svg") == 2
    (answer,) = [output.data for output in study.outputs]
    assert "<table" in answer["text/html"] and answer["text/plain"].startswith("Comparison(")
    assert re.findall(r"<th>(\w+)</th>", rows.outputs[0].data["text/html"])[:5] == ["x", "y", "sign", "size", "flag"]
    assert not [o for cell in notebook.cells for o in cell.outputs if o.output_type in ("stream", "error")]

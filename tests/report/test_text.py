"""The terminal's table and last lines, and the notebook's."""

from html.parser import HTMLParser
from io import StringIO

from made_up import make, mixed
from rich.console import Console

from whichloss.report import text


def printed(*things: object) -> str:
    console = Console(file=StringIO(), width=160)
    for thing in things:
        console.print(thing)
    return console.file.getvalue()


def test_the_table_has_a_line_for_every_row_in_rank_order(study):
    shown = printed(text.table(study))
    places = [shown.index(f" {row.name}") for row in study.ranked() if row.name not in ("gan", "Gaussian")]
    assert places == sorted(places)
    assert "flow-matching *" in shown and "4 of 4" in shown


def test_the_last_lines_say_what_was_run_the_verdict_and_the_faults(study):
    lines = text.closing(study)
    assert lines[0] == "8 objectives, 120 runs, 108\u00a0TFLOP, 12 min 34 s, 5 failed runs counted"
    assert lines[1].startswith("practically equivalent: flow-matching, ddpm (ddpm ")
    assert lines[2].startswith("recommended: flow-matching, because it samples 33 times cheaper than ddpm")
    (fault,) = [line for line in lines if line.startswith("fault: ebgan: The hinge is inactive on 99 %")]
    assert fault.endswith("-> Set the margin to the energy of real rows, about 0.9 (1 more)")
    assert "2 notes" in lines[-1]


def test_names_are_no_markup(tmp_path):
    name = "[bold]my[/bold].py"
    study = make(tmp_path, mixed(300), names=(name, "ddpm"), finalists=2)
    for shown in (printed(text.table(study)), printed(*text.closing(study))):
        assert name in shown


def test_the_table_fits_a_terminal_of_eighty_columns(study):
    console = Console(file=StringIO(), width=80)
    console.print(text.table(study))
    shown = console.file.getvalue()
    assert "denoising-score-matching" in shown and "independent marginals" in shown and "…" not in shown


def test_one_finalist_has_nothing_to_be_compared_with(tmp_path):
    study = make(tmp_path, mixed(300), names=("ddpm",), finalists=1)
    assert text.closing(study)[1] == "undecided: ddpm"


class Tags(HTMLParser):
    """Collects the tags it meets."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_notebooks_html_is_whole_and_escapes_names(tmp_path):
    study = make(tmp_path, mixed(300), names=("<img src=x>", "ddpm"), finalists=2)
    parser = Tags()
    parser.feed(text.notebook(study))
    assert parser.open == [] and "img" not in parser.seen and "table" in parser.seen

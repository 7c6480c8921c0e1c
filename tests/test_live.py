"""What a person sees while a study runs, in a terminal and in a log."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from whichloss.data import read
from whichloss.live import SPEED, START, Terminal, duration, measured_lines, plain, plan_lines
from whichloss.study.budget import budget
from whichloss.study.classify.judge import LabelJudge
from whichloss.study.classify.signal import Leak, Signal
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.judge import Preflight
from whichloss.study.plan import Group, Run
from whichloss.study.run import make_plan
from whichloss.task import Finding


def runs(objective: str, count: int) -> tuple[Run, ...]:
    return tuple(
        Run(data="", objective=objective, code="", setting={}, seed=seed, flops=1e6, width=8) for seed in range(count)
    )


def record(score: float | None, failed: str = "") -> dict:
    return {"failed": failed, "score": score, "quarters": [score]}


@pytest.fixture
def screen():
    return io.StringIO()


@pytest.fixture
def live(screen):
    with Terminal(Console(file=screen, force_terminal=True, width=90, no_color=True)) as live:
        yield live


def shown(live: Terminal) -> dict[str, list[str]]:
    """The table as it stands: a line's cells by its first."""
    console = Console(file=io.StringIO(), width=90)
    console.print(live.grid())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[1:] if line.strip()]
    return {cells[0]: cells[1:] for cells in lines}


def test_cells_follow_the_work(live):
    gan, flow = Group("screen", runs("gan", 4)), Group("screen", runs("./[b]mine.py", 2))
    live.stage("screen", [gan, flow])
    assert shown(live) == {"screen": ["score so far"], "gan": ["0%"], "./[b]mine.py": ["0%"]}
    live.progress(gan, 25, 100)
    assert shown(live)["gan"] == ["25%"]
    live.finished(gan, [record(0.25), record(0.75), record(None, "died"), record(0.5)])
    assert shown(live)["gan"] == ["done", "0.5000"]
    half = Group("screen", flow.runs[:1])
    live.finished(half, [record(0.125)])
    assert shown(live)["./[b]mine.py"] == ["50%", "0.1250"]


def test_tuning_scores_are_not_shown_as_scores_and_stages_become_columns(live):
    tune, last = Group("tune", runs("gan", 3)), Group("final", runs("gan", 2))
    live.stage("tune", [tune])
    live.finished(tune, [record(0.1)] * 3)
    assert shown(live)["gan"] == ["done"]
    live.stage("final", [last])
    assert shown(live) == {"tune": ["final", "score so far"], "gan": ["done", "0%"]}


def test_failures_findings_and_notes_are_printed_as_they_are(live, screen):
    group = Group("screen", runs("gan", 1))
    live.stage("screen", [group])
    live.finished(group, [record(None, "diverged: [/] weights")])
    live.found(Finding("contract: x", "gan", "fault", "The [loss] is wrong.", {}, "why", "Mend it."))
    live.note("'runs/[a].safetensors' is damaged:\n it is computed again.")
    text = screen.getvalue()
    assert "failed gan (screen): diverged: [/] weights" in text
    assert "fault gan: The [loss] is wrong. Mend it." in text
    assert "note 'runs/[a].safetensors' is damaged: it is computed again." in text


def test_a_log_gets_one_line_per_stage_and_no_table(screen):
    with Terminal(Console(file=screen, width=90)) as live:
        live.stage("tune", [])
        live.stage("screen", [Group("screen", runs("gan", 4)), Group("screen", runs("wgan", 3))])
        live.progress(Group("screen", runs("gan", 4)), 1, 2)
    lines = screen.getvalue().strip().splitlines()
    assert len(lines) == 1 and re.fullmatch(r"screen: 7 runs; \d+ s so far", lines[0])


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (252, "4 min 12 s"), (7322, "2 h 2 min")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"), [(2e11, "2e11"), (3.25e8, "3.25e8"), (1234.0, "1234"), (1e6, "1e6"), (0.0, "0")]
)
def test_numbers_of_operations_are_written_as_they_are_typed(number, said):
    assert plain(number) == said and float(said) == number


@pytest.fixture(scope="module")
def judge():
    return SampleJudge(read("toy:moons:300"))


@pytest.mark.parametrize("size", ["quick", "standard", "thorough", 1e9])
def test_the_plan_in_words_has_the_plans_numbers(judge, monkeypatch, size):
    import os

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2})
    plan = make_plan(judge, budget(size), None, None)
    lines = plan_lines(plan, judge, Path("nowhere"))
    stages = {line.split()[0]: line for line in lines if line.startswith("  ")}
    for name, count, flops in plan.stages():
        found = re.search(rf"  {name} +(\d+) runs +(\S+) operations", "\n".join(lines))
        assert found and int(found[1]) == count and float(found[2]) == pytest.approx(flops, rel=0.05)
    total = sum(flops for _, _, flops in plan.stages())
    assert f"in all {sum(n for _, n, _ in plan.stages()):8} runs" in stages["in"]
    assert f"about {duration(START + total / SPEED / 3)} on 3 cores; results in nowhere" in stages["in"]
    assert "300 rows, 2 columns (2 encoded dimensions); 192 train, 48 tune, 60 judge" in lines[0]


@pytest.mark.parametrize(
    ("workers", "at_once", "by"), [(1, 1, " with 1 worker"), (2, 2, " with 2 workers"), (7, 3, " with 7 workers")]
)
def test_the_time_is_that_of_the_workers_asked_for(judge, monkeypatch, workers, at_once, by):
    import os

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2})
    plan = make_plan(judge, budget("standard"), None, None)
    seconds = START + sum(flops for _, _, flops in plan.stages()) / SPEED / at_once
    last = plan_lines(plan, judge, Path("nowhere"), workers)[-1]
    assert f"about {duration(seconds)}{by} on 3 cores;" in last


def test_an_objective_that_is_skipped_and_runs_that_are_kept_are_said(judge, tmp_path):
    from small_study import MINE

    own = tmp_path / "own.py"
    own.write_text(
        MINE.replace("    def net", '    def unfit(self, task):\n        return "only 1-D [x]"\n\n    def net')
    )
    plan = make_plan(judge, budget("quick"), ["gan", str(own)], None)
    (tmp_path / "runs").mkdir()
    for name in ("preflight-1", "anchors-1", "gan-1", "gan-2"):
        (tmp_path / "runs" / f"{name}.safetensors").write_bytes(b"")
    lines = plan_lines(plan, judge, tmp_path)
    assert any("skipped" in line and f"{own}: only 1-D " in line for line in lines)
    assert any(f"2 finished runs in {tmp_path}" in line for line in lines)
    assert not any("finished run" in line for line in plan_lines(plan, judge, tmp_path / "nowhere"))


def test_what_is_skipped_for_one_reason_is_one_line(tmp_path):
    judge = LabelJudge(labelled(p=np.arange(60) % 2, q=np.arange(60) % 3 // 2), ("p", "q"))
    plan = make_plan(judge, budget("quick"), ["bce", "focal", "gce", "ordinal", "squared"], None)
    lines = [line for line in plan_lines(plan, judge, tmp_path) if line.startswith("[yellow]skipped")]
    assert len(lines) == 2 and lines[0].startswith("[yellow]skipped[/] focal, gce and squared: rows have several")


def labelled(**columns):
    """60 rows with two columns to predict from."""
    return read({"a": np.arange(60) / 7, "b": np.arange(60) % 5 / 3, **columns})


@pytest.mark.parametrize(
    ("columns", "target", "said"),
    [
        ({"kind": np.array(["x", "[b]y"], object)[np.arange(60) % 2]}, ("kind",), "kind: 2 classes ([b]y, x); decided"),
        ({"stars": np.arange(60) % 3}, ("stars",), "stars: 3 classes in order (0, 1, 2); decided by auroc"),
        (
            {"p": np.arange(60) % 2, "q": np.arange(60) % 3 // 2},
            ("p", "q"),
            "2 labels, of which a row may have several: p, q; decided",
        ),
    ],
)
def test_the_plan_says_what_is_predicted(columns, target, said, tmp_path):
    judge = LabelJudge(labelled(**columns), target, "auroc")
    lines = plan_lines(make_plan(judge, budget("quick"), ["cross-entropy", "bce"], None), judge, tmp_path)
    console = Console(file=io.StringIO(), width=200)
    for line in lines:
        console.print(line)
    text = console.file.getvalue()
    assert f"predicts {said}" in text
    assert f"60 rows, 2 columns (2 encoded dimensions); {len(judge.split(1).train)} train" in text
    assert "goal classify" in text


FOUND = Signal(
    rows=96, rope=0.01, p=0.002, accuracy=0.91, chance_low=0.28, chance_high=0.39, probed=480,
    counts={"x": 90, "y": 10}, all_rows=100, several=False,
    duplicates=0, contradicting=0, leaks=(Leak(("[late]",), 0.995),), absences=(),
    noise=0.2, suspects=(),
)  # fmt: skip


def test_what_was_measured_of_labels_is_said_before_training(live, screen):
    live.measured(FOUND)
    first, *rest = screen.getvalue().replace("\x1b[2K", "").strip().splitlines()
    assert "signal: a cheap probe predicts 91.0%, balanced over classes (28.0% to 39.0% with shuffled labels" in first
    notes = " ".join(rest)
    assert "note 20% of the labels contradict a cheap probe" in notes and "note The classes are uneven" in notes
    assert "note [late] alone gives the label away" in notes


def test_no_signal_is_said_and_samples_have_nothing_to_say():
    import msgspec

    assert measured_lines(msgspec.structs.replace(FOUND, p=0.2))[0].startswith("no signal that a cheap probe can see:")
    assert measured_lines(Preflight(rows=10, rope=0.1)) == []

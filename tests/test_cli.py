"""Every command as a person types it: what it prints, what it writes, the code it exits with."""

import csv
import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import msgspec
import numpy as np
import pytest
from command import Command
from small_study import MINE, Here

from whichloss import comparison
from whichloss.cards.terminal import columns
from whichloss.data import read
from whichloss.doctor.selftest import Check
from whichloss.objectives import available
from whichloss.objectives.find import DEFAULTS
from whichloss.study.model import load

COMMANDS = (
    "bench",
    "check",
    "compare",
    "describe",
    "doctor",
    "sample",
    "score",
    "report",
    "export",
    "explain",
    "list",
    "selftest",
)
SMALL = ("--budget", "1e8", "--seeds", "2")


@pytest.fixture
def command(capsys):
    return Command(capsys)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_help_loads_nothing_heavy_and_names_every_command():
    script = (
        "import sys; sys.argv = ['whichloss', '--help']\n"
        "from whichloss.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n"
        "    print(end.code, [m for m in ('torch', 'numpy', 'duckdb', 'sklearn', 'altair') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "0 []"
    assert all(f"│ {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(command, name):
    for option in ("--help", "-h"):
        out, err = command(name, option)
        assert "Usage: whichloss" in out and name in out and not err


def test_no_command_shows_the_help_and_no_empty_error(command):
    out, err = command(code=2)
    assert "Usage: whichloss" in out + err and "error" not in err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("compar", "x.csv"), "no command 'compar'; did you mean 'compare'? See `whichloss --help`"),
        (("nonsense",), "no command 'nonsense'; known: bench, check, compare, describe"),
        (("compare",), "Missing argument 'DATA'. See `whichloss compare --help`"),
        (("compare", "x.csv", "--bugdet", "quick"), "No such option: --bugdet"),
        (("compare", "x.csv", "--seeds", "many"), "'--seeds': .*; got 'many'. See `whichloss compare --help`"),
        (("compare", "x.csv", "--seeds=many"), "'--seeds': .*; got 'many'"),
        (("sample", "run", "-n", "2.5"), "'-n': .*; got '2.5'. See `whichloss sample --help`"),
        (("sample", "run", "-n"), "'-n' requires an argument"),
    ],
)
def test_usage_errors_say_where_to_look(command, typed, said):
    out, err = command(*typed, code=2)
    assert re.search(said.replace("?", r"\?"), err) and err.startswith("error: ")
    assert "Traceback" not in out + err and not out


@pytest.fixture(scope="module")
def compared(table_csv, mine, tmp_path_factory):
    """What a small comparison printed, and its folder."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    return folder, ("compare", table_csv, "--objectives", mine, *SMALL, "--out", folder)


@pytest.fixture(scope="module")
def first(compared):
    """Runs the small comparison once."""

    class Capture:
        def readouterr(self):
            return self.out.getvalue(), self.err.getvalue()

        out, err = io.StringIO(), io.StringIO()

    with redirect_stdout(Capture.out), redirect_stderr(Capture.err):
        return Command(Capture())(*compared[1], code=3)[0]  # type: ignore[arg-type]


def test_compare_says_the_plan_the_answer_and_where_everything_is(first, compared, table_csv, mine):
    folder, typed = compared
    study = json.loads((folder / "study.json").read_text())
    words = " ".join(first.split())
    assert f"{table_csv}: 300 rows, 5 columns" in words
    assert "1e8 operations per run" in words and "in all 7 runs 7e8 operations" in words
    assert words.index("in all") < words.index("skill") < words.index("recommended: ")
    assert f"report: {folder}/report.html model: {folder}/best" in words
    assert "fresh real rows" in words and "independent marginals" in words
    assert study["command"] == "whichloss " + " ".join(map(str, typed))
    assert {p.name for p in folder.iterdir()} >= {"plan.json", "study.json", "report.html", "best", "runs"}


def test_the_same_command_again_runs_nothing_and_json_prints_the_study_alone(first, compared, command):
    folder, typed = compared
    engine = Here()
    out, err = command(*typed, "--json", code=3, engine=engine)
    assert not err and engine.done == []
    assert out.strip() == (folder / "study.json").read_text().strip()
    out, _ = command(*typed, code=3)
    assert f"7 finished runs in {folder}: those of this plan are not run again" in out


@pytest.mark.parametrize(("kind", "code"), [("better", 0), ("practically equivalent", 3), ("undecided", 3)])
def test_the_exit_code_is_the_verdict(first, compared, command, monkeypatch, kind, code):
    found = comparison.open_run(compared[0])
    found.study.answer = msgspec.structs.replace(found.study.answer, kind=kind)
    monkeypatch.setattr(comparison, "carry_out", lambda asked, watcher: found)
    command(*compared[1], code=code)


def test_a_dry_run_writes_nothing_and_its_json_has_the_same_numbers(command, table_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, _ = command("compare", table_csv, "--dry-run")
    assert "results in whichloss-things" in out and "Nothing was run" in out
    plan = json.loads(command("compare", table_csv, "--dry-run", "--json")[0])
    assert plan["objectives"] == list(DEFAULTS["generate"]) and plan["budget"]["flops"] == 2e11
    runs = sum(stage[1] for stage in plan["stages"])
    assert runs == 10 * 3 + 10 * 3 + 2 * 8 + 8 and f"in all     {runs:4} runs" in out
    assert not any(tmp_path.iterdir())


def test_all_stands_for_every_shipped_objective_and_can_be_joined(command, table_csv, mine, tmp_path):
    typed = ("compare", table_csv, "--dry-run", "--json", "--out", tmp_path / "run", "--objectives")
    plan = json.loads(command(*typed, f"gan, all ,{mine}")[0])
    assert plan["objectives"] == [*available("generate"), mine]


def test_rich_markup_in_names_is_printed_as_it_is(command, tmp_path):
    path = tmp_path / "odd[bold].csv"
    rows = "".join(f"{i * 7 % 31},2024-01-{1 + i % 28:02d}\n" for i in range(60))
    path.write_text("[red],[/b]\n" + rows)
    out, _ = command("compare", path, "--dry-run", "--out", tmp_path / "[dim]run")
    assert str(path) in out and "Column '[/b]' holds dates" in out and "[dim]run" in out
    out, _ = command("describe", path)
    assert "[red]: integer" in out and "[/b]: date" in out


def test_describe_in_words_and_as_json(command, table_csv):
    out, _ = command("describe", table_csv)
    assert "300 rows, 5 columns" in out and "sign: category, 2 values" in out
    found = json.loads(command("describe", table_csv, "--json", "--drop", "x", "--drop", "size")[0])
    assert found["rows"] == 300 and [c["name"] for c in found["columns"]] == ["y", "sign", "flag"]
    assert command("describe", table_csv, "--goal", "embed", "--target", "sign")[0] == out  # labels, not pairs
    _, err = command("describe", table_csv, "--target", "sgin", code=2)
    assert "has no such column; did you mean 'sign'?" in err


def test_sample_writes_the_columns_of_the_data_and_follows_the_seed(command, finished, table_csv, tmp_path):
    out, _ = command("sample", finished, "-n", 40, "-o", tmp_path / "a.csv")
    assert out == f"40 rows written to {tmp_path / 'a.csv'}\n"
    command("sample", finished / "best", "-n", 40, "-o", tmp_path / "b.csv")
    command("sample", finished, "-n", 40, "-o", tmp_path / "c.parquet")
    command("sample", finished, "-n", 40, "--seed", 1, "-o", tmp_path / "d.csv")
    a, b, c, d = (read(tmp_path / name) for name in ("a.csv", "b.csv", "c.parquet", "d.csv"))
    assert a.schema.names == read(table_csv).schema.names and len(a) == 40
    assert np.array_equal(a.values, b.values, equal_nan=True)
    assert [a.column(n) for n in ("x", "sign", "size")] == [c.column(n) for n in ("x", "sign", "size")]
    assert not np.array_equal(a.values[:, 0], d.values[:, 0])


def test_samples_do_not_replace_the_data(command, finished, table_csv):
    before = table_csv.read_bytes()
    _, err = command("sample", finished, "-o", table_csv, code=2)
    assert "the file that the model learned from" in err and table_csv.read_bytes() == before


def test_score_prints_or_writes_one_answer_per_row(command, small, table_csv, tmp_path):
    own = tmp_path / "scored.py"
    energy = '    scores = "energy"\n\n    def score(self, nets, x):\n        return (x**2).sum(1)\n\n'
    own.write_text(MINE.replace("    def networks", energy + "    def networks"))
    small(tmp_path / "run", objectives=[str(own)])
    out, _ = command("score", tmp_path / "run", table_csv)
    encoded = load(tmp_path / "run").encoder.encode(read(table_csv).values)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["energy", "log_density", "p_value", "unlikely"] and len(rows) == 300
    found = np.array([float(row["energy"]) for row in rows])
    assert np.allclose(found, (encoded**2).sum(1), rtol=1e-5)
    log_p = np.array([float(row["log_density"]) for row in rows])  # N(0, I / 2): Z = pi^(d / 2)
    assert np.allclose(log_p, -found - encoded.shape[1] / 2 * np.log(np.pi), atol=0.1)
    assert np.mean([row["unlikely"] == "true" for row in rows]) == pytest.approx(0.05, abs=0.04)
    _, beside = command("score", tmp_path / "run", table_csv, "--explain")
    assert "rows are unlikely at a false-alarm rate of 0.05" in beside and "excess: nats" in beside
    assert "log Z is" in beside and "standardised columns" in beside
    said, _ = command("score", tmp_path / "run", table_csv, "-o", tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text().replace("\r\n", "\n") == out
    assert f"300 scores written to {tmp_path / 's.csv'}" in said and "log Z is" in said
    for given in (tmp_path / "s.csv", table_csv):
        _, err = command("score", tmp_path / "run", tmp_path / "s.csv", "-o", given, code=2)
        assert f"--output '{given}' is '{given}'" in err and given.read_bytes()


def test_an_objective_without_a_score_says_which_have_one(command, finished, table_csv):
    _, err = command("score", finished, table_csv, code=2)
    assert "mine.py gives no score" in err and "ebgan" in err and "pcd" in err


def test_report_writes_the_same_report_again(command, first, compared):
    folder, _ = compared
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert command("report", folder)[0] == f"report: {folder / 'report.html'}\n"
    assert (folder / "report.html").read_bytes() == before


def test_export_says_what_it_wrote(command, finished, tmp_path):
    out, _ = command("export", finished, "--script", tmp_path / "train.py")
    for line in out.splitlines():
        assert line.startswith("written: ") and Path(line.removeprefix("written: ")).exists()
    compile((tmp_path / "train.py").read_text(), "train.py", "exec")


def test_list_marks_what_compare_runs_and_explain_shows_the_card(command):
    out, _ = command("list")
    first = {
        line.split()[0] if line[0] == " " else line.split()[1]: line[0] for line in out.split("\n\n")[0].splitlines()
    }
    assert {name for name, mark in first.items() if mark == "*"} == set(DEFAULTS["generate"])
    assert set(available("generate")) <= first.keys()
    out, _ = command("list", "--losses", "--samplers", "--ideas")
    assert all(
        name in out for name in ("CLASSIFICATION", "focal-loss", "langevin", "optimal-transport", "main failure")
    )
    out, _ = command("explain", "wgan-gp")
    assert all(head in out for head in ("Definition", "Where used and why", "Pros", "Example", "Check"))
    assert max(columns(line) for line in out.splitlines() if not line.startswith("    ")) <= 100  # code stays as it is


def test_explain_writes_a_page_and_refuses_what_it_cannot_show(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, _ = command("explain", "bce_critic", "--html", "--lang", "ko")
    assert out == "written: adversarial-bce.ko.html\n" and "<math" in Path("adversarial-bce.ko.html").read_text("utf-8")
    out, _ = command("explain", "wgan-gp", "--html", tmp_path / "a.html")
    assert out == f"written: {tmp_path / 'a.html'}\n"
    for arguments, says in (
        (("wgan-pg",), "did you mean 'wgan-gp'"),
        (("gan", "--lang", "fr"), "en and ko; got 'fr'"),
        (("gan", "a.html"), "only with --html"),
        (("gan", "--html", tmp_path / "no" / "a.html"), "does not exist"),
    ):
        _, err = command("explain", *arguments, code=2)
        assert says in err
    _, err = command("list", "--ideas", "--goal", "generate", code=2)
    assert "--goal goes with objectives" in err


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_selftest_prints_expected_and_found_and_fails_with_1(command, monkeypatch, passed, code):
    check = Check("langevin", 0.5, 0.5 if passed else 0.75, 0.01, passed, "variance 1 / lam [1]")
    monkeypatch.setattr("whichloss.doctor.selftest.selftest", lambda: (check,))
    out, _ = command("selftest", code=code)
    assert (
        f"{'pass' if passed else 'FAIL'} langevin: {check.found}, expected 0.5 within 0.01 (variance 1 / lam [1])"
        in out
    )
    assert f"{int(passed)} of 1 checks passed" in out


def stop(*anything: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_says_that_finished_runs_are_kept(command, first, compared, monkeypatch):
    before = tree(compared[0])
    monkeypatch.setattr(comparison, "carry_out", stop)
    _, err = command(*compared[1], code=130)
    assert "Stopped. Finished runs are kept; run the same command again" in err and "Traceback" not in err
    assert tree(compared[0]) == before
    monkeypatch.setattr("whichloss.doctor.selftest.selftest", stop)
    assert command("selftest", code=130)[1].strip() == "Stopped."


def test_an_error_of_ours_is_a_traceback_for_whoever_mends_it(command, monkeypatch):
    def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("whichloss.doctor.selftest.selftest", broken)
    with pytest.raises(RuntimeError, match="a bug"):  # Python prints it and exits with 1
        command("selftest")

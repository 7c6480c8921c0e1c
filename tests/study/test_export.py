"""The training file that goes home: short, alone, and as good as the study's own runs."""

import ast
import csv
import dataclasses
import runpy
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from whichloss.data import read
from whichloss.errors import StudyError, UserError
from whichloss.nets import MLP
from whichloss.objectives import available
from whichloss.study.export import LONGEST, chosen, export
from whichloss.study.export import source as source_of
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.model import Model, load
from whichloss.study.plan import Run
from whichloss.study.store import Store
from whichloss.study.work import make_lanes

ALONE = {"torch", "csv", "datetime", "math", "pathlib", "types", "functools", "itertools", "operator"}
DATES = """day,moment,zoned,flag,same,word,count,price,rest
2024-02-29,2024-02-29 12:30:00,2024-02-29 12:30:00Z,yes,7,"a, b",3,1.25,1e-20
1969-12-31,2001-01-01 00:00:00.25,2001-01-01 00:00:00Z,no,7,,4,2.50,3.5
,1999-05-06 01:02:03,1970-01-01 00:00:00Z,,7,c,1000000,,-1
2031-07-01,2000-01-01 00:00:00,2020-01-01 00:00:01Z,yes,7,c,-5,0.75,2e300
"""


def imports(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module.split(".")[0]


def run(script):
    """Run it where nothing of this package can be found: isolated, from its own folder."""
    hidden = (
        "import sys; sys.modules['whichloss'] = None; import runpy; runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", hidden, str(script)],
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=600,
    )


def made(source, tmp_path, name="flow-matching", steps=8):
    """The script of a model that was never trained, run up to its functions; its judge and its encoder."""
    judge = SampleJudge(read(str(source)))
    run = Run(data="", objective=name, code="", setting={}, seed=0, flops=1.0, width=16)
    (encoder,), lanes = make_lanes(judge, (run,), None)
    record = {
        "run": msgspec.to_builtins(run),
        "encoder": msgspec.to_builtins(encoder),
        "task": dataclasses.asdict(judge.task),
        "source": 'C:\\x"""data.csv',
        "own networks": [],
        "score": 0.1,
        "steps": steps,
    }
    weights = {role: w[0] for role, w in lanes.start().weights.items()}
    script = tmp_path / "train.py"
    script.write_text(source_of(Model(record, weights, None), judge, [0.4, 0.2, None, 0.3], "train.py", "rows.csv"))
    return runpy.run_path(str(script)), script.read_text(), judge, encoder


def rows_of(path, table):
    """The new rows as values of the user's table."""
    with open(path, newline="") as file:
        new = list(csv.DictReader(file))
    assert list(new[0]) == [c.name for c in table.schema.columns]
    return read(str(path), schema=table.schema).values


def check_text(text, name=""):
    longest = 220 if name == "flow-ebm" else LONGEST  # splines, an energy on them, and their sampler
    assert len(text.splitlines()) <= longest and LONGEST == 200
    assert set(imports(text)) <= ALONE
    assert "whichloss" not in "".join(line for line in text.splitlines() if "import" in line)
    compile(text, "train.py", "exec")


def test_the_file_is_short_alone_and_runs(finished, table_csv, tmp_path):
    script, rows = export(finished, tmp_path / "train.py")
    check_text(script.read_text())
    model = load(finished)
    train = SampleJudge(read(str(table_csv))).split(model.run.seed).train
    assert len(rows.read_text().splitlines()) == len(train) + 1
    done = run(script)
    assert done.returncode == 0, done.stderr
    values = rows_of(tmp_path / "new_rows.csv", read(str(table_csv)))
    assert values.shape == (2000, 5)
    assert set(np.unique(values[:, 2])) <= {0, 1}


@pytest.fixture
def dated(tmp_path):
    """A table with every kind of column, most of them with missing values."""
    path = tmp_path / "dated.csv"
    path.write_text(DATES + "".join(DATES.split("\n", 1)[1] for _ in range(9)))
    return path


def test_it_encodes_and_decodes_as_the_study_does(dated, tmp_path):
    alone, _, judge, encoder = made(dated, tmp_path)
    judge.table.to_csv(tmp_path / "rows.csv")
    with open(tmp_path / "rows.csv", newline="") as file:
        texts = list(csv.DictReader(file))
    x = alone["encode"](texts)
    assert np.allclose(x.numpy(), encoder.encode(judge.table.values), atol=1e-6)
    assert np.allclose((alone["BLUR"] / alone["SCALE"]).numpy(), encoder.jitter, rtol=1e-3)
    with open(tmp_path / "again.csv", "w", newline="") as file:
        csv.writer(file).writerows([judge.table.schema.names, *alone["decode"](x)])
    again = read(str(tmp_path / "again.csv"), schema=judge.table.schema).values
    ours = encoder.decode(x.numpy())
    assert np.allclose(encoder.encode(again), encoder.encode(ours), atol=1e-6)
    exact = [c.kind != "number" and c.unit != "timestamp" for c in judge.table.schema.columns]
    assert sum(exact) == 5
    assert np.array_equal(again[:, exact], ours[:, exact], equal_nan=True)
    wild = torch.full((1, encoder.dim), 1e6)  # as a network that has diverged may say
    assert len(list(alone["decode"](wild))) == len(list(alone["decode"](-wild))) == 1


def test_it_builds_the_studys_networks(table_csv, tmp_path):
    alone = made(table_csv, tmp_path)[0]
    for smooth in (False, True):
        torch.manual_seed(3)
        ours = MLP(4, 2, width=16, smooth=smooth)
        torch.manual_seed(3)
        theirs = alone["build"]("G", 4, 2, smooth=smooth)
        x = torch.randn(5, 4)
        assert torch.equal(ours(x), theirs(x))


def test_it_stops_where_the_study_found_the_model_best(table_csv, tmp_path):
    alone = made(table_csv, tmp_path, steps=10)[0]
    assert (alone["STEPS"], alone["STOP"]) == (10, 5)  # the second quarter's score is the lowest


@pytest.mark.parametrize("name", available("generate"))
def test_every_objective_fits_and_takes_a_step(name, table_csv, tmp_path):
    alone, text, judge, encoder = made(table_csv, tmp_path, name, steps=3)
    check_text(text, name)
    x = torch.from_numpy(encoder.encode(judge.table.values))
    objective, nets, rng = alone["train"](x)
    with torch.no_grad():
        new = list(alone["decode"](objective.sample(nets, (4, x.shape[1]), rng)))
    assert [len(row) for row in new] == [5] * 4


def test_penguins_and_wide_tables_fit_too(tmp_path):
    penguins = Path(__file__).parents[2] / "examples" / "data" / "penguins.csv"
    wide = tmp_path / "wide.csv"
    values = np.random.default_rng(0).normal(size=(160, 150))
    wide.write_text(",".join(f"a column {i}" for i in range(150)) + "\n")
    with wide.open("a") as file:
        np.savetxt(file, values, delimiter=",")
    for source in (penguins, wide):
        alone, text, judge, _ = made(source, tmp_path, "ddpm")
        check_text(text)
        assert len(alone["COLUMNS"]) == len(judge.table.schema.columns)
        assert source is wide or max(map(len, text.splitlines())) <= 120


def test_lines_depend_on_facts():
    text = "a\nb #? x\nc #? not x\nfor i in j:\n    d #? x\n    e\n"
    assert chosen(text, {"x"}) == "a\nb\nfor i in j:\n    d\n    e\n"
    assert chosen(text, set()) == "a\nc\nfor i in j: e\n"


def test_what_cannot_be_exported(finished, tmp_path, small):
    from torch import nn

    with pytest.raises(StudyError, match="no trained model"):
        export(tmp_path, tmp_path / "train.py")
    with pytest.raises(StudyError, match=r"no data.safetensors"):
        export(finished / "best", tmp_path / "train.py")
    own = tmp_path / "own"
    small(own, objectives=["flow-matching"], nets={"u": lambda i, o: nn.Linear(i, o)}, size=1e7)
    with pytest.raises(UserError, match="own networks"):
        export(own, tmp_path / "train.py")
    assert not (tmp_path / "train.py").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", available("generate"))
def test_every_objective_goes_home_and_reaches_its_score(name, small, tmp_path):
    """The file's MMD on the test rows lies within the spread of the study's own seeds."""
    data, seeds = "toy:moons:1000", 4
    small(tmp_path / "run", data=data, objectives=[name], size=5e9, seeds=seeds)
    script, _ = export(tmp_path / "run", tmp_path / "train.py")
    check_text(script.read_text(), name)
    done = run(script)
    assert done.returncode == 0, done.stderr
    judge = SampleJudge(read(data))
    seed = load(tmp_path / "run").run.seed
    values = rows_of(tmp_path / "new_rows.csv", judge.table)[: judge.size(seed)]
    own = [Store(tmp_path / "run").read(p.stem)[0] for p in (tmp_path / "run" / "runs").glob(f"{name}-*")]
    scores = [r["score"] for r in own if r["run"]["judge"] == "test" and not r["failed"]]
    assert len(scores) == 2 * seeds
    noise = np.hypot(np.std(scores, ddof=1), judge.score(values, seed, "test").se)
    assert judge.score(values, seed, "test").value < np.mean(scores) + 3 * noise

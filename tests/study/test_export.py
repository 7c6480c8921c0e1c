"""The training file that goes home: short, alone, and as good as the study's own runs."""

import ast
import csv
import subprocess
import sys

import numpy as np
import pytest

from whichloss.data import read
from whichloss.errors import StudyError, UserError
from whichloss.objectives import available
from whichloss.study.export import LONGEST, export
from whichloss.study.judge import Judge
from whichloss.study.model import load
from whichloss.study.store import Store

ALONE = {"torch", "csv", "datetime", "math", "dataclasses", "pathlib", "types", "collections", "functools", "typing"}


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


def rows_of(path, table):
    """The new rows as values of the user's table."""
    with open(path, newline="") as file:
        new = list(csv.DictReader(file))
    assert list(new[0]) == [c.name for c in table.schema.columns]
    return read(str(path), schema=table.schema).values


def check_text(text):
    assert len(text.splitlines()) <= LONGEST == 200
    assert set(imports(text)) <= ALONE
    assert "whichloss" not in "".join(line for line in text.splitlines() if "import" in line)
    compile(text, "train.py", "exec")


def test_the_file_is_short_alone_and_runs(finished, table_csv, tmp_path):
    script, rows = export(finished, tmp_path / "train.py")
    check_text(script.read_text())
    model = load(finished)
    train = Judge(read(str(table_csv))).split(model.run.seed).train
    assert len(rows.read_text().splitlines()) == len(train) + 1
    done = run(script)
    assert done.returncode == 0, done.stderr
    values = rows_of(tmp_path / "new_rows.csv", read(str(table_csv)))
    assert values.shape == (2000, 5)
    assert set(np.unique(values[:, 2])) <= {0, 1}


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
@pytest.mark.parametrize("name", available())
def test_every_objective_goes_home_and_reaches_its_score(name, small, tmp_path):
    """The file's MMD on the test rows lies within the spread of the study's own seeds."""
    data, seeds = "toy:moons:1000", 4
    small(tmp_path / "run", data=data, objectives=[name], size=5e9, seeds=seeds)
    script, _ = export(tmp_path / "run", tmp_path / "train.py")
    check_text(script.read_text())
    done = run(script)
    assert done.returncode == 0, done.stderr
    judge = Judge(read(data))
    seed = load(tmp_path / "run").run.seed
    values = rows_of(tmp_path / "new_rows.csv", judge.table)[: judge.size(seed)]
    own = [Store(tmp_path / "run").read(p.stem)[0] for p in (tmp_path / "run" / "runs").glob(f"{name}-*")]
    # the file keeps the last weights, so it is held against the last ones
    last = [r["last"] for r in own if r["run"]["judge"] == "test" and not r["failed"]]
    assert len(last) == 2 * seeds
    noise = np.hypot(np.std(last, ddof=1), judge.score(values, seed, "test").se)
    assert judge.score(values, seed, "test").value < np.mean(last) + 3 * noise

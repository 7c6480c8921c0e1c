"""The trained model: loads, samples in the user's columns, scores, and says how it was made."""

import csv
import shutil
import subprocess
import sys

import numpy as np
import pytest
from small_study import MINE
from torch import nn

import whichloss
from whichloss.data import read
from whichloss.errors import StudyError, UserError
from whichloss.objectives.flow_matching import FEATURES
from whichloss.study.model import load

COLUMNS = ["x", "y", "sign", "size", "flag"]


@pytest.fixture(scope="module")
def model(scored):
    return load(scored)


@pytest.fixture(scope="module")
def scored(small, tmp_path_factory):
    """A finished study of flow-matching alone: a model with a log-density."""
    folder = tmp_path_factory.mktemp("scored") / "run"
    small(folder, objectives=["flow-matching"], size=2e9)
    return folder


@pytest.fixture
def copy(scored, tmp_path):
    return shutil.copytree(scored, tmp_path / "run")


def test_both_folders_are_the_model(scored):
    a, b = whichloss.load(scored), whichloss.load(str(scored / "best"))
    assert np.array_equal(a.sample(20).values, b.sample(20).values, equal_nan=True)


def test_the_model_draws_what_the_study_judged(scored, model):
    """Its weights are those of the run with the best validation score."""
    from whichloss.study.store import Store

    record, arrays = Store(scored).read(model.run.id)
    assert all(np.array_equal(model.weights[k].numpy(), arrays[f"weights/{k}"]) for k in model.weights)
    assert model.record["score"] == record["score"]


def test_samples_are_a_table_like_the_users(model, table_csv, tmp_path):
    model.sample(500).to_csv(tmp_path / "new.csv")
    with open(tmp_path / "new.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS and len(rows) == 500
    assert {r["sign"] for r in rows} <= {"high", "low"} and {r["flag"] for r in rows} <= {"true", "false"}
    assert all(r["size"] == str(int(r["size"])) for r in rows)
    assert all(len(r["x"].partition(".")[2]) <= 3 for r in rows)
    again, before = read(str(tmp_path / "new.csv")), read(str(table_csv))
    assert [(c.name, c.kind) for c in again.schema.columns] == [(c.name, c.kind) for c in before.schema.columns]
    assert 0 < np.isnan(model.sample(2000).values[:, 1]).mean() < 0.5


def test_parquet_keeps_the_types(model, tmp_path):
    import duckdb

    model.sample(50).to_parquet(tmp_path / "new.parquet")
    found = duckdb.sql(f"describe select * from '{tmp_path / 'new.parquet'}'").fetchall()
    assert [(name, kind) for name, kind, *_ in found] == [
        ("x", "DOUBLE"), ("y", "DOUBLE"), ("sign", "VARCHAR"), ("size", "BIGINT"), ("flag", "BOOLEAN"),
    ]  # fmt: skip


def test_equal_seeds_equal_rows_and_longer_samples_begin_alike(model):
    a, b, c = model.sample(30, seed=1), model.sample(30, seed=1), model.sample(30, seed=2)
    assert np.array_equal(a.values, b.values, equal_nan=True)
    assert not np.array_equal(a.values, c.values, equal_nan=True)
    assert len(model.sample(4100)) == 4100
    with pytest.raises(UserError, match="at least 1; got 0"):
        model.sample(0)


def test_scores_prefer_real_rows(model, table_csv):
    table = read(str(table_csv))
    real = model.score(str(table_csv))
    assert real.shape == (300,) and np.isfinite(real).all()
    far = {c: table.column(c)[:50] for c in COLUMNS} | {"x": [40.0] * 50}
    path = table_csv.with_name("far.csv")
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *zip(*(far[c] for c in COLUMNS), strict=True)])
    assert np.median(real) > np.median(model.score(str(path)))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["x,y,sign,size,flag", "1.0,2.0,middling,3,true"], "sign.*middling"),
        (["x,y,sign,size", "1.0,2.0,high,3"], "flag"),
        (["x,y,sign,size,flag", "one,2.0,high,3,true"], "x.*one"),
    ],
)
def test_rows_the_model_has_never_seen_the_like_of(model, tmp_path, lines, says):
    path = tmp_path / "new.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(whichloss.WhichlossError, match=f"(?s){says}"):
        model.score(str(path))


def test_objectives_without_a_score_say_so(small, tmp_path, mine, table_csv):
    small(tmp_path / "run")
    with pytest.raises(UserError, match="no score.*flow-matching"):
        load(tmp_path / "run").score(str(table_csv))


def test_no_model_and_damaged_models(copy, tmp_path):
    with pytest.raises(StudyError, match="no trained model.*finished comparison"):
        load(tmp_path / "nowhere")
    path = copy / "best" / "model.safetensors"
    content = path.read_bytes()
    for damaged in (content[:100], b"", content[:-9] + b"x" + content[-8:]):
        path.write_bytes(damaged)
        with pytest.raises(StudyError, match=r"model.safetensors' is damaged"):
            load(copy)


def test_the_card_says_how_to_make_it_again(scored, model):
    card = (scored / "best" / "README.md").read_text()
    assert "whichloss compare things.csv" in card
    assert f"seed, steps, compute | {model.run.seed}, {model.record['steps']}" in card
    assert "flow-matching" in card and "fingerprint" in card and "not private" in card


def test_own_networks_must_come_along(small, tmp_path):
    def maker(inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, 12), nn.SiLU(), nn.Linear(12, outputs))

    study = small(tmp_path / "run", objectives=["flow-matching"], nets={"u": maker})
    with pytest.raises(UserError, match="own networks for u"):
        load(tmp_path / "run")
    model = load(tmp_path / "run", {"u": maker})
    assert len(model.sample(5)) == 5
    count = sum(p.numel() for p in maker(model.encoder.dim + FEATURES, model.encoder.dim).parameters())
    assert study.rows[0].parameters["u"] == model.weights["u"].numel() == count


def test_a_model_of_the_users_objective_needs_its_file(small, tmp_path):
    own = tmp_path / "mine.py"
    own.write_text(MINE)
    small(tmp_path / "run", objectives=[str(own)])
    assert len(load(tmp_path / "run").sample(3)) == 3
    own.unlink()
    with pytest.raises(UserError, match=r"mine.py' does not exist"):
        load(tmp_path / "run")


def test_loading_and_sampling_need_no_network_but_our_own(scored):
    """In a fresh process, from another folder."""
    text = f"import whichloss; print(len(whichloss.load({str(scored)!r}).sample(7)))"
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd="/", check=True)
    assert found.stdout.strip() == "7"

"""--given in a study: what can be given, how rows are judged beside their class, and the model that can be asked."""

import json

import msgspec
import numpy as np
import pytest
import torch

import whichloss
from whichloss.data import Pictures, read, read_pictures
from whichloss.errors import DataUnfit, UserError
from whichloss.report import html
from whichloss.study.choice import Choice, pairs
from whichloss.study.generate import features
from whichloss.study.generate.given import Given, GivenJudge, GivenPictures, Told
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.plan import Run
from whichloss.study.records import Study
from whichloss.study.request import request
from whichloss.study.store import Store
from whichloss.study.work import make_lanes


@pytest.fixture(scope="module")
def table():
    """Three kinds of unequal frequency, each around a mean of its own; a year of two, and a constant."""
    rng = np.random.default_rng(0)
    kind = rng.permutation(np.repeat([0, 1, 2], [150, 90, 60]))
    return read({
        "a": np.round(8 * kind + rng.normal(size=300), 3), "kind": np.array(["low", "mid", "top"])[kind],
        "year": 2000 + rng.integers(0, 2, 300), "b": np.round(rng.normal(size=300) - 5 * kind, 3),
    })  # fmt: skip


@pytest.fixture(scope="module")
def run(small, table, tmp_path_factory):
    """The folder of a finished study of rows given their kind."""
    folder = tmp_path_factory.mktemp("given") / "run"
    small(folder, data=table, given="kind", objectives=["flow-matching"], size=6e9)
    return folder


@pytest.fixture(scope="module")
def model(run):
    return whichloss.load(run)


def test_the_class_is_told_and_the_rest_is_drawn(table):
    judge, whole = GivenJudge(table, given="kind"), SampleJudge(table)
    assert (judge.task.dim, judge.task.given, judge.task.labels) == (whole.task.dim - 3, 3, "one")
    rows = judge.split(1).train
    encoder, x = judge.encoded(rows)
    assert encoder.dim == judge.task.dim == x.shape[1] - 1
    assert np.array_equal(x[:, -1].numpy(), judge.classes.codes[rows])
    assert np.array_equal(encoder.decode(x[:, :-1].numpy()), np.delete(table.values[rows], 1, axis=1))
    counts = [np.bincount(judge.classes.codes[part], minlength=3) for part in vars(judge.split(1)).values()]
    for count in counts:
        assert np.abs(count / count.sum() - [0.5, 0.3, 0.2]).max() < 0.02


def test_rows_come_back_beside_the_class_that_was_asked_for(table):
    judge = GivenJudge(table, given="kind")
    base = dict(data="", objective="gan", code="", setting={}, flops=1.0, width=8)
    encoders, lanes = make_lanes(judge, tuple(Run(seed=seed, **base) for seed in (1, 2)), None)
    weights = lanes.start().weights
    answers = judge.answers(lanes, encoders, [1, 2], weights, "validation", "look")
    told = lanes.told(len(answers[0])).argmax(2).numpy()
    for rows, codes, own in zip(answers, told, lanes.sample(weights, len(answers[0]), "look"), strict=True):
        assert rows.shape == (judge.size(1), 4) and np.array_equal(rows[:, 1], codes)
        assert np.abs(np.bincount(codes, minlength=3) / len(codes) - [0.5, 0.3, 0.2]).max() < 0.04
    assert np.array_equal(encoders[1].decode(own.numpy()), np.delete(rows, 1, axis=1))


def test_numbers_of_every_class_tell_what_is_wrong(table):
    judge = GivenJudge(table, given="kind")
    real = table.values[judge.split(1).validation]
    fine = judge.describe(real, 1, "test")
    assert fine["agreement"] == 1 and fine["agreement given top"] == 1
    assert all(abs(fine[f"MMD^2 given {name}"]) < 0.15 for name in ("low", "mid", "top"))
    swapped = real.copy()
    swapped[:, 1] = np.array([0, 2, 1])[real[:, 1].astype(int)]  # two classes under each other's name
    wrong = judge.describe(swapped, 1, "test")
    assert wrong["agreement given low"] == 1 and wrong["agreement given mid"] == wrong["agreement given top"] == 0
    assert wrong["agreement"] == pytest.approx((real[:, 1] == 0).mean())
    assert min(wrong["MMD^2 given mid"], wrong["MMD^2 given top"]) > 0.3 > abs(wrong["MMD^2 given low"])
    assert judge.score(swapped, 1, "test").value > judge.score(real, 1, "test").value + 0.01
    few = judge.describe(real[real[:, 1] < 2], 1, "test")
    assert "MMD^2 given top" not in few and "agreement given top" not in few


def test_the_classes_under_other_names_are_judged_alike(table):
    renamed = read({
        "a": table.column("a"), "kind": [{"low": "z", "mid": "y", "top": "x"}[k] for k in table.column("kind")],
        "year": table.column("year"), "b": table.column("b"),
    })  # fmt: skip
    one, two = GivenJudge(table, given="kind"), GivenJudge(renamed, given="kind")
    found = one.by_class(table.values[:200], one.classes.codes[:200], 1, "test")
    rows = one.numbers(1, "test")
    again = two.by_class(renamed.values[:200], two.classes.codes[:200], 1, "test")
    if np.array_equal(rows, two.numbers(1, "test")):  # splits go by the classes' order
        for old, new in (("low", "z"), ("mid", "y"), ("top", "x")):
            assert found[f"MMD^2 given {old}"] == pytest.approx(again[f"MMD^2 given {new}"], abs=1e-9)
    assert found["agreement"] == again["agreement"] == 1


def test_a_study_says_what_was_given(run):
    study = json.loads((run / "study.json").read_text())
    assert study["data"]["given"] == "kind" and study["data"]["classes"] == ["low", "mid", "top"]
    own = next(row for row in study["rows"] if row["name"] == "flow-matching")
    assert {"agreement", "agreement given mid", "MMD^2 given top"} <= set(own["metrics"])
    card = (run / "best" / "README.md").read_text()
    assert "| rows are generated given | kind: low 50%, mid 30%, top 20% unless asked otherwise |" in card
    assert "where={'kind': 'low'}" in card
    page = html.render(read_study(run), run)
    assert "<h3>Given kind</h3>" in page and '<th scope="col">MMD^2 given' not in page


def read_study(folder):
    return msgspec.json.decode((folder / "study.json").read_bytes(), type=Study)


def test_a_model_draws_the_class_that_is_asked_for(model, table):
    rows = model.sample(400, where={"kind": "mid"})
    assert rows.schema == table.schema and set(rows.column("kind")) == {"mid"}
    whole = model.sample(1000)
    found = np.unique(whole.column("kind"), return_counts=True)
    assert found[0].tolist() == ["low", "mid", "top"] and np.abs(found[1] - [500, 300, 200]).max() < 12
    means = [np.mean(model.sample(300, where={"kind": k}).column("a")) for k in ("low", "mid", "top")]
    assert means[0] + 4 < means[1] < means[2] - 4  # they are 0, 8 and 16


@pytest.mark.parametrize(
    "where, says",
    [
        ({"kind": "middle"}, "kind is never 'middle': did you mean 'mid'"),
        ({"year": 2000}, "this model's rows are given kind, and nothing else; got 'year'"),
    ],
)
def test_a_class_that_the_model_does_not_know_is_refused(model, where, says):
    with pytest.raises(UserError, match=says):
        model.sample(3, where=where)


def test_a_model_of_whole_rows_says_how_one_that_can_be_asked_is_made():
    with pytest.raises(UserError, match="Compare again with --given sign"):
        Choice().asked(3, {"sign": "high"})


def test_a_score_is_that_of_a_row_given_its_class(model, table):
    rows = {name: table.column(name)[:60] for name in table.schema.names}
    kind = np.array(rows["kind"])
    found, as_mid = model.score(rows), model.score(rows | {"kind": ["mid"] * 60})
    assert (found > as_mid + 3)[kind != "mid"].mean() > 0.9
    assert np.allclose(found[kind == "mid"], as_mid[kind == "mid"])
    judged = model.unlikely(rows, explain=True)
    assert "excess a" in judged.schema.names and "excess kind" not in judged.schema.names
    with pytest.raises(UserError, match="has no column 'kind', which the model needs"):
        model.score({name: rows[name] for name in ("a", "b", "year")})


def test_runs_given_a_class_have_names_of_their_own(table, tmp_path):
    def plan(**options):
        return request(table, objectives=["gan"], out=tmp_path, **options).plan

    bare, kind, year = plan(), plan(given="kind"), plan(given="year")
    assert len({bare.data, kind.data, year.data}) == 3 and bare.codes == kind.codes
    assert bare.asked == {} and kind.asked == {"given": "kind"}


def labelled(n=200):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    x = rng.integers(0, 60, (n, 64)).astype(np.uint8) + np.where(labels, 150, 0).astype(np.uint8)[:, None]
    return Pictures(x, (1, 8, 8), "shades", labels.astype(np.int64), ("dark", "light"))


def test_pictures_are_drawn_given_their_label(monkeypatch):
    monkeypatch.setattr(features, "STEPS", 20)
    judge = GivenPictures(labelled(), given="label")
    assert (judge.task.dim, judge.task.given, judge.task.shape) == (64, 2, (1, 8, 8))
    base = dict(data="", objective="ddpm", code="", setting={}, flops=1.0, width=16, seed=1)
    encoders, lanes = make_lanes(judge, (Run(**base),), None)
    (answer,) = judge.answers(lanes, encoders, [1], lanes.start().weights, "validation", "judge")
    assert isinstance(answer, Told) and answer.rows.dtype == np.uint8
    assert np.array_equal(answer.codes, lanes.told(len(answer.rows))[0].argmax(1))
    found = judge.describe(answer, 1, "test")
    assert {"agreement", "agreement given dark", f"{judge.score_name} given light"} <= set(found)
    kept = judge.kept(answer, 1)
    assert len(kept["given"]) == len(kept["samples"])
    assert np.array_equal(kept["given"][:40], answer.codes[:40])


def test_some_pictures_of_every_class_are_kept(monkeypatch):
    monkeypatch.setattr(features, "STEPS", 20)
    judge = GivenPictures(labelled(2000), given="label")
    codes = (np.arange(400) >= 380).astype(np.int64)
    rows = judge.table.values[:400].copy()
    kept = judge.kept(Told(rows, codes), 1)
    assert np.bincount(kept["given"]).tolist() == [64, 8]
    assert np.array_equal(kept["samples"][64:], rows[380:388])


def test_a_class_without_training_pictures_has_anchors(monkeypatch):
    monkeypatch.setattr(features, "STEPS", 20)
    some = labelled()
    groups = np.where(some.labels == 0, np.arange(200), 1000)  # all light ones are of one group
    judge = GivenPictures(Pictures(some.values, some.shape, "s", some.labels, some.classes, groups), given="label")
    for seed in range(5):
        for anchor in judge.anchors(seed, "test"):
            assert len(anchor.answer.rows) == len(anchor.answer.codes) == judge.size(seed)


def test_a_hole_in_pictures_keeps_their_classes(monkeypatch):
    monkeypatch.setattr(features, "STEPS", 20)
    judge = GivenPictures(labelled(400), given="label")
    numbers = judge.rest[:200]
    real = judge.compared(numbers)
    for kind, size, points in judge.damaged(numbers, 0):
        if kind == "hole":  # every picture beside its class is one of the real ones
            assert (torch.cdist(points, real).amin(1) < 1e-6).all(), size


def test_classes_keep_their_names_and_a_law_of_whole_rows_has_no_density_given_one():
    rng = np.random.default_rng(0)
    kind = np.array(["v1", "v1.0"])[np.arange(100) % 2]
    names = Given.of(read({"x": rng.normal(size=100), "kind": kind}), "kind").names
    assert names == ("v1", "v1.0")
    choice = Choice("kind", names, (0.0, 1.0), (0.5, 0.5))
    assert choice.asked(2, {"kind": "v1.0"}).tolist() == [1, 1]
    assert Choice("n", ("3", "4"), (3.0, 4.0), (0.5, 0.5)).asked(1, {"n": 3.0}).tolist() == [0]
    codes = np.array([10115, 20095, 80331])[rng.integers(0, 3, 200)]
    judge = GivenJudge(read({"code": codes, "x": rng.normal(size=200), "y": rng.normal(size=200)}), given="code")
    assert {a.log_likelihood for a in judge.anchors(1, "test")} == {None}


def test_every_anchor_of_pictures_has_classes_and_the_wrong_class_costs(monkeypatch):
    monkeypatch.setattr(features, "STEPS", 20)
    judge = GivenPictures(labelled(), given="label")
    answers = {a.name: a.answer for a in judge.anchors(1, "test")}
    assert set(answers) == set(judge.roles)
    for name, answer in answers.items():
        assert judge.describe(answer, 1, "test")["agreement"] > 0.8, name
        right, wrong = (judge.score(Told(answer.rows, c), 1, "test") for c in (answer.codes, 1 - answer.codes))
        assert wrong.value > right.value + 5 * right.se, name
    real = answers["fresh real rows"]
    assert abs(judge.score(real, 1, "test").value) < 4 * judge.score(real, 1, "test").se


def test_pictures_are_scored_given_their_own_labels():
    choice, some = Choice("label", ("dark", "grey", "light"), (0.0, 1.0, 2.0), (0.5, 0.2, 0.3)), labelled(20)
    known = read_pictures(some, like=some.shape, labels=True)
    values, y = choice.parts(known)
    assert np.array_equal(values, some.values) and np.array_equal(y.argmax(1), 2 * some.labels)
    assert read_pictures(some, like=some.shape).labels is None
    with pytest.raises(UserError, match="has no labels, and this model's pictures are given theirs"):
        choice.parts(read_pictures(some, like=some.shape))
    with pytest.raises(UserError, match="class 'dark', which the model does not know"):
        Choice("label", ("dusk", "light"), (0.0, 1.0), (0.5, 0.5)).parts(known)


def test_a_hundred_classes_are_enough():
    places, names = np.arange(1010) % 101, tuple(map(str, range(101)))
    with pytest.raises(DataUnfit, match="has 101 classes; at most 100"):
        Given.of(Pictures(np.zeros((1010, 64), np.uint8), (1, 8, 8), "many", places, names), "label")


def column(values, **others):
    return read({"x": np.linspace(0, 1, len(values)), "c": values, **others})


@pytest.mark.parametrize(
    "table, kind, says",
    [
        (lambda: column(["a"] * 25 + ["b"] * 5), DataUnfit, "the class 'b' has 5 rows; at least 10"),
        (lambda: column(np.linspace(0, 9, 40) ** 2), DataUnfit, "a column of numbers with 40 distinct values"),
        (lambda: column(np.repeat(np.arange(30), 10)), DataUnfit, "whole numbers with 30 distinct values"),
        (
            lambda: column(["a"] * 20 + [None] * 3 + ["b"] * 20),
            UserError,
            "3 of 43 rows have none .the first is row 21",
        ),
        (lambda: column(["a"] * 30), DataUnfit, "always 'a'"),
    ],
)
def test_what_is_no_class_cannot_be_given(table, kind, says):
    with pytest.raises(kind, match=says):
        Given.of(table(), "c")


def test_few_whole_numbers_and_switches_can_be_given():
    table = column(np.repeat([1, 2, 3], 20), flag=np.tile([True, False], 30))
    assert Given.of(table, "c").names == ("1", "2", "3") and Given.of(table, "flag").names == ("false", "true")
    choice = Choice("c", ("1", "2", "3"), (1.0, 2.0, 3.0), (0.5, 0.25, 0.25), table.schema)
    assert choice.asked(3, {"c": 2}).tolist() == choice.asked(3, {"c": "2"}).tolist() == [1, 1, 1]
    assert np.array_equal(choice.beside(np.zeros((2, 2)), torch.tensor([0, 2])), [[0, 1, 0], [0, 3, 0]])
    with pytest.raises(UserError, match="row 2: c is '7', which the model does not know. It knows 1, 2, 3"):
        choice.parts(read({"x": [0.0, 1.0, 2.0], "c": [1, 7, 3], "flag": [True, False, True]}, schema=table.schema))


def test_options_that_do_not_go_together_are_refused(table, table_csv):
    with pytest.raises(UserError, match="has no such column; did you mean 'kind'"):
        request(table, given="kid")
    with pytest.raises(UserError, match="belongs to the goal 'generate'"):
        request(table, given="kind", goal="classify", target="year")
    with pytest.raises(UserError, match="both --given and --group"):
        request(str(table_csv), group="size", given="size")
    with pytest.raises(UserError, match="do not go together"):
        request(str(table_csv), outliers="flag", given="sign")
    with pytest.raises(UserError, match="what they can be given is 'label'"):
        request(labelled(), given="shade", size=1e8)
    with pytest.raises(UserError, match="without labels"):
        request(Pictures(labelled().values, (1, 8, 8)), given="label", size=1e8)
    with pytest.raises(DataUnfit, match="none is left to generate"):
        request(read({"c": ["a", "b"] * 20, "k": [1.0] * 40}), given="c")


def test_where_is_a_column_and_a_class():
    assert pairs("species= Adelie ") == {"species": "Adelie"} and pairs("a=b=c") == {"a": "b=c"}
    for wrong in ("species", "=Adelie", "species=", ""):
        with pytest.raises(UserError, match="write COLUMN=CLASS"):
            pairs(wrong)


def test_every_run_keeps_the_class_of_what_it_shows(run):
    store = Store(run)
    for path in (run / "runs").glob("flow-matching-*.safetensors"):
        arrays = store.read(path.stem)[1]
        if "samples" in arrays:
            assert np.array_equal(arrays["samples"][:, 1], arrays["given"])

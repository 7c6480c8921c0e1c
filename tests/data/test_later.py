"""Rows read later by the schema of a table read before: what is refused, with place and fix, and what is noted."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from whichloss.data import Encoder, Table, read
from whichloss.data.later import surprises
from whichloss.errors import UserError

N = 40
DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(N)]
ROW = {
    "x": "1.5", "n": "3", "c": "a", "flag": "true", "day": "2024-02-01", "at": "2024-02-01 12:00:00", "k": "7",
    "w": "same", "none": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> Table:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("known") / "known.csv"
    lines = [
        f"{x:.2f},{i % 9 or ''},{'abc'[i % 3]},{('false', 'true')[i % 2]},{DAYS[i]},{DAYS[i]} 0{i % 9}:30:00,7,same,"
        for i, x in enumerate(rng.normal(size=N))
    ]
    path.write_text(",".join(ROW) + "\n" + "\n".join(lines) + "\n")
    return read(path)


@pytest.fixture
def later(known, tmp_path):
    """later([row, ...]) reads these rows, each ROW but for what is given; a column that is None is left out."""

    def read_them(rows, **options):
        rows = [{k: v for k, v in (ROW | row).items() if v is not None} for row in rows]
        path = tmp_path / "new.csv"
        path.write_text("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n")
        return read(path, schema=known.schema, **options)

    return read_them


def said(known: Table, table: Table) -> list[str]:
    return [*table.notes, *surprises(Encoder.fit(known.schema, known.values), table.values)]


def test_rows_like_those_before_need_no_word(known, later):
    table = later([{}, {"n": ""}, {"x": "-.5e0", "day": " 2024-01-05 "}])
    assert said(known, table) == []
    assert table.column("x") == [1.5, 1.5, -0.5] and table.column("at")[0] == datetime(2024, 2, 1, 12)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{}, {"x": "abc"}, {"x": "1;5"}], "'x', row 2: 'abc' where the data has a number.*2 such rows"),
        ([{}, {"n": "many"}], "'n', row 2: 'many' where the data has a whole number.*leave it empty, or"),
        ([{}, {"flag": "maybe"}], "'flag', row 2: 'maybe' where the data has false or true"),
        ([{}, {"day": "01/02/2024"}], "'day', row 2: '01/02/2024' where the data has a date, as 2023-01-31"),
        ([{}, {"day": "2024-02-30"}], "'day', row 2: '2024-02-30'"),
        ([{"day": "20240201"}], "'day', row 1: '20240201' where the data has a date"),
        ([{}, {"at": "2024-02-01"}], "'at', row 2: '2024-02-01' where.* date and time, as 2023-01-31 12:30:00 "),
        ([{}, {"at": "2024-02-01 12:00:00Z"}], "'at', row 2: '2024-02-01 12:00:00Z'"),
        ([{"x": "2024-02-01"}], "'x', row 1: '2024-02-01' where the data has a number"),
        (
            [{}, {"c": "z"}, {"c": "B"}],
            "'c', row 2: 'B', 'z' does not occur in the data .2 such rows.. Known: 'a', 'b', 'c'",
        ),
        ([{}, {"x": "inf"}], r"'x', row 2: inf is not finite \(1 such row\). Correct the value, or leave the row out"),
        ([{}, {"n": "9007199254740993"}], "'n', row 2: 9007199254740993 is beyond.*Correct the value, leave it empty"),
        ([{"x": None, "c": None}], "has no columns 'x', 'c', which the model needs; the columns in it are 'n', 'flag'"),
    ],
    ids=str,
)  # fmt: skip
def test_faults_are_the_files_and_none_is_mended_by_an_option(later, rows, says):
    with pytest.raises(UserError, match=says) as found:
        later(rows)
    assert "--drop" not in str(found.value)


def test_columns_are_not_mistaken_for_those_the_model_has(later, known, tmp_path):
    for name, says in (("C", "did you mean 'C'"), ("xx", "the columns in it are")):
        path = tmp_path / "new.csv"
        path.write_text(",".join(name if n == "c" else n for n in ROW) + "\n" + ",".join(ROW.values()) + "\n")
        with pytest.raises(UserError, match=says):
            read(path, schema=known.schema)


def test_no_rows_and_other_files_that_compare_calls_unfit(later, known, tmp_path):
    (tmp_path / "a.csv").write_text(",".join(ROW) + "\n")
    (tmp_path / "b.csv").write_bytes(b"")
    for source, says in (("a.csv", "no rows"), ("b.csv", "0 bytes")):
        with pytest.raises(UserError, match=says):
            read(tmp_path / source, schema=known.schema)
    with pytest.raises(UserError, match="the rows of a table are needed here"):
        read(np.zeros((3, 3, 3)), schema=known.schema)
    with pytest.raises(UserError, match="different lengths"):
        read({"x": [1.0], "n": [1, 2]}, schema=read({"x": np.arange(N) / 7, "n": range(N)}).schema)


def test_constants_taught_nothing_and_are_not_needed(known, later):
    notes = said(known, later([{"k": None, "w": None}]))
    assert [note.split()[0] for note in notes] == ["k", "w"] and all("not needed" in note for note in notes)
    notes = said(known, later([{"k": "8", "w": "other", "none": "x"}, {"k": "", "w": ""}]))
    assert [(note.split()[0], "change nothing" in note) for note in notes] == [("w", True), ("none", True), ("k", True)]
    assert "'other'" in notes[0] and "'8'" in notes[2]
    encoder = Encoder.fit(known.schema, known.values)
    rows = [later([row]).values for row in ({}, {"k": "8", "w": "other"}, {"k": None, "w": None}, {"k": "many"})]
    assert all(np.array_equal(encoder.encode(rows[0]), encoder.encode(row)) for row in rows)


def test_values_far_from_the_training_rows_are_noted(known, later):
    notes = said(known, later([{}, {"x": "1e12", "day": "2050-01-01"}, {"x": "-400"}, {"n": "12"}]))
    assert [note.partition(":")[0] for note in notes] == ["x", "day"]
    assert "2 rows far outside what was learned from (-400, 1e+12; the first is row 2; training rows lie" in notes[0]
    assert "1 row far" in notes[1] and "2050-01-01" in notes[1] and "around 2024-01-2" in notes[1]


def test_labels_are_not_used_and_new_ones_are_counted(known, later):
    schema = read({"city": ["Rome", "Bern"] * 10, "grade": [1, 3] * 10, "flag2": [0, 1] * 10}).schema
    labels = [(column, [0, 1] if column.kind != "integer" else [1, 3]) for column in schema.columns]
    rows = [{"city": "Rome", "grade": "1", "flag2": "0", "more": "1"}, {"city": "Oslo", "grade": "2", "flag2": "x"}]
    rows[1]["more"] = "2"
    notes = later(rows, labels=labels).notes
    assert notes[0] == "Left out, as the model does not know them: more."
    assert notes[1] == (
        "city is what the model predicts: not used. 1 row with a label that training never saw ('Oslo')."
    )
    assert "('2')" in notes[2] and "no labels that training has seen" in notes[3]

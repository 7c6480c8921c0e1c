"""What can be read, and what is said of the rest: what is wrong, where, the value, the fix."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from whichloss.data import Table, read
from whichloss.errors import DataUnfit, UserError

ROWS = 24
NUMBERS = list(range(ROWS))
PENGUINS = Path(__file__).parents[2] / "examples" / "data" / "penguins.csv"


def csv(tmp_path: Path, columns: dict[str, list], name: str = "a.csv", delimiter: str = ",") -> Path:
    lines = [delimiter.join(columns)]
    lines += [delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / name


def kinds(table: Table) -> list[str]:
    return [c.kind for c in table.schema.columns]


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "null", "?", "N/A"])
def test_text_for_missing_values_keeps_numbers_numbers(tmp_path, missing):
    wholes = [missing if i % 5 == 0 else i for i in NUMBERS]
    path = csv(tmp_path, {"i": wholes, "x": [missing] + [i / 4 for i in NUMBERS[1:]]})
    table = read(path)
    assert kinds(table) == ["integer", "number"]
    assert table.column("i") == [None if i % 5 == 0 else i for i in NUMBERS]
    assert table.schema.columns[1].decimals == 2


def test_booleans_codes_and_dates_of_a_csv_file(tmp_path):
    path = csv(
        tmp_path,
        {
            "word": ["true", "false"] * 12,
            "bit": [0, 1] * 12,
            "code": ["007", "012", "100"] * 8,
            "day": [f"2024-02-{1 + i:02d}" for i in NUMBERS],
            "moment": [f"2024-02-01T00:{i:02d}:00.5" for i in NUMBERS],
            "zoned": [f"2024-02-01T{i:02d}:00:00+02:00" for i in NUMBERS],
        },
    )
    table = read(path)
    assert kinds(table) == ["boolean", "boolean", "category", "date", "date", "date"]
    assert table.column("word")[:2] == [True, False] and table.column("bit")[:2] == [0, 1]
    assert table.column("day")[0] == date(2024, 2, 1)
    assert table.column("moment")[1] == datetime(2024, 2, 1, 0, 1, 0, 500_000)
    assert table.column("zoned")[0] == datetime(2024, 1, 31, 22)
    assert table.values[0, 3] == datetime(2024, 2, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_and_a_byte_order_mark(tmp_path, delimiter):
    path = csv(tmp_path, {"a": NUMBERS, "b": NUMBERS}, delimiter=delimiter)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path).schema.names == ("a", "b")


def test_odd_file_names_are_taken_literally(tmp_path):
    csv(tmp_path, {"other": NUMBERS}, "a1.csv")
    for name in ("a[1].csv", "a*.csv", "a?.csv"):
        assert len(read(csv(tmp_path, {"x": NUMBERS}, name))) == ROWS


def test_arrays_tensors_files_and_frames_agree(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 3))
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "a.npz", x=x)
    np.savez(tmp_path / "b.npz", x1=x[:, 0], x2=x[:, 1], x3=x[:, 2])
    columns = {f"x{j + 1}": x[:, j] for j in range(3)}
    sources = [
        x,
        torch.tensor(x),
        tmp_path / "a.npy",
        tmp_path / "a.npz",
        tmp_path / "b.npz",
        columns,
    ]
    sources.append({name: torch.tensor(values) for name, values in columns.items()})
    tables = [read(source) for source in sources]
    assert len({table.fingerprint for table in tables}) == 1
    assert tables[0].source == "array (30, 3)" and tables[1].source == "tensor (30, 3)"
    assert np.array_equal(tables[0].to_numpy(), x)
    assert len(read(x[:, 0])) == 30 and read(torch.tensor(x).bfloat16()).schema.dim == 3
    assert read(tables[0]) is tables[0]


def test_masked_and_record_arrays():
    masked = np.ma.masked_array(np.arange(48).reshape(24, 2), np.eye(24, 2, dtype=bool))
    assert read(masked).column("x1")[:2] == [None, 2]
    record = np.zeros(24, [("a", int), ("b", float)])
    record["a"] = NUMBERS
    assert read(record).column("a") == NUMBERS


def frame_columns() -> dict[str, list]:
    return {
        "i": [None if i == 3 else i for i in NUMBERS],
        "x": [i / 8 for i in NUMBERS],
        "b": [i % 3 == 0 for i in NUMBERS],
        "c": [None if i == 2 else "ab"[i % 2] for i in NUMBERS],
        "d": [datetime(2024, 1, 1, i) for i in NUMBERS],
    }


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_keep_kinds_and_missing_values(library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame(frame_columns())
    table = read(frame)
    assert kinds(table) == ["integer", "number", "boolean", "category", "date"]
    for name, values in frame_columns().items():
        assert table.column(name) == values


def test_pandas_types_with_missing_values():
    pandas = pytest.importorskip("pandas")
    columns = frame_columns()
    frame = pandas.DataFrame(columns)
    frame["i"] = frame["i"].astype("Int16")
    frame["b"] = pandas.array([None, *columns["b"][1:]], "boolean")
    frame["c"] = frame["c"].astype("category")
    frame["d"] = frame["d"].dt.tz_localize("Europe/Paris")
    table = read(frame)
    assert [c.sql_type for c in table.schema.columns][:3] == ["SMALLINT", "DOUBLE", "BOOLEAN"]
    assert table.column("b")[0] is None and table.column("c") == columns["c"]
    assert table.column("d")[5] == datetime(2024, 1, 1, 4)


def test_penguins_have_no_notes_and_groups_and_times_leave_the_model():
    assert read(PENGUINS).notes == ()
    table = read(PENGUINS, group="island", time="year", drop=["sex"])
    assert table.schema.names == ("species", *read(PENGUINS).schema.names[2:6])
    assert sorted(set(table.groups.tolist())) == [0, 1, 2] and table.times.min() == 2007


def test_group_and_dropped_columns_escape_the_limits(tmp_path):
    free = [f"a sentence of more than thirty letters, number {i}" for i in NUMBERS]
    source = {"x": NUMBERS, "who": [f"p{i}" for i in NUMBERS], "text": free, "odd": [{}] * ROWS}
    assert read(source, group="who", drop=["text", "odd"]).schema.names == ("x",)


def test_rows_read_later_follow_the_schema(tmp_path):
    table = read(PENGUINS)
    fourth = {name: [table.column(name)[3]] for name in table.schema.names}
    fourth = {name: ["NA"] if value == [None] else value for name, value in fourth.items()}
    new = csv(tmp_path, {"extra": [1], **fourth})
    later = read(new, schema=table.schema)
    assert np.array_equal(later.values, table.values[3:4], equal_nan=True)
    assert later.schema == table.schema and "extra" in later.notes[0]


def test_an_unused_date_column_gets_a_note_and_a_used_one_does_not():
    source = {"x": NUMBERS, "d": np.datetime64("2024-01-01") + np.arange(ROWS)}
    assert "--time 'd'" in read(source).notes[0]
    table = read(source, time="d")
    assert table.notes == () and np.all(np.diff(table.times) == 86400)


def test_words_that_were_read_as_missing_are_kept(tmp_path):
    table = read(csv(tmp_path, {"x": NUMBERS, "c": ["NA", "", " null ", "a", "b", "c"] * 4}))
    assert table.blanks == {"c": ("NA", "null")} and table.rows(slice(3)).blanks == table.blanks


def test_constant_and_empty_columns_and_odd_text_get_notes(tmp_path):
    path = csv(
        tmp_path,
        {
            "x": NUMBERS,
            "c": [5] * ROWS,
            "e": ["NA"] * ROWS,
            "d": ["1/2/20", "3/4/20", "5/6/20", "7/8/20", "9/9/20", "1/1/20"] * 4,
        },
    )
    notes = " ".join(read(path).notes)
    assert "'c' is constant" in notes and "'e' is all missing" in notes and "YYYY-MM-DD" in notes
    assert "header line" in read(csv(tmp_path, {"1.5": NUMBERS, "2": NUMBERS})).notes[0]


TEXTS = [f"the {i}th visitor wrote a long and friendly letter" for i in range(200)]
MANY = [f"id-{i:05d}" for i in range(10_000)]
INFINITE = [*NUMBERS[:5], np.inf, *NUMBERS[6:]]
UNFIT = [
    ({"x": []}, "no rows"),
    ({"x": [1]}, "1 row; at least 20"),
    ({"x": [1, 2]}, "2 rows; at least 20"),
    ({"x": [3] * ROWS, "y": ["a"] * ROWS}, "nothing to learn: x is constant; y is constant"),
    ({"x": [None] * ROWS}, "nothing to learn: x is all missing"),
    ({"x": INFINITE}, "'x', row 6: inf is not finite"),
    ({"t": MANY}, "'t' has 10,000 distinct texts.*at most 100.*identifier.*--drop 't'"),
    ({"t": TEXTS}, "'t' is free text.*text generation is not a goal.*--drop 't'"),
    ({"x": [*NUMBERS[1:], "old"]}, r"holds int, str \(row 24: 'old'\)"),
    ({"x": [2**60 + i for i in NUMBERS]}, r"row 1: 1152921504606846976 is beyond 2\^53"),
    ({"x": [2**70] * ROWS}, "beyond 64 bits"),
    ({"x": [(1, 2)] * ROWS}, "holds tuple.*Supported: numbers"),
    ({"x": [1j] * ROWS}, "holds complex"),
    (np.zeros((ROWS, 4, 4)), r"shape \(24, 4, 4\).*Pictures"),
    (np.zeros((ROWS, 2), complex), "complex128.*two columns"),
    (np.array([[1, "a"]] * ROWS, object), "type object.*dict of columns"),
    (np.array("x"), r"shape \(\)"),
    ({"x": np.array(["2024-01-01T00:00:00.000000001"] * ROWS, "M8[ns]")}, "finer than"),
]


@pytest.mark.parametrize(("source", "message"), UNFIT, ids=[m[:24] for _, m in UNFIT])
def test_data_that_cannot_be_compared_is_explained(source, message):
    with pytest.raises(DataUnfit, match=message):
        read(source)


WRONG = [
    ({"x": NUMBERS, "X": NUMBERS}, "both named 'X'"),
    ({"x": NUMBERS, "": NUMBERS}, "column 2 has no name"),
    ({"x": NUMBERS, "y": NUMBERS[1:]}, "'y' has 23 rows and column 'x' has 24"),
    ({"x": np.zeros((ROWS, 2))}, r"an array of shape \(24, 2\)"),
    ({"x": "text"}, "'x' is str"),
    (42, "type int cannot be read.*a path"),
]


@pytest.mark.parametrize(("source", "message"), WRONG, ids=[m[:24] for _, m in WRONG])
def test_sources_that_make_no_table_are_explained(source, message):
    with pytest.raises(UserError, match=message):
        read(source)


def test_options_that_name_no_column_suggest_one():
    for option in ("group", "time"):
        with pytest.raises(UserError, match=rf"--{option} 'iland'.*did you mean 'island'"):
            read(PENGUINS, **{option: "iland"})
    with pytest.raises(UserError, match=r"--drop 'sexe'.*did you mean 'sex'"):
        read(PENGUINS, drop=["sexe"])
    with pytest.raises(UserError, match=r"both --time and --drop"):
        read(PENGUINS, time="year", drop=["year"])
    with pytest.raises(UserError, match=r"a Table already"):
        read(read(PENGUINS), time="year")


def test_group_and_time_columns_that_cannot_serve():
    with pytest.raises(UserError, match=r"--time 'species' is no date or number.*Adelie"):
        read(PENGUINS, time="species")
    with pytest.raises(DataUnfit, match=r"--time 'body_mass_g', row 4: the time is missing"):
        read(PENGUINS, time="body_mass_g")
    with pytest.raises(DataUnfit, match=r"--group 'sex', row 4: the group is missing"):
        read(PENGUINS, group="sex")
    with pytest.raises(DataUnfit, match=r"2 groups; at least 3"):
        read({"x": NUMBERS, "g": ["a", "b"] * 12}, group="g")


def test_numbers_with_commas_are_recognised(tmp_path):
    path = csv(tmp_path, {"x": [f"{i},5" for i in range(200)]}, delimiter=";")
    path.write_text(path.read_text().replace("x\n", "x;y\n").replace(",5\n", ",5;1\n"))
    with pytest.raises(DataUnfit, match=r"200 distinct texts.*numbers as 1234.5, without commas"):
        read(path)


def test_infinities_and_odd_words_in_a_file_are_located(tmp_path):
    with pytest.raises(DataUnfit, match=r"'x', row 3: -inf"):
        read(csv(tmp_path, {"x": [1, 2, "-Inf", *NUMBERS[3:]]}))
    with pytest.raises(DataUnfit, match=r"'x', row 2: 'unknown' among numbers"):
        read(csv(tmp_path, {"x": [1, "unknown", *[i / 7 for i in range(40)]]}))
    with pytest.raises(DataUnfit, match=r"'x', row 1: 9007199254740993"):
        read(csv(tmp_path, {"x": [2**53 + 1, *NUMBERS[1:]]}))


@pytest.mark.parametrize("first", ["true", "True", "TRUE"])
@pytest.mark.parametrize("then", ["true", "True", "TRUE"])
def test_true_may_be_spelt_otherwise_in_the_next_file(tmp_path, first, then):
    words = {w: (w, {"true": "false", "True": "False", "TRUE": "FALSE"}[w]) for w in (first, then)}
    for name, word in (("a", first), ("b", then)):
        yes, no = words[word]
        rows = "\n".join(f"{i / 8},{yes if i % 3 else no}" for i in range(30))
        (tmp_path / f"{name}.csv").write_text(f"x,flag\n{rows}\n")
    known = read(tmp_path / "a.csv")
    later = read(tmp_path / "b.csv", schema=known.schema)
    assert np.array_equal(later.values, known.values) and later.schema == known.schema

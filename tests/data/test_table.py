"""A table written and read again is the same table."""

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whichloss.data import Table, read
from whichloss.errors import UserError

ROWS = 24
PENGUINS = Path(__file__).parents[2] / "examples" / "data" / "penguins.csv"
ORDERS = st.permutations(range(ROWS))
QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def column(values: st.SearchStrategy) -> st.SearchStrategy:
    """24 values of a kind, drawn from at most 6, some of them perhaps missing."""
    pool = st.lists(values | st.none(), min_size=1, max_size=6)
    return st.builds(lambda pool, order: [pool[i % len(pool)] for i in order], pool, ORDERS)


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\r\",';"))
KINDS = {
    "whole": column(st.integers(-(2**53), 2**53)),
    "number": column(st.floats(-1e12, 1e12)),
    "tenths": column(st.integers(-9999, 9999).map(lambda v: v / 10)),
    "boolean": column(st.booleans()),
    "category": column(st.sampled_from(["b", "a,", 'c"d', "e\nf", " é", "007"])),
    "text": column(TEXT.map(lambda s: "k" + s)),
    "date": column(st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "moment": column(st.datetimes(datetime(1835, 1, 1), datetime(2100, 1, 1))),
}
TABLES = st.fixed_dictionaries({}, optional=KINDS).map(lambda columns: {'name, "x"': list(range(ROWS)), **columns})


def same(a: Table, b: Table) -> None:
    assert a.schema == b.schema
    assert np.array_equal(a.values, b.values, equal_nan=True)
    assert a.fingerprint == b.fingerprint


@QUICK
@given(TABLES)
def test_csv_written_and_read_is_the_same_table(tmp_path, columns):
    table = read(columns)
    table.to_csv(tmp_path / "t.csv")
    same(table, read(tmp_path / "t.csv"))


@QUICK
@given(TABLES)
def test_parquet_written_and_read_is_the_same_table(tmp_path, columns):
    table = read(columns)
    table.to_parquet(tmp_path / "t.parquet")
    same(table, read(tmp_path / "t.parquet"))


@QUICK
@given(TABLES)
def test_columns_come_back_as_the_values_given(columns):
    table = read(columns)
    for name, values in columns.items():
        assert table.column(name) == values


DTYPES = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 bool"


@pytest.mark.parametrize("dtype", DTYPES.split(" "))
def test_parquet_keeps_storage_types(tmp_path, dtype):
    values = (np.arange(ROWS) % 7 - 0.25 * (dtype[0] == "f")).astype(dtype)
    table = read({"x": values, "y": np.linspace(0, 1, ROWS)})
    table.to_parquet(tmp_path / "t.parquet")
    back = read(tmp_path / "t.parquet")
    same(table, back)
    assert back.column("x") == values.tolist()


def test_parquet_of_another_writer_keeps_its_types(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from decimal import Decimal

    types = {
        "d": (pa.decimal128(8, 2), [Decimal(i) / 4 for i in range(ROWS - 1)] + [None]),
        "z": (pa.timestamp("us", "UTC"), [datetime(2020, 1, 1 + i) for i in range(ROWS)]),
        "n": (pa.timestamp("ns"), [datetime(2020, 1, 1 + i) for i in range(ROWS)]),
        "t": (pa.string(), ["1", "2"] * (ROWS // 2)),
        "f": (pa.float32(), [i / 10 for i in range(ROWS)]),
    }
    arrays = {name: pa.array(values, kind) for name, (kind, values) in types.items()}
    pq.write_table(pa.table(arrays), tmp_path / "a.parquet")
    table = read(tmp_path / "a.parquet")
    table.to_parquet(tmp_path / "b.parquet")
    back = pq.read_table(tmp_path / "b.parquet")
    assert table.schema.columns[4].decimals == 1
    for name, (kind, _) in types.items():
        assert back.schema.field(name).type == kind
        assert back[name].to_pylist() == pa.table(arrays)[name].to_pylist()


def test_words_of_a_csv_file_come_back(tmp_path):
    lines = ["flag,code,stamp"]
    lines += [f"{'TRUE' if i % 3 else 'FALSE'},{i % 4:03d},2024-01-{1 + i:02d} 10:00:00Z" for i in range(ROWS)]
    text = "\n".join(lines) + "\n"
    (tmp_path / "a.csv").write_text(text)
    table = read(tmp_path / "a.csv")
    table.to_csv(tmp_path / "b.csv")
    assert [c.kind for c in table.schema.columns] == ["boolean", "category", "date"]
    assert (tmp_path / "b.csv").read_text() == text


def test_penguins_survive_both_formats(tmp_path):
    table = read(PENGUINS)
    assert len(table) == 344
    kinds = ["category"] * 2 + ["number"] * 2 + ["integer"] * 2 + ["category", "integer"]
    assert [c.kind for c in table.schema.columns] == kinds
    assert table.column("sex").count(None) == 11
    for name in ("p.csv", "p.parquet"):
        (table.to_csv if name == "p.csv" else table.to_parquet)(tmp_path / name)
        same(table, read(tmp_path / name))


def test_saved_tables_load_and_damaged_ones_do_not(tmp_path):
    table = read(PENGUINS, group="island", time="year")
    table.save(tmp_path / "t")
    back = Table.load(tmp_path / "t")
    same(table, back)
    assert np.array_equal(back.groups, table.groups) and np.array_equal(back.times, table.times)
    assert back.notes == table.notes and back.source == table.source
    (tmp_path / "t").write_bytes((tmp_path / "t").read_bytes()[:200])
    with pytest.raises(UserError, match=r"damaged"):
        Table.load(tmp_path / "t")


def test_fingerprint_changes_with_any_part():
    table = read(PENGUINS)
    prints = {table.fingerprint, read(PENGUINS, drop=["sex"]).fingerprint}
    prints |= {read(PENGUINS, group="year").fingerprint, read(PENGUINS, time="year").fingerprint}
    changed = table.values.copy()
    changed[7, 4] += 1
    prints.add(Table(table.schema, changed).fingerprint)
    assert len(prints) == 5 and all(len(text) == 16 for text in prints)


def test_rows_keep_groups_times_and_order():
    table = read(PENGUINS, group="island", time="year")
    part = table.rows([5, 2])
    assert len(part) == 2 and np.array_equal(part.groups, table.groups[[5, 2]])
    assert part.column("species") == [table.column("species")[i] for i in (5, 2)]


def test_pandas_and_html():
    pandas = pytest.importorskip("pandas")
    table = read(PENGUINS)
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and str(frame["body_mass_g"].dtype) == "Int64"
    same(table, read(frame))
    page = table._repr_html_()
    assert page.count("<tr>") == 6 and "Torgersen" in page


def test_a_folder_that_is_not_there_is_named(tmp_path):
    table = read(PENGUINS)
    for write in (table.to_csv, table.to_parquet, table.save):
        with pytest.raises(UserError, match=r"nowhere"):
            write(tmp_path / "nowhere" / "t")
    assert list(tmp_path.iterdir()) == []

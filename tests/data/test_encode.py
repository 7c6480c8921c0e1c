"""Rows become vectors and come back exactly."""

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whichloss.data import Encoder, Table, read
from whichloss.errors import UserError

PENGUINS = Path(__file__).parents[2] / "examples" / "data" / "penguins.csv"
ROWS = 24
ORDERS = st.permutations(range(ROWS))
SETTINGS = settings(max_examples=50, deadline=None)


def column(values: st.SearchStrategy) -> st.SearchStrategy:
    """24 values of a kind, drawn from at most 6, some of them perhaps missing."""
    pool = st.lists(values | st.none(), min_size=1, max_size=6)
    return st.builds(lambda pool, order: [pool[i % len(pool)] for i in order], pool, ORDERS)


NEAR = {  # whole numbers and times that float32 still tells apart
    "whole": column(st.integers(-(10**6), 10**6)),
    "tenths": column(st.integers(-9999, 9999).map(lambda v: v / 10)),
    "boolean": column(st.booleans()),
    "category": column(st.sampled_from(["b", "c", "d", "e", "f"])),
    "day": column(st.dates(date(1900, 1, 1), date(2100, 1, 1))),
}
FAR = {
    "big": column(st.integers(-(2**53), 2**53)),
    "number": column(st.floats(-1e12, 1e12)),
    "moment": column(st.datetimes(datetime(1835, 1, 1), datetime(2100, 1, 1))),
}
TABLES = st.fixed_dictionaries({"i": st.just(list(range(ROWS)))}, optional=NEAR | FAR)
EXACT = st.fixed_dictionaries({}, optional=NEAR).map(lambda c: {"i": list(range(ROWS)), **c})


def halves(columns: dict) -> tuple[Table, Encoder]:
    table = read(columns)
    return table, Encoder.fit(table.schema, table.values[: ROWS // 2])


@SETTINGS
@given(EXACT)
def test_decode_inverts_encode(columns):
    table, encoder = halves(columns)
    x = encoder.encode(table.values)
    assert x.shape == (ROWS, encoder.dim) and x.dtype == np.float32
    assert np.array_equal(encoder.decode(x), table.values, equal_nan=True)


@SETTINGS
@given(TABLES)
def test_any_table_returns_to_float32_accuracy(columns):
    table = read(columns)
    encoder = Encoder.fit(table.schema, table.values)
    back = encoder.decode(encoder.encode(table.values))
    assert np.array_equal(np.isnan(back), np.isnan(table.values))
    for j, column in enumerate(table.schema.columns):
        known = table.values[~np.isnan(table.values[:, j]), j]
        if len(known):
            unit = np.abs(known).max()
            step = {"integer": 1.0, "date": 86400.0}.get(column.kind, 0.0)
            error = np.nanmax(np.abs(back[:, j] / 2 - table.values[:, j] / 2))
            assert error <= 1e-6 * unit + step / 2


@SETTINGS
@given(EXACT, st.integers(0, 99))
def test_decoded_noise_is_a_fixed_point(columns, seed):
    _, encoder = halves(columns)
    x = np.random.default_rng(seed).normal(size=(50, encoder.dim)).astype(np.float32) * 3
    once = encoder.decode(x)
    assert np.array_equal(encoder.decode(encoder.encode(once)), once, equal_nan=True)


@SETTINGS
@given(EXACT, st.integers(0, 99))
def test_jitter_never_changes_what_decode_returns(columns, seed):
    table, encoder = halves(columns)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, (ROWS, encoder.dim))
    noise[:2] = np.array([[-0.5], [0.5]])
    x = encoder.encode(table.values) + (noise * encoder.jitter).astype(np.float32)
    assert np.array_equal(encoder.decode(x), table.values, equal_nan=True)


def test_jitter_of_whole_numbers_fills_the_step():
    table = read({"dice": list(range(1, 7)) * 5, "real": np.random.default_rng(0).normal(size=30)})
    encoder = Encoder.fit(table.schema, table.values)
    step = np.diff(encoder.encode(table.values)[:2, 0])[0]
    assert encoder.jitter[0] == pytest.approx(0.98 * step) and encoder.jitter[1] == 0


@SETTINGS
@given(EXACT)
def test_every_column_has_mean_0_and_variance_1_over_its_dimensions(columns):
    table, _ = halves(columns)
    encoder = Encoder.fit(table.schema, table.values)
    x = encoder.encode(table.values).astype(np.float64)
    assert np.abs(x.mean(axis=0)).max() < 1e-5
    for column, block in zip(table.schema.columns, encoder.blocks, strict=True):
        if not column.constant:
            part = x[:, block.start : block.start + block.width]
            assert part.var(axis=0).sum() == pytest.approx(1, rel=1e-4)


def test_layout_follows_the_schema_whatever_rows_are_fitted():
    table = read(PENGUINS)
    dims = {Encoder.fit(table.schema, table.values[rows]).dim for rows in (slice(1), slice(344))}
    assert dims == {table.schema.dim} == {3 + 3 + 2 + 2 + 2 + 2 + 3 + 1}


def test_fit_sees_only_the_rows_it_is_given():
    table = read(PENGUINS)
    other = table.values.copy()
    other[200:, 2:6] *= 3
    assert Encoder.fit(table.schema, table.values[:200]) == Encoder.fit(table.schema, other[:200])


def test_constant_and_empty_columns_take_no_dimension_and_come_back():
    rows = list(range(ROWS))
    table = read({"x": rows, "c": ["same"] * ROWS, "e": [None] * ROWS, "k": [2.5] * ROWS})
    encoder = Encoder.fit(table.schema, table.values[:3])
    assert encoder.dim == 1
    back = Table(table.schema, encoder.decode(np.zeros((2, 1), np.float32)))
    assert back.column("c") == ["same"] * 2 and back.column("k") == [2.5] * 2
    assert back.column("e") == [None] * 2


def test_decode_stays_within_the_storage_type():
    table = read({"u": np.arange(ROWS, dtype=np.uint8), "y": np.linspace(0, 1, ROWS)})
    encoder = Encoder.fit(table.schema, table.values)
    assert encoder.decode(np.array([[-1e6, 0], [1e6, 0]]))[:, 0].tolist() == [0, 255]


def test_far_dates_decode_to_dates():
    days = np.datetime64("2000-01-01") + np.arange(ROWS)
    table = read({"d": days, "y": np.linspace(0, 1, ROWS)})
    encoder = Encoder.fit(table.schema, table.values)
    far = Table(table.schema, encoder.decode(np.array([[-1e9, 0], [1e9, 0], [0.01, 0]])))
    assert [d.isoformat() for d in far.column("d")[:2]] == ["0001-01-01", "9999-12-31"]
    assert far.values[2, 0] % 86400 == 0


def test_json_keeps_the_encoder_exactly():
    table = read(PENGUINS)
    encoder = Encoder.fit(table.schema, table.values)
    assert Encoder.from_json(encoder.to_json()) == encoder
    with pytest.raises(UserError, match=r"no encoder"):
        Encoder.from_json("{}")


def test_wrong_shapes_and_values_are_named():
    table = read(PENGUINS)
    encoder = Encoder.fit(table.schema, table.values)
    with pytest.raises(UserError, match=r"\(rows, 8\); got \(3, 2\)"):
        encoder.encode(np.zeros((3, 2)))
    x = encoder.encode(table.values)
    x[4, 2] = np.nan
    with pytest.raises(UserError, match=r"row 5, dimension 3 is nan"):
        encoder.decode(x)
    gone = table.values.copy()
    gone[9, 7] = np.nan
    with pytest.raises(UserError, match=r"'year', row 10"):
        encoder.encode(gone)
    table.values[9, 2] = 1e300
    with pytest.raises(UserError, match=r"'bill_length_mm', row 10.*too far"):
        encoder.encode(table.values)
    with pytest.raises(UserError, match=r"at least one"):
        Encoder.fit(table.schema, table.values[:0])

"""Densities, bars and differences against closed forms and scipy."""

import numpy as np
import pytest
from scipy import stats

from whichloss.data import read
from whichloss.data.schema import Column
from whichloss.report.shapes import difference, shape

NUMBER = Column("x", "number")


def rows(seed: int, n: int = 2000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def test_the_difference_on_a_line_is_kolmogorov_and_smirnovs():
    a, b = rows(0, 300), rows(1, 200) + 0.3
    assert difference(a, b, True) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_the_difference_of_categories_is_total_variation():
    a, b = np.array([0.0, 0, 1, 2]), np.array([0.0, 1, 1, 1])
    assert difference(a, b, False) == pytest.approx((abs(2 - 1) + abs(1 - 3) + 1) / 4 / 2)


@pytest.mark.parametrize("ordered", [True, False])
def test_differences_lie_between_same_and_disjoint_and_missing_is_a_value(ordered):
    a = np.array([1.0, 2, 3, np.nan])
    assert difference(a, a, ordered) == 0
    assert difference(a[:3], a[:3] + 10, ordered) == pytest.approx(1)
    assert difference(a, np.array([1.0, 2, 3, 3]), ordered) == pytest.approx(0.25)
    assert difference(a, a[::-1], ordered) == difference(a[::-1], a, ordered)


def test_a_density_has_the_area_of_the_rows_inside_its_axes():
    real, sample = rows(0), rows(1) * 3
    made = shape(NUMBER, [real, sample, None])
    step = made.at[1] - made.at[0]
    assert made.heights[0].sum() * step == pytest.approx(1, abs=0.02)
    assert made.heights[1].sum() * step == pytest.approx(1 - made.outside[1], abs=0.02)
    assert made.outside[1] == pytest.approx(((sample < made.at[0]) | (sample > made.at[-1])).mean())
    assert made.heights[2] is None and made.apart[1] is None


def test_a_density_is_near_the_normal_one():
    made = shape(NUMBER, [rows(0, 20_000)])
    assert made.heights[0] == pytest.approx(stats.norm.pdf(made.at), abs=0.03)


def test_two_humps_stay_two():
    x = np.r_[rows(0) * 0.3 - 2, rows(1) * 0.3 + 2]
    made = shape(NUMBER, [x])
    middle = made.heights[0][np.abs(made.at).argmin()]
    assert middle < 0.05 * made.heights[0].max()


def test_missing_values_are_left_out_of_a_density_and_counted():
    x = rows(0)
    x[:500] = np.nan
    made = shape(NUMBER, [x])
    assert made.missing == (0.25,)
    assert made.heights[0].sum() * (made.at[1] - made.at[0]) == pytest.approx(1, abs=0.02)


def test_shares_of_levels_add_up_with_others_and_missing():
    table = read({"c": np.array([f"v{i % 100}" for i in range(1000)] + [None] * 10, object)})
    made = shape(table.schema.columns[0], [table.values[:, 0], table.values[:50, 0]])
    assert len(made.labels) == 14 and made.labels[-1] == "(missing)" and made.labels[-2] == "88 others"
    for heights in made.heights:
        assert heights.sum() == pytest.approx(1)


def test_a_value_that_no_real_row_has_is_among_the_others():
    column = Column("n", "integer")
    made = shape(column, [np.array([1.0, 1, 2]), np.array([1.0, 7, 7])])
    assert made.labels == ("1", "2", "others")
    assert made.heights[1] == pytest.approx([1 / 3, 0, 2 / 3])


def test_a_category_that_no_real_row_drawn_has_keeps_its_name():
    column = Column("c", "category", categories=("a", "b"))
    made = shape(column, [np.array([0.0, 0.0]), np.array([1.0, 0.0])])
    assert made.labels == ("a", "b")


def test_a_column_without_known_values_and_one_with_a_single_value_can_be_drawn():
    gone = np.full(5, np.nan)
    assert shape(Column("x", "number", missing=True), [gone, gone]).heights[0].sum() == pytest.approx(1)
    made = shape(NUMBER, [np.full(5, 3.0), np.full(5, 9.0)])
    assert np.isfinite(made.heights[0]).all() and made.outside[1] == 1

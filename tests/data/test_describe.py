"""What is said about a table before anything is trained."""

from pathlib import Path

import numpy as np
import pytest

from whichloss.data import describe, read

PENGUINS = Path(__file__).parents[2] / "examples" / "data" / "penguins.csv"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))


def source(**more) -> dict:
    return {f"x{j}": X[:, j] for j in range(4)} | more


def concerns(**more) -> dict[tuple[str, ...], str]:
    found = describe(read(source(**more))).concerns
    return {concern.columns: concern.what + " " + concern.advice for concern in found}


def test_penguins_are_healthy_and_read_aloud():
    description = describe(read(PENGUINS))
    assert description.rows == 344 and description.dim == 18 and description.concerns == ()
    assert description.duplicates == description.near_duplicates == 0
    text = "\n".join(description.lines())
    assert "sex: category, 2 values (male 50 %, female 50 %); 3.2 % missing." in text
    assert "body_mass_g: integer, 2700 to 6300, median 4050" in text


def test_normal_data_raise_no_concern():
    description = describe(read(X))
    assert not description.concerns and not description.near_duplicates


def test_exact_duplicates_are_counted():
    description = describe(read(np.concatenate([X, X[:7]])))
    assert description.duplicates == 7 and description.near_duplicates == 0
    assert any("Exact duplicates: 7 rows (3.4 %)" in line for line in description.lines())


def test_near_duplicates_are_counted_and_duplicates_with_missing_values_are_not():
    near = np.concatenate([X, X[:5] + 1e-6])
    description = describe(read(near))
    assert description.near_duplicates == 10 and description.duplicates == 0
    assert any("--group" in line for line in description.lines())
    holes = np.concatenate([X, X[:5]])
    holes[[0, 200], 1] = np.nan
    assert describe(read(holes)).near_duplicates == 0


def test_large_tables_are_looked_at_in_part_and_small_dimensions_not_at_all():
    description = describe(read(RNG.normal(size=(12_001, 3))))
    assert description.compared == 4001 and "looked at 4,001" in "\n".join(description.lines())
    assert "below three encoded dimensions" in "\n".join(describe(read("toy:ring8")).lines())


@pytest.mark.parametrize("start, step", [(1, 1), (0, 1), (500, -2)])
def test_row_numbers(start, step):
    text = concerns(row=start + step * np.arange(200))[("row",)]
    assert "counts the rows" in text and "--drop 'row'" in text


def test_identifiers():
    ids = RNG.permutation(10_000)[:200]
    assert "differs in every row" in concerns(id=ids)[("id",)]


@pytest.mark.parametrize("change", [lambda x: x, np.exp, lambda x: -3 * x + 1, lambda x: -(x**3)], ids="=e-3")
def test_copies_and_monotone_changes_of_a_number(change):
    assert ("x1", "y") in concerns(y=change(X[:, 1]))


def test_copies_of_a_category_under_other_names():
    letters = RNG.choice(list("abc"), 200)
    other = np.array([{"a": "z", "b": "y", "c": "x"}[v] for v in letters])
    assert ("c", "d") in concerns(c=letters, d=other)
    assert ("b", "n") in concerns(b=letters == "a", n=5 - 2 * (letters == "a"))
    assert not concerns(c=letters, d=RNG.permutation(other))


def test_categories_that_differ_in_spelling_only():
    text = concerns(c=["Male", "male ", "female", "Female"] * 50)[("c",)]
    assert "'Male' and 'male '" in text and "one spelling" in text


def test_constant_and_nearly_constant_columns():
    rare = np.zeros(200)
    rare[3] = 1
    table = read(source(k=np.full(200, 2.5), r=rare))
    description = describe(table)
    assert description.constants == ("k",) and [c.columns for c in description.concerns] == [("r",)]
    text = "\n".join(description.lines())
    assert "nearly constant (100 %" in text or "nearly constant (99" in text
    assert "constant (2.5)" in text and "Note: Column 'k' is constant" in text

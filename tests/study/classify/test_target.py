"""What counts as labels, what they are called, and what is said of columns that are none."""

from datetime import date, timedelta

import numpy as np
import pytest

from whichloss.data import read, split
from whichloss.errors import DataUnfit, UserError
from whichloss.study.classify.target import Target

X = np.arange(60) / 7


def of(*columns, names=("label", "second", "third")):
    given = dict(zip(names, columns, strict=False))
    return Target.of(read({"x": X} | given), tuple(given))


@pytest.mark.parametrize(
    ("column", "kind", "names"),
    [
        (np.array(["cat", "dog"])[np.arange(60) % 2], "one", ("cat", "dog")),
        (np.array(["c", "a", "b"])[np.arange(60) % 3], "one", ("a", "b", "c")),
        (np.arange(60) % 2 == 0, "one", ("false", "true")),
        (np.arange(60) % 2, "one", ("0", "1")),
        (np.arange(60) % 2 + 1.0, "one", ("1", "2")),
        (2.0 * (np.arange(60) % 2) - 1, "one", ("-1", "1")),
        (np.arange(60) % 2 / 2, "one", ("0.0", "0.5")),
        (np.arange(60) % 3, "ordered", ("0", "1", "2")),
        (np.arange(60) % 4 + 1.0, "ordered", ("1", "2", "3", "4")),
    ],
)
def test_labels_of_every_kind_are_named_as_the_user_wrote_them(column, kind, names):
    target = of(column)
    assert (target.kind, target.names) == (kind, names)
    assert target.columns.shape == (60, 1) and np.array_equal(target.strata, target.codes)
    ranks = np.unique(column, return_inverse=True)[1]
    assert np.array_equal(target.codes, ranks)
    assert len(target.values) == len(names)


def test_the_words_of_a_boolean_column_are_kept(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("x,label\n" + "".join(f"{i},{'no' if i % 3 else 'yes'}\n" for i in range(60)))
    assert Target.of(read(path), ("label",)).names == ("no", "yes")


def test_several_columns_of_zero_and_one_are_several_labels():
    a, b = np.arange(60) % 3 == 0, (np.arange(60) % 4 == 0).astype(int)
    target = of(a, b)
    assert (target.kind, target.names) == ("several", ("label", "second"))
    assert np.array_equal(target.codes, np.stack([a, b], axis=1))


def test_splits_keep_the_rarest_of_several_labels_to_one_row():
    rng = np.random.default_rng(0)
    codes = (rng.random((600, 3)) < [0.5, 0.03, 0.3]).astype(int)
    table = read({"x": np.arange(600) / 7} | {name: codes[:, j] for j, name in enumerate("abc")})
    target = Target.of(table, ("a", "b", "c"))
    for seed in range(5):
        parts = split(table, seed=seed, strata=target.strata)
        assert abs(target.codes[parts.test, 1].sum() - codes[:, 1].sum() / 5) <= 1
        left = target.codes[:, 1].sum() - target.codes[parts.test, 1].sum()
        assert abs(target.codes[parts.validation, 1].sum() - left / 5) <= 1


@pytest.mark.parametrize(
    ("columns", "error", "says"),
    [
        ([np.where(X[4] == X, np.nan, np.arange(60) % 2)], UserError, r"1 of 60 rows.*row 5\).*Leave these rows"),
        ([X**2], DataUnfit, "column of fractions with 60 distinct values.*regression is no goal.*as words"),
        ([np.arange(60)], DataUnfit, "column of whole numbers with 60 distinct.*regression"),
        ([[date(2024, 1, 1) + timedelta(days=int(i)) for i in range(60)]], DataUnfit, "column of dates with 60"),
        ([np.full(60, "cat")], DataUnfit, "always 'cat': nothing to predict"),
        ([np.ones(60)], DataUnfit, "always '1': nothing to predict"),
        ([np.where(np.arange(60) < 4, "few", "many")], DataUnfit, "the class 'few' has 4 rows; at least 10.*Join rare"),
        ([np.where(np.arange(60) < 1, "one", "many")], DataUnfit, "the class 'one' has 1 row; at least 10"),
        ([np.arange(60) % 2, np.arange(60) % 3], UserError, "'second': with several.*must be 0 or 1.*found 0, 1, 2"),
        ([np.arange(60) % 2, np.array(["u", "v"])[np.arange(60) % 2]], UserError, "'second'.*found u, v"),
        ([np.arange(60) % 2, np.zeros(60)], DataUnfit, "'second' is always 0"),
        ([np.arange(60) % 2, np.arange(60) < 3], DataUnfit, "'second': the value 1 has 3 rows.*Leave this label out"),
        ([np.arange(60) % 2, np.arange(60) > 3], DataUnfit, "'second': the value 0 has 4 rows"),
        ([np.arange(60) % 2, np.where(X > 8, np.nan, np.arange(60) % 2)], UserError, "'second'.*have no label"),
    ],
)  # fmt: skip
def test_what_are_no_labels_is_refused_with_a_way_out(columns, error, says):
    with pytest.raises(error, match=says):
        of(*columns)


def test_a_word_read_as_missing_is_shown_where_it_may_be_a_label(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("x,label\n" + "".join(f"{i},{'ok' if i % 3 else 'NA'}\n" for i in range(60)))
    with pytest.raises(UserError, match="row 1; 'NA' is read as missing.*if 'NA' is a label, write it another way"):
        Target.of(read(path), ("label",))


def test_a_rare_spelling_of_another_class_is_pointed_out():
    words = np.where(np.arange(60) < 3, "yes ", np.where(np.arange(60) % 2, "Yes", "no"))
    with pytest.raises(DataUnfit, match="the class 'yes ' has 3 rows.*differs from 'Yes' in upper and lower case or"):
        of(words)


def test_one_hundred_words_are_classes_and_more_are_no_column():
    words = np.array([f"w{i}" for i in range(101)])
    assert (
        len(Target.of(read({"x": np.arange(1000) / 7, "label": words[np.arange(1000) % 100]}), ("label",)).names) == 100
    )
    with pytest.raises(DataUnfit, match="101 distinct texts"):
        read({"x": np.arange(1010) / 7, "label": words[np.arange(1010) % 101]})

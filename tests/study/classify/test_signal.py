"""The preflight on labels: refusals at the stated rate, leaks that are named, wrong labels that are found."""

import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from scipy import stats
from sklearn import datasets
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import balanced_accuracy_score

from whichloss.data import read
from whichloss.study.classify import signal
from whichloss.study.classify.judge import LabelJudge
from whichloss.study.classify.signal import Absence, Leak, Signal


def judge(columns, target=("label",), **options) -> LabelJudge:
    return LabelJudge(read(columns, **options), target=target)


def named(x, y):
    return {f"x{j}": column for j, column in enumerate(np.asarray(x, float).T)} | {"label": y}


def random(n: int, seed: int = 0, d: int = 4):
    rng = np.random.default_rng(seed)
    return named(rng.normal(size=(n, d)), rng.permutation(np.arange(n) % 2))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flipped(y, share: float, rng: np.random.Generator):
    wrong = rng.random(len(y)) < share
    return np.where(wrong, (y + rng.integers(1, y.max() + 1, len(y))) % (y.max() + 1), y), wrong


# the probe and its test


def test_the_probe_is_kernel_ridge_regression_fitted_without_the_fold():
    rng = generator()
    x, y, fold = rng.normal(size=(60, 3)), rng.normal(size=(60, 2)), np.arange(60) % 4
    squares = ((x[:, None] - x) ** 2).sum(2)
    middle = np.median(squares[~np.eye(60, dtype=bool)])
    kernels = [np.exp(-squares / (2 * w**2 * middle)) for w in signal.WIDTHS] + [x @ x.T / (x**2).sum() * 60]
    k = np.mean(kernels, axis=0)
    said = signal.probe(x, fold) @ y
    for f in range(4):
        out, rest = np.flatnonzero(fold == f), np.flatnonzero(fold != f)
        peer = KernelRidge(alpha=signal.RIDGE, kernel="precomputed").fit(k[np.ix_(rest, rest)], y[rest])
        assert np.allclose(said[out], peer.predict(k[np.ix_(out, rest)]))


TABLES: dict[str, Callable[[np.random.Generator], tuple]] = {
    "moons": lambda rng: datasets.make_moons(300, noise=0.3, random_state=int(rng.integers(9**9))),
    "sixty": lambda rng: ((x := np.arange(60) % 2)[:, None] * [1.5, 1.5, 0] + rng.normal(size=(60, 3)), x),
    "rare": lambda rng: ((x := np.arange(2000) < 20)[:, None] * [2.0, 0] + rng.normal(size=(2000, 2)), x),
    "iris": lambda rng: datasets.load_iris(return_X_y=True),
}


@pytest.mark.parametrize("name", TABLES)
def test_true_labels_pass_and_shuffled_ones_do_not(name):
    rng = generator(1)
    x, y = TABLES[name](rng)
    passed = signal.measure(judge(named(x, y)))
    assert passed.p < signal.LEVEL and not passed.refusal(judge(named(x, y)))
    refused = signal.measure(judge(named(x, rng.permutation(y))))
    assert refused.p >= signal.LEVEL and not refused.leaks
    assert refused.chance_low <= refused.accuracy <= refused.chance_high or refused.p < 0.06
    assert passed.accuracy > refused.chance_high + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_shuffled_labels_give_p_values_as_even_as_they_should_be_and_true_labels_pass(name):
    found, missed = [], 0
    for seed in range(40):
        rng = generator(seed)
        x, y = TABLES[name](rng)
        found.append(signal.measure(judge(named(x, rng.permutation(y)))).p)
        missed += signal.measure(judge(named(x, y))).p >= signal.LEVEL
    assert stats.kstest(found, "uniform").pvalue > 0.001 and missed <= 1
    assert sum(p < signal.LEVEL for p in found) <= 3


def test_far_values_and_missing_values_do_not_hide_a_signal():
    rng = generator()
    y, kind = rng.permutation(np.arange(400) % 2), rng.integers(0, 3, 400)
    amount = np.where(rng.random(400) < 0.2, np.nan, np.exp(8 * rng.normal(size=400) + 12 * y))
    found = signal.measure(judge({"amount": amount, "kind": np.array(list("abc"))[kind], "label": y}))
    assert found.p < signal.LEVEL and found.accuracy > 0.7


def test_ordered_several_and_grouped_labels_are_tested_too():
    rng = generator()
    x = rng.normal(size=(400, 3))
    grades = np.digitize(x[:, 0] + 0.3 * rng.normal(size=400), [-1, 0, 1])
    assert signal.measure(judge(named(x, grades))).p < signal.LEVEL
    two = named(x, x[:, 0] > 0.3) | {"other": rng.permutation(x[:, 1] > 0)}
    found = signal.measure(judge(two, ("label", "other")))
    assert found.p < signal.LEVEL
    assert found.counts == {"label": int((x[:, 0] > 0.3).sum()), "other": int((x[:, 1] > 0).sum())}
    two["label"] = rng.permutation(two["label"])
    assert signal.measure(judge(two, ("label", "other"))).p >= signal.LEVEL


def test_rows_of_a_group_that_share_a_random_label_are_no_signal():
    for seed in range(3):
        rng = generator(seed)
        owner = np.repeat(np.arange(150), 8)
        centre = 3 * rng.normal(size=(150, 3))
        columns = named(centre[owner] + 0.1 * rng.normal(size=(1200, 3)), rng.permutation(np.arange(150) % 2)[owner])
        assert signal.measure(judge(columns | {"owner": owner}, group="owner")).p >= signal.LEVEL
        assert signal.measure(judge(columns)).p < signal.LEVEL


def test_folds_keep_groups_whole_and_use_all_rows():
    owner = np.arange(300) % 30
    grouped = judge(random(300) | {"owner": owner}, group="owner")
    fold = signal.folds(grouped, np.arange(300), generator())
    assert all(len(set(fold[owner == g])) == 1 for g in range(30)) and set(fold) == set(range(signal.FOLDS))
    assert np.array_equal(signal.exchangeable(grouped, generator()), grouped.rest)  # 30 groups: too few for one each


def test_balanced_takes_rare_classes_whole_and_the_others_evenly():
    strata = np.repeat([0, 1, 2], [1000, 30, 500])
    taken = signal.balanced(strata, 300, generator())
    assert np.bincount(strata[taken]).tolist() == [135, 30, 135]
    assert len(np.unique(taken)) == 300 and (np.diff(taken) > 0).all()
    assert np.array_equal(signal.balanced(strata, 5000, generator()), np.arange(1530))


# leaks


def test_a_column_in_whose_order_the_labels_lie_apart_gives_them_away_and_noise_does_not():
    y = np.arange(900) % 3
    rng = generator()
    values = np.stack([y + 0.9 * rng.random(900), rng.normal(size=900), np.where(y == 0, np.nan, y)], axis=1)
    found = signal.alone(values, y, 3)
    assert min(found[0], found[2]) > 0.99 and found[1] == pytest.approx(1 / 3, abs=0.08)
    noisy = np.where(rng.random(900) < 0.1, (y + 1) % 3, y)
    assert signal.alone(values[:, :1], noisy, 3)[0] == pytest.approx(0.9, abs=0.03)


def test_neighbours_vote_without_the_row_itself_as_written_out_by_hand():
    rng = generator()
    v, y = rng.normal(size=80), (rng.random(80) < 0.3).astype(int)
    order = np.argsort(v)
    said = np.empty(80, int)
    for i in range(80):
        near = [j for j in range(max(0, i - signal.NEAR), min(80, i + signal.NEAR + 1)) if j != i]
        votes = np.bincount(y[order[near]], minlength=2) / np.bincount(y)
        said[order[i]] = votes.argmax()
    assert signal.alone(v[:, None], y, 2)[0] == pytest.approx(balanced_accuracy_score(y, said))


def test_levels_vote_without_the_row_itself():
    level, y = np.array([0, 0, 0, 1, 1, 1, np.nan, np.nan]), np.array([0, 0, 1, 1, 1, 1, 0, 0])
    others = [0, 0, 0, 1, 1, 1, 0, 0]  # the first two see one of each, and 1 / 4 is no more than 1 / 4
    assert signal.by_level(level, y, 2) == pytest.approx(balanced_accuracy_score(y, others))
    assert signal.by_level(np.arange(40.0), np.arange(40) % 2, 2) == 0.5  # names of rows tell nothing
    rng = generator()
    drawn = signal.by_level(rng.integers(0, 4, 2000).astype(float), rng.integers(0, 2, 2000), 2)
    assert drawn == pytest.approx(0.5, abs=0.05)


def test_leaks_are_named_alone_by_level_by_difference_and_by_clock():
    rng = generator()
    n = 1500
    late = rng.normal(20, 40, n).round()
    planned = rng.integers(0, 1440, n)
    real = (planned + late) % 1440
    columns = {
        "planned": planned // 60 * 100 + planned % 60,
        "real": real // 60 * 100 + real % 60,
        "start": (start := 100 * rng.normal(size=n)),
        "end": start + late,
        "delay": late,
        "word": np.where(late > 30, np.array(list("ab"))[np.arange(n) % 2], "c"),
        "other": rng.normal(size=n),
        "label": late > 30,
    }
    found = list(signal.leaks(judge(columns), generator()))
    assert {leak.columns for leak in found} == {("delay",), ("word",), ("planned", "real"), ("start", "end")}
    assert all(leak.balanced_accuracy >= signal.GIVES_AWAY and leak.label == "" for leak in found)
    del columns["delay"], columns["word"], columns["end"], columns["real"]
    assert not list(signal.leaks(judge(columns), generator()))


def test_each_of_several_labels_is_searched_for_leaks():
    columns = random(400)
    columns["code"] = np.where(columns["label"], 7.0, 1.5) + 0.1 * columns["x0"]
    columns["second"] = columns["x1"] + columns["x2"] > 0.5
    found = list(signal.leaks(judge(columns, ("label", "second")), generator()))
    assert [(leak.columns, leak.label) for leak in found] == [(("code",), "label")]


def test_real_tables_have_no_leaks():
    for load in (datasets.load_wine, datasets.load_breast_cancer):
        found = signal.measure(judge(named(*load(return_X_y=True))))
        assert found.leaks == () and found.absences == () and found.noise < 0.02


def test_differences_of_clock_times_go_the_short_way_around():
    times = np.array([[2350.0, 10], [10, 2350], [1210, 1150], [959, 1000]])
    assert not signal.is_clock(times[:, 0])  # too few to tell
    many = np.array([100 * h + m for h in range(24) for m in (0, 15, 59)], float)
    values = np.stack([np.roll(many, 1), many, 2.0 * many], axis=1)
    assert [signal.is_clock(v) for v in values.T] == [True, True, False]
    assert not signal.is_clock(many + 0.5) and not signal.is_clock(many - 1)
    gap = signal.gaps(values, np.array([0, 2]), np.array([1, 1]))
    assert gap[0, 0] == -1 and set(gap[:, 0]) == {-1, -15, -44} and np.array_equal(gap[:, 1], values[:, 2] - many)


def test_missing_values_that_tell_the_label_are_named_and_chance_is_not():
    rng = generator()
    y = rng.random(2000) < 0.15
    gone = rng.random(2000) < 0.1
    values = rng.normal(size=(2000, 3))
    values[gone & ~y, 0] = np.nan  # only known of those with the label
    values[gone, 1] = np.nan
    values[np.flatnonzero(~y)[:12], 2] = np.nan  # 12 rows alike: chance
    (found,) = signal.absences(judge(named(values, y)))
    assert (found.column, found.label) == ("x0", "'false'")
    columns = {"x0": values[:, 0], "x1": values[:, 1], "label": y, "second": rng.random(2000) < 0.5}
    (found,) = signal.absences(judge(columns, ("label", "second")))
    assert (found.column, found.label) == ("x0", "label = 0")


def test_duplicates_are_counted_as_by_hand():
    rng = generator()
    values = rng.integers(0, 4, (400, 3)).astype(float)
    values[rng.random((400, 3)) < 0.1] = np.nan
    values[values == 0] = rng.choice([0.0, -0.0], (values == 0).sum())
    y = rng.integers(0, 2, 400)
    asked = judge(named(values + 0.0, y) | {"x0": values[:, 0] / 2})
    parts = asked.split(1)
    plain = [tuple(np.nan_to_num(row, nan=9)) for row in asked.inputs]
    outside = {}
    for i in asked.rest:
        outside.setdefault(plain[i], set()).add(y[i])
    known = [i for i in parts.test if plain[i] in outside]
    other = [i for i in known if y[i] not in outside[plain[i]]]
    assert signal.duplicates(asked) == (len(known), len(other)) and 0 < len(other) < len(known)
    assert (
        len(set(signal.hashed(np.array([[0.0], [-0.0]]))))
        == len(set(signal.hashed(np.array([[np.nan], [-np.nan]]))))
        == 1
    )


# wrong labels


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
def test_flipped_labels_are_estimated_and_the_most_suspect_rows_are_among_them(share):
    x, y = datasets.load_digits(return_X_y=True)
    y, wrong = flipped(y, share, generator(3))
    found = signal.measure(judge(named(x, y)))
    assert found.noise == pytest.approx(wrong.mean(), abs=0.06 if share else 0.005)
    if share:
        assert len(found.suspects) == signal.SUSPECTS
        assert all(wrong[s.row - 1] and s.label == str(y[s.row - 1]) != s.likely for s in found.suspects)
        assert [s.probability for s in found.suspects] <= [0.1] * signal.SUSPECTS


def test_wrong_entries_of_several_labels_are_found():
    rng = generator()
    x = rng.normal(size=(1000, 4))
    truth = (x[:, :2] > 0).astype(int)
    wrong = rng.random((1000, 2)) < 0.2
    given = np.where(wrong, 1 - truth, truth)
    found = signal.measure(judge(named(x, given[:, 0]) | {"second": given[:, 1]}, ("label", "second")))
    assert found.noise == pytest.approx(wrong.mean(), abs=0.06)
    for suspect in found.suspects:
        place = ("label", "second").index(suspect.label.split(" = ")[0])
        assert wrong[suspect.row - 1, place] and suspect.label.endswith(str(given[suspect.row - 1, place]))


# what is said


def changed(**changes) -> Signal:
    return msgspec.structs.replace(signal.measure(judge(random(200))), **changes)


def test_a_refusal_gives_its_numbers_and_the_way_out():
    said = changed(p=0.3, accuracy=0.51, chance_low=0.4, chance_high=0.6).refusal(judge(random(200)))
    assert all(part in said for part in ("no signal", "51.0%", "40.0% to 60.0%", "p = 0.3", "160 rows", "--anyway"))


def test_cautions_and_reasons_are_sentences():
    told = changed(
        p=0.002,
        leaks=(Leak(("end", "start"), 0.999), Leak(("code",), 1.0, "spam")),
        absences=(Absence("a", "'no'", 90), Absence("b", "'no'", 80)),
        duplicates=1234,
        contradicting=5,
        noise=0.21,
        counts={"no": 990, "yes": 10},
    )
    assert told.cautions() == (
        "end minus start alone gives the label away (99.9%): is it known in advance?",
        "code alone gives the label spam away (100.0%): is it known in advance?",
        "Where a or b has no value, the label is always 'no': is it known in advance?",
        "1,234 test rows stand among the training or validation rows too (5 with another label): "
        "scores on them are too good, or cannot be good.",
    )
    assert told.why() == (
        "21% of the labels contradict a cheap probe where it is surest: about as many are wrong, unless these columns "
        "do not tell the classes apart.",
        "The classes are uneven: the most frequent has 99 times the rows of 'yes'.",
    )
    quiet = changed(p=0.5, noise=0.56, counts={"a": 10, "b": 11})
    assert quiet.why() == () and "trained because asked to" in quiet.cautions()[0]


def test_of_several_labels_the_two_values_of_each_are_compared():
    told = changed(p=0.002, noise=0.0, several=True, all_rows=1000, counts={"a": 520, "b": 40})
    assert told.imbalance == 24 and told.why() == ("Labels are uneven: 'b' stands on 4.0% of the rows.",)
    assert msgspec.structs.replace(told, counts={"a": 520, "b": 220}).why() == ()


def test_guesses_seldom_exceed_what_is_said():
    rng, told = np.random.default_rng(0), changed(p=0.5, rows=100, all_rows=500, counts={"a": 400, "b": 75, "c": 25})
    y = np.repeat([0, 1, 2], [80, 15, 5])
    drawn = [np.mean([(rng.integers(0, 3, 100) == y)[y == c].mean() for c in range(3)]) for _ in range(4000)]
    assert 0.95 < np.mean(np.array(drawn) <= told.guessed) < 0.99
    assert changed(p=0.002).guessed is None


def test_it_is_kept_as_it_is_and_the_same_twice():
    plain = changed()
    assert msgspec.convert(msgspec.to_builtins(plain), Signal) == plain
    assert plain == changed() and plain.facts()["imbalance"] == 1


def test_rope_is_the_standard_error_of_logistic_regression_on_the_test_rows():
    asked = judge(named(*datasets.load_breast_cancer(return_X_y=True)))
    (anchor,) = (a for a in asked.anchors(1, "test") if a.name == "logistic regression")
    assert signal.rope(asked, generator()) == pytest.approx(asked.score(anchor.answer, 1, "test").se)


@pytest.mark.slow
def test_three_hundred_thousand_rows_take_no_longer_than_five_seconds():
    asked = judge(random(300_000, d=15))
    start = time.process_time()
    assert asked.preflight().p >= signal.LEVEL
    assert time.process_time() - start < 5

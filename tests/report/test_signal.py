"""What was measured before training, as the report says it."""

import altair as alt
import pytest
from made_up_labels import PREFLIGHT, make, tagged

from whichloss.report import sheet
from whichloss.report.signal import MOST, counts, facts, signal
from whichloss.report.words import percent


@pytest.fixture
def study(tmp_path):
    return make(tmp_path)


def test_the_probe_stands_beside_its_chance_band(study):
    found = signal(study)
    assert found["seen"] and found["trained"] == "" and not any("signal" in said for said in sheet.banners(study))
    for text in ("91.0\u00a0%", "480 rows", "28.0\u00a0% to 39.0\u00a0%", "p = 0.0020"):
        assert text in found["says"]
    assert "cross-entropy 96\u00a0%" in found["chart"].says
    alt.Chart.from_dict(dict(found["chart"].spec))


@pytest.mark.parametrize(("right", "said"), [(0.385, "no more than chance allows"), (0.40, "more than chance allows")])
def test_training_in_spite_of_no_signal_is_held_against_chance(study, right, said):
    study.preflight = {**study.preflight, "p": 0.3}
    study.row(study.answer.recommended).metrics = {"balanced-accuracy": (right, 0.0)}
    assert sheet.banners(study)[0].startswith("No signal.")
    found = signal(study)
    assert not found["seen"] and f", {said}." in found["trained"]


def test_where_there_is_no_signal_no_label_is_called_wrong(study):
    assert signal(study)["suspects"] and "wrong labels" in {name for name, _, _ in signal(study)["facts"]}
    study.preflight = {**study.preflight, "p": 0.01}
    assert not signal(study)["suspects"] and "wrong labels" not in {name for name, _, _ in signal(study)["facts"]}


def test_several_labels_are_counted_in_labels_and_rows(tmp_path):
    study = make(tmp_path, tagged(), ("red", "round"))
    found = signal(study)
    assert "91.0\u00a0% of all labels of 480 rows" in found["says"] and "each value of a label" in found["says"]
    shares = {name: share for name, _, share, _ in found["counts"]}
    assert shares == {name: percent(count / 500) for name, count in study.preflight["counts"].items()}
    said = {name: (what, warn) for name, what, warn in facts(study.preflight)}
    assert said["imbalance"] == ("the most uneven label has one of its values 5 times as often as the other", False)


def test_warnings_are_for_what_is_worth_one():
    warned = {name for name, _, warn in facts(PREFLIGHT) if warn}
    assert warned == {"imbalance", "duplicates", "leaks", "missing values", "wrong labels"}
    clean = PREFLIGHT | {"imbalance": 1.4, "duplicates": 0, "leaks": [], "absences": [], "noise": 0.0}
    assert not any(warn for _, _, warn in facts(clean))
    said = {name: what for name, what, _ in facts(PREFLIGHT)}
    assert said["leaks"].startswith("arrived minus departed alone gives the label away (99.3\u00a0%)")
    assert said["missing values"] == "where arrived has no value it is always Gentoo"
    assert "1 of them with another label: keep one row of each" in said["duplicates"]


def test_a_leak_among_several_labels_names_its_label():
    leak = {"columns": ["late"], "balanced_accuracy": 0.99, "label": "red"}
    said = {name: what for name, what, _ in facts(PREFLIGHT | {"leaks": [leak], "absences": []})}
    assert said["leaks"].startswith("late alone gives the label red away") and "missing values" not in said


def test_of_many_classes_the_most_frequent_and_the_rarest_are_listed():
    made = counts({f"k{i}": 100 - i for i in range(50)}, 3775)
    assert [rows for _, rows, _, _ in made] == [*range(100, 88, -1), *range(62, 50, -1)] and len(made) == MOST
    assert made[0][3] == 1 and made[-1][3] == pytest.approx(0.51)
    assert counts({"a": 30, "b": 10}, 40)[1] == ("b", 10, "25\u00a0%", pytest.approx(1 / 3))


def test_a_study_without_a_preflight_has_no_signal(study):
    study.preflight = {"rope": 0.01}
    assert signal(study) == {}

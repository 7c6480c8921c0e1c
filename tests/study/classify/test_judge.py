"""What a classifier trains on and when its validation rows judge."""

from itertools import pairwise

import numpy as np

from whichloss.data import read
from whichloss.study.classify.judge import LabelJudge
from whichloss.study.plan import Run
from whichloss.study.work import make_lanes


def judge() -> LabelJudge:
    rng = np.random.default_rng(0)
    whole, label = rng.integers(0, 9, 200), rng.choice(["no", "yes"], 200)
    return LabelJudge(read({"whole": whole, "number": rng.normal(size=200), "label": label}), target=("label",))


def test_whole_numbers_are_learned_from_as_they_are():
    run = Run(data="", objective="cross-entropy", code="", setting={}, seed=1, flops=1e6, width=8)
    _, lanes = make_lanes(judge(), (run,), None)
    rows = lanes.rows(0)[0]
    assert (rows[:, None] == lanes.data[0]).all(-1).any(1).all()


def test_looks_are_two_in_every_doubling_of_the_steps():
    looks = judge().looks(1 << 14)
    assert looks[::2] == [2**k for k in range(14, 7, -1)]
    assert all(1.4 < a / b < 1.43 for a, b in pairwise(looks))
    assert judge().looks(4)[-1] == 1


def test_of_two_classes_the_rarer_is_the_one_searched_for():
    rng = np.random.default_rng(0)
    for rare, words in ((0, ["fraud", "ok"]), (1, ["ok", "sick"])):
        codes = np.where(rng.random(400) < 0.1, rare, 1 - rare)
        found = LabelJudge(read({"x": rng.normal(size=400), "y": np.array(words)[codes]}), target=("y",))
        assert found.labels.positive == rare
        assert any(f"'{words[rare]}', the rarer class" in said for said in found.method)
        assert any("keep the shares" in said for said in found.method)


def test_a_split_by_time_keeps_no_shares():
    rng = np.random.default_rng(0)
    table = read({"x": rng.normal(size=99), "y": rng.choice(["a", "b"], 99), "t": np.arange(99)}, time="t")
    assert not any("keep the shares" in said for said in LabelJudge(table, target=("y",)).method)

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

"""The copy test: exact level for any model that does not copy, power against one that does."""

import numpy as np
import torch
from scipy import stats

from whichloss.metrics import copy_test


def test_level_holds_for_narrow_right_and_wide_models(normal):
    for std in (0.3, 1.0, 2.0):
        p = [copy_test(normal(80, 4, std), normal(300, 4), normal(100, 4)).p for _ in range(300)]
        assert stats.kstest(p, "uniform").pvalue > 1e-3, std


def test_copies_are_found_even_with_noise(normal):
    train, test = normal(100, 4), normal(100, 4)
    for noise in (0.0, 1e-3):
        found = copy_test(train[:80] + noise * normal(80, 4), train, test)
        assert found.p < 1e-6
    assert copy_test(train[:80], train, test).share == 1.0
    assert copy_test(normal(80, 4), train, test).share == 0.0


def test_copies_of_test_rows_do_not_alarm(normal):
    train, test = normal(100, 4), normal(100, 4)
    assert copy_test(test[:80], train, test).p > 0.999


def test_tables_with_few_distinct_rows_do_not_alarm():
    generator = torch.Generator().manual_seed(1)
    draw = lambda n: torch.randint(0, 3, (n, 2), generator=generator).double()
    p = [copy_test(draw(80), draw(200), draw(80)).p for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) < 0.1
    same = torch.zeros(30, 2)
    assert copy_test(same, same, same).p == 0.5


def test_sizes_do_not_matter(normal):
    p = [copy_test(normal(50, 2), normal(900, 2), normal(40, 2)).p for _ in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3

"""The copy test: level for models that do not copy, narrow, right, wide or smooth; power against copies."""

import numpy as np
import pytest
import torch
from scipy import stats

from whichloss.errors import UserError
from whichloss.metrics import copy_test
from whichloss.metrics.copies import _more_often, _nearer, _Space


def more_often(samples, train, test):
    """z of the second test, from all distances at once."""
    apart = torch.cdist(samples, torch.cat([train, test]))
    hits = (apart <= apart.amin(1, keepdim=True) + 1e-9).double()
    return _more_often((hits / hits.sum(1, keepdim=True)).sum(0), len(train))


def level_holds(p):
    """No more small p than a uniform variable has."""
    return stats.kstest(p, "uniform", alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize("std", [0.3, 1.0, 2.0])
def test_level_holds_for_narrow_right_and_wide_models(normal, std):
    assert level_holds([copy_test(normal(80, 4, std), normal(300, 4), normal(100, 4)).p for _ in range(200)])


def test_each_of_the_two_tests_is_uniform_on_fresh_rows(normal):
    one, other = [], []
    for _ in range(300):
        samples, train, test = normal(80, 3), normal(200, 3), normal(90, 3)
        to_train, held_out = (torch.cdist(x, train).amin(1) for x in (samples, test))
        one.append(stats.norm.sf(_nearer(to_train, held_out, 0.0)))
        other.append(stats.norm.sf(more_often(samples, train, test)))
    assert stats.kstest(one, "uniform").pvalue > 1e-3
    assert stats.kstest(other, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("versions", [1, 3])
def test_tiles_find_the_nearest_rows_and_let_equal_ones_share(normal, monkeypatch, versions):
    for room in ("copies", "rows"):
        monkeypatch.setattr(f"whichloss.metrics.{room}.TILE", 16)
    train, test, samples = normal(50, 3).round(), normal(21, 3).round(), normal(37 * versions, 3).round() + 50
    train, test = train + 50, test + 50
    space, each = _Space.of(train), samples.view(37, versions, 3)
    torch.testing.assert_close(space.middle, train.double().mean(0))
    square = torch.cdist(samples.double(), torch.cat([train, test]).double()).square()
    square = square.round().view(37, versions, 71).amin(1)  # of whole numbers
    torch.testing.assert_close(space.nearest(each, train), square[:, :50].amin(1))
    hits = square == square.amin(1, keepdim=True)
    assert (hits.sum(1) > 1).any()
    found = space.counts(each, train, test, square.amin(1))
    torch.testing.assert_close(found, (hits / hits.sum(1, keepdim=True, dtype=torch.float64)).sum(0))


def test_mann_whitney_is_scipys(normal):
    x, y = normal(40, 1)[:, 0].abs().round(decimals=1), normal(60, 1)[:, 0].abs().round(decimals=1)
    truth = stats.mannwhitneyu(x, y, alternative="less", method="asymptotic", use_continuity=False).pvalue
    assert stats.norm.sf(_nearer(x, y, 0.0)) == pytest.approx(truth, rel=1e-9)


def test_a_smooth_model_centred_on_training_rows_does_not_alarm(normal):
    train, test = normal(400, 3), normal(400, 3)
    kernels = train[torch.randint(0, 400, (2000,), generator=torch.Generator().manual_seed(2))]
    found = copy_test(kernels + 0.6 * normal(2000, 3), train, test)
    assert found.p > 0.05 and found.share == 0.0


@pytest.mark.parametrize("noise", [0.0, 1e-3])
@pytest.mark.parametrize("copied", [1.0, 0.3])
def test_copies_are_found_even_with_noise_and_among_fresh_rows(normal, noise, copied):
    train, test = normal(400, 4), normal(100, 4)
    k = int(300 * copied)
    found = copy_test(torch.cat([train[:k] + noise * normal(k, 4), normal(300 - k, 4)]), train, test)
    assert found.p < (1e-6 if copied == 1 else 1e-2)
    assert found.share == (copied if noise == 0 else 0.0)


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


def test_ties_share_a_sample():
    generator = torch.Generator().manual_seed(1)
    draw = lambda n: torch.randint(0, 3, (n, 2), generator=generator).double()
    z = [more_often(draw(80), draw(200), draw(80)) for _ in range(200)]
    assert abs(np.mean(z)) < 4 / np.sqrt(200) and 0.8 < np.std(z) < 1.2


def test_a_row_that_is_in_both_sets_is_no_copy(normal):
    train, test = normal(40, 2), normal(40, 2)
    test[:10] = train[:10]
    assert copy_test(train[:20], train, test).share == 0.5


def test_sizes_do_not_matter(normal):
    assert level_holds([copy_test(normal(50, 2), normal(900, 2), normal(40, 2)).p for _ in range(200)])


def test_a_bad_set_is_named(normal):
    bad = normal(9, 2)
    bad[3, 1] = torch.inf
    with pytest.raises(UserError, match="test has 1 rows"):
        copy_test(normal(9, 2), normal(9, 2), bad)


def test_equal_versions_are_no_versions(normal):
    x, train, test = normal(60, 3), normal(80, 3), normal(70, 3)
    assert copy_test(x[:, None], train, test[:, None]) == copy_test(x, train, test)
    twice = copy_test(torch.stack([x, x], 1), train, torch.stack([test, test], 1))
    assert twice.z == pytest.approx(copy_test(x, train, test).z, rel=1e-9)


def versions(x):
    """Rows as they are, and mirrored at 0."""
    return torch.stack([x, -x], dim=1)


def test_copies_in_another_version_are_found_only_where_versions_are_given(normal):
    train, test = normal(300, 4) + 0.5, normal(200, 4) + 0.5
    mirrored = -train[:150]
    assert copy_test(mirrored, train, test).p > 0.5
    found = copy_test(versions(mirrored), train, versions(test))
    assert found.p < 1e-6 and found.share == 1.0


def test_level_holds_for_rows_in_versions(normal):
    draw = lambda n: normal(n, 3) + 0.5
    assert level_holds([copy_test(versions(draw(60)), draw(200), versions(draw(80))).p for _ in range(200)])


def test_versions_must_agree(normal):
    with pytest.raises(UserError, match="samples come in 2 versions and test in 1"):
        copy_test(versions(normal(9, 2)), normal(9, 2), normal(9, 2))

import pytest

from whichloss.study.collect import beside


@pytest.mark.parametrize(
    ("a", "b", "most", "said"),
    [
        (0.1233, 0.1, 2, "0.12 against 0.10"),
        (0.0004, 0.00043, 2, "0.00040 against 0.00043"),
        (0.6929, 0.6943, 2, "both 0.69"),
        (0.6929, 0.6943, 6, "0.693 against 0.694"),
        (2.1e-15, 0.063, 6, "0.0 against 0.063"),
    ],
)
def test_two_scores_have_as_many_figures_and_differ_where_they_are_told_apart(a, b, most, said) -> None:
    assert beside(a, b, most) == said

"""The sentences say what was measured, and no more than four things."""

from whichloss.report.why import sentences


def said(study, name: str) -> str:
    return " ".join(sentences(study, study.row(name)))


def test_two_to_four_sentences_for_every_objective(study):
    for row in study.rows:
        if row.role == "objective":
            assert 2 <= len(sentences(study, row)) <= 4, row.name


def test_failures_come_first_with_their_reason(study):
    assert said(study, "ebgan").startswith("1 of 4 runs failed (diverged: weights became infinite by step 210)")
    assert said(study, "pcd").startswith("All 4 of its runs failed: diverged")


def test_the_gap_to_the_baseline_is_the_skill(study):
    study.row("ddpm").skill = 0.42
    assert "closes 42\u00a0% of the gap" in said(study, "ddpm")
    study.row("ddpm").skill = -3.0
    assert "worse than the best simple baseline, Gaussian mixture" in said(study, "ddpm")
    study.row("ddpm").skill = None
    assert "no gap to close" in said(study, "ddpm")


def test_modes_replace_coverage_where_they_are_known(study):
    assert "come near" in said(study, "gan")
    study.row("gan").metrics = {"modes": (8.0, 0.0), "modes covered": (5.25, 0.4)}
    assert "It covers 5.2 of 8 modes." in said(study, "gan")


def test_copying_is_said(study):
    assert "copying" not in said(study, "ddpm")
    study.row("ddpm").metrics = {"copy test p": (0.001, 0.0), "copied share": (0.3, 0.0)}
    assert "30\u00a0% of them coincide with one: it may be copying" in said(study, "ddpm")


def test_a_row_that_knows_nothing_still_has_a_place(study):
    row = study.row("gan")
    row.metrics, row.tuning, row.quarters, row.last, row.loss_skill = {}, (), (), None, None
    assert said(study, "gan").startswith("It came 6 of 8")

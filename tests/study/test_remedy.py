"""Remedies are tried on seeds of their own, and a trial says proved, refuted or undecided by what it saw."""

import pytest

from whichloss.study.remedy import SEEDS, Trial, offered, put_to_proof
from whichloss.task import Finding


def trial(plain, changed, noise=0.01):
    return Trial("ebgan", "hinge always off", "margin", 0.1, 1.0, plain, changed, noise)


def finding(rule, objective="ebgan", level="fault", **evidence):
    return Finding(rule, objective, level, "", evidence, "", "", "")


def test_a_remedy_is_proved_by_every_seed_and_refuted_on_average():
    assert trial((0.3, 0.4, 0.5), (0.1, 0.1, 0.1)).verdict == "proved"
    assert trial((0.3, None, 0.5), (0.1, 0.1, 0.1)).verdict == "proved"
    assert trial((0.3, 0.4, 0.5), (0.31, 0.2, 0.1)).verdict == "undecided"
    assert trial((0.3, 0.4, 0.5), (0.299, 0.399, 0.499)).verdict == "undecided"  # within the noise
    assert trial((0.3, 0.4, 0.5), (0.5, 0.5, 0.5)).verdict == "refuted"
    assert trial((0.3, 0.4, 0.5), (0.1, None, 0.1)).verdict == "refuted"
    assert "margin from 0.1 to 1 is proved as a remedy" in trial((0.3, 0.4, 0.5), (0.1, 0.1, 0.1)).says


def test_only_faults_with_a_setting_of_the_objective_are_offered():
    found = [
        finding("hinge always off"),
        finding("hinge always off", "gan"),  # it has no margin
        finding("hinge always on", level="note"),
        finding("critic slope off", "wgan", **{"critic slope": 0.001}),
        finding("critic slope off", "wgan-gp", **{"critic slope": 30.0}),
        finding("mode collapse"),
    ]
    asked = [(f.objective, r.setting, r.factor) for f, r in offered(found)]
    assert asked == [("ebgan", "margin", 10.0), ("wgan", "clip", 10.0), ("wgan-gp", "penalty", 10.0)]
    steep = [finding("critic slope off", "wgan", **{"critic slope": 30.0})]
    assert [(r.setting, r.factor) for _, r in offered(steep)] == [("clip", 0.1)]


@pytest.mark.slow
def test_a_margin_out_of_reach_is_put_right(tmp_path):
    import whichloss

    code = tmp_path / "far.py"
    code.write_text(
        "from dataclasses import dataclass\n"
        "from whichloss.objectives.ebgan import EBGAN\n\n"
        "@dataclass(frozen=True)\n"
        "class Far(EBGAN):\n"
        '    """The margin far below any energy."""\n\n'
        "    margin: float = 1e-4\n"
        "    search = {}\n"
    )
    whichloss.compare("toy:ring8:1500", objectives=[str(code)], budget=3e9, out=tmp_path / "run", seeds=2, workers=2)
    found = [finding("hinge always off", str(code))]
    (done,) = put_to_proof(tmp_path / "run", found, 0.001, workers=2)
    assert done.before == 1e-4 and done.after == pytest.approx(1e-3) and len(done.plain) == len(SEEDS)
    again = put_to_proof(tmp_path / "run", found, 0.001, workers=2)
    assert again == [done]  # kept, not run again

"""The benchmark of planted faults: enough of them, each named by a rule that there is; runs are kept and counted."""

import itertools
import json
import re
from pathlib import Path

import pytest

from whichloss.doctor import loops
from whichloss.doctor.faults import FAMILIES, SEEDS, Planted, alarm, jobs, plant
from whichloss.errors import UserError
from whichloss.planting import bench
from whichloss.report.faults import lines, upper

NAMED = {
    name
    for path in Path(loops.__file__).parent.glob("*.py")
    for name in re.findall(r'^\s+"([a-z][\w:\' /-]+)",$', path.read_text(), re.MULTILINE)
}


def test_there_are_faults_enough_and_rules_that_name_them():
    faults = [(family.name, fault) for family in FAMILIES.values() for fault in family.faults]
    assert len(faults) >= 45 and len({(name, fault.name) for name, fault in faults}) == len(faults)
    assert not {rule for _, fault in faults for rule in fault.rules} - NAMED
    assert all(len(family.data) >= 3 for family in FAMILIES.values())
    healthy = sum(not job[1] or job[1] in FAMILIES[job[0]].controls for job in jobs(True, None))
    assert SEEDS >= 3 and healthy >= 2 * 313


# one of each family whose loops take a second at most; the command runs them all
QUICK = (
    ("classify", "softmax twice"), ("classify", "random labels"), ("gan", "maker cut"), ("wgan", "judge's sign"),
    ("wgan-gp", "penalty cut"), ("ebgan", "target detached"), ("energy", "no noise"), ("nce", "noise too wide"),
    ("denoise", "target in the input"), ("contrast", "pairs shuffled"), ("contrast", "no negatives"),
)  # fmt: skip


@pytest.mark.parametrize(("family", "fault"), QUICK)
def test_a_planted_fault_is_named_among_the_first_three(family, fault):
    family = FAMILIES[family]
    run = plant(family, fault, family.data[0], 32, 1)
    assert run.place is not None and run.place < 3, run
    steps = [step for step, _ in run.asked]
    assert steps == sorted(steps) and all(b >= 1.5 * a for a, b in itertools.pairwise(steps)) and len(steps) >= 3
    assert alarm(run, []) <= run.steps


@pytest.mark.parametrize("family", ["classify", "nce", "denoise", "contrast"])
def test_a_healthy_loop_and_what_only_looks_like_a_fault_are_accused_of_none(family):
    family = FAMILIES[family]
    for control in ("", *family.controls):
        run = plant(family, control, family.data[0], 32, 1)
        assert not run.found, run


def run(found=(), fault="softmax twice", width=96, seed=1, right=("contract: softmax twice",), asked=()):
    return Planted("classify", fault, "digits", width, seed, found, (), right, True, asked, 400, 0.02, 0.5)


def told(**rules):
    """What was said at some steps."""
    return tuple((int(step[1:]), tuple(said)) for step, said in rules.items())


def test_the_alarm_is_since_the_fault_is_named_whenever_asked_and_no_healthy_twin_is_told_the_same():
    right = ("contract: softmax twice",)
    named = run(right, asked=told(s5=["a"], s9=right, s20=[], s50=right, s99=["a", *right], s200=right))
    assert alarm(named, []) == 50
    twin = run((), "", right=(), asked=told(s5=right, s60=right, s150=["a"], s300=[]))
    assert alarm(named, [twin]) == 150
    assert alarm(named, [run((), "", right=(), asked=told(s5=["a"]))]) == 50
    at_the_end = run(right, asked=told(s5=right, s200=["a", "b", "c", *right]))
    assert alarm(at_the_end, []) == 400
    assert alarm(run(("a",), asked=told(s5=right)), []) is None


def test_the_table_counts_what_was_found_named_and_falsely_accused():
    right = run(("contract: softmax twice",))
    third = run(("a", "b", "contract: softmax twice"), seed=2)
    late = run(("a", "b", "c", "contract: softmax twice"), seed=3)
    healthy = [run((), "", seed=s, right=()) for s in range(9)] + [run(("a",), "", seed=9, right=())]
    said = [*lines([right, third, late, *healthy])]
    assert re.search(r"classify +softmax twice +3 +3 +1 +2", said[1])
    assert re.search(r"classify +10 +1 +39.4% +2.0%  a$", said[3])
    assert any("2 of 3 planted faults named in the top 3 (66.7%" in line for line in said)
    assert any(f"1 of 10 healthy runs accused of a fault (at most {upper(1, 10):.1%})" in line for line in said)
    assert upper(0, 149) < 0.02 < upper(0, 147) and upper(1, 236) < 0.02 < upper(1, 234) and upper(2, 313) < 0.0201


def test_runs_are_kept_and_not_run_again(tmp_path, monkeypatch):
    out = tmp_path / "runs.jsonl"
    asked = [*jobs(False, ["nce"])]
    kept = Planted(
        "nce", *asked[0][1:], ("noise too easy",), (), ("noise too easy",), False, ((5, ()),), 400, 0.02, 0.5
    )
    out.write_text(json.dumps(vars(kept)) + "\n")
    counts = []
    found = bench(families=["nce"], workers=1, out=out, told=lambda done, of: counts.append((done, of)))
    assert [one.job for one in found] == asked and found[0] == kept
    assert len(out.read_text().splitlines()) == len(asked) and counts[0] == (1, len(asked))
    monkeypatch.setattr("whichloss.planting.work", None)  # nothing is left to run
    assert bench(families=["nce"], workers=1, out=out) == found


def test_an_unknown_family_and_a_strange_file_are_told(tmp_path):
    with pytest.raises(UserError, match="no family of faults 'gann': did you mean 'gan'"):
        bench(families=["gann"])
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(UserError, match="line 1: no run of this benchmark"):
        bench(families=["nce"], out=tmp_path / "x.jsonl")

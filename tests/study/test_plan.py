"""The plan of every budget, run by run, and what --dry-run prints of it."""

import json
import re

import numpy as np
import pytest

from whichloss import cli
from whichloss.data import read
from whichloss.objectives import find
from whichloss.objectives.find import DEFAULTS
from whichloss.study.budget import budget
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.plan import Group, Run, settings
from whichloss.study.run import make_plan
from whichloss.task import Task

NAMES = DEFAULTS["generate"]
ROWS = Task("generate", 2, 300)
# name: operations per run, settings, screen, finalists, fresh seeds, extra rounds on fewer rows
TABLE = {
    "quick": (2e11, 3, 3, 2, 8, 0),
    "standard": (1e12, 8, 4, 3, 16, 0),
    "thorough": (1e13, 32, 4, 3, 24, 2),
    "3e11": (3e11, 3, 3, 2, 8, 0),
}


def tried(name, count):
    """Settings that can be tried: the default and the other combinations, at most `count`."""
    search = find(name).search
    combinations = int(np.prod([len(values) for values in search.values()])) if search else 1
    return min(count, combinations)


def expected(size):
    flops, count, screen, finalists, seeds, rounds = TABLE[size]
    tuned = sum(tried(n, count) for n in NAMES if tried(n, count) > 1)
    runs = {"tune": tuned, "screen": len(NAMES) * screen, "final": finalists * seeds, "twin": seeds}
    if rounds:
        runs["fewer rows"] = rounds * finalists * seeds
    return {stage: (n, n * flops / (2 if stage == "tune" else 1)) for stage, n in runs.items()}


def main(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["whichloss", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return end.value.code or 0, said.out, said.err


@pytest.mark.parametrize("size", TABLE)
def test_dry_run_prints_the_runs_and_compute_of_every_stage(size, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = main(monkeypatch, capsys, "compare", "toy:ring8:300", "--budget", size, "--dry-run")
    assert code == 0
    for stage, (runs, flops) in expected(size).items():
        line = re.search(rf"^ *{stage} +(\d+) runs +(\S+) operations", out, re.M)
        assert (int(line[1]), float(line[2])) == (runs, pytest.approx(flops, rel=0.05)), stage
    runs, flops = map(sum, zip(*expected(size).values(), strict=True))
    whole = re.search(r"in all +(\d+) runs +(\S+) operations, about (.+) on \d+ cores", out)
    assert (int(whole[1]), float(whole[2])) == (runs, pytest.approx(flops, rel=0.05))
    assert "Nothing was run" in out and all(name in out for name in NAMES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", TABLE)
def test_dry_run_as_json_is_exact(size, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = main(monkeypatch, capsys, "compare", "toy:ring8:300", "--budget", size, "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0 and list(tmp_path.iterdir()) == []
    assert {stage: (runs, flops) for stage, runs, flops in plan["stages"]} == expected(size)
    assert plan["budget"]["flops"] == TABLE[size][0]
    assert plan["objectives"] == list(NAMES)


@pytest.fixture(scope="module")
def plan():
    return make_plan(SampleJudge(read("toy:ring8:300")), budget("thorough"), ["gan", "wgan-gp", "flow-matching"], None)


def runs(groups):
    return [run for group in groups for run in group.runs]


def test_the_groups_are_the_runs_that_were_announced(plan):
    chosen = {name: plan.settings[name][0] for name in plan.objectives}
    last = plan.final(chosen, plan.objectives[:3])
    real = {"tune": runs(plan.tuning()), "screen": runs(plan.screen(chosen))}
    for stage in ("final", "twin", "fewer rows"):
        real[stage] = runs(g for g in last if g.stage == stage)
    said = {stage: (count, flops) for stage, count, flops in plan.stages()}
    assert {stage: (len(found), sum(run.flops for run in found)) for stage, found in real.items()} == said
    ids = [run.id for found in real.values() for run in found]
    assert len(set(ids)) == len(ids)


def test_no_seed_serves_two_stages_and_all_objectives_share_them(plan):
    chosen = {name: plan.settings[name][0] for name in plan.objectives}
    tune, screen = runs(plan.tuning()), runs(plan.screen(chosen))
    final = runs(plan.final(chosen, plan.objectives))
    seeds = [{run.seed for run in found} for found in (tune, screen, final)]
    assert [len(s) for s in seeds] == [1, 4, 24]
    assert len(set.union(*seeds)) == 29
    for name in plan.objectives:
        assert {run.seed for run in screen if run.objective == name} == seeds[1]
        assert {run.seed for run in final if run.objective == name and not run.salt} == seeds[2]
    assert {run.judge for run in tune + screen} == {"validation"}
    assert {run.judge for run in final} == {"test"}


def test_a_twin_differs_by_its_name_only(plan):
    chosen = {name: plan.settings[name][0] for name in plan.objectives}
    last = plan.final(chosen, plan.objectives)
    first = [r for g in last if g.stage == "final" for r in g.runs if r.objective == plan.objectives[0]]
    twin = [r for g in last if g.stage == "twin" for r in g.runs]
    import msgspec

    assert [msgspec.structs.replace(r, salt="") for r in twin] == first
    assert {r.id for r in twin}.isdisjoint(r.id for r in first)


def test_every_field_is_part_of_the_name():
    run = Run(data="d", objective="gan", code="c", setting={"lr": 1e-3}, seed=1, flops=1e9, width=64)
    import msgspec

    other = {
        "data": "e", "objective": "wgan", "code": "k", "setting": {"lr": 2e-3}, "seed": 2, "flops": 2e9,
        "width": 128, "share": 0.5, "judge": "test", "salt": "twin",
    }  # fmt: skip
    assert set(other) == set(run.__struct_fields__)
    ids = {run.id} | {msgspec.structs.replace(run, **{name: value}).id for name, value in other.items()}
    assert len(ids) == 1 + len(other)
    assert Group("screen", (run,)).id == Group("final", (run,)).id


def test_more_seeds_begin_with_the_same_runs():
    judge, name = SampleJudge(read("toy:ring8:300")), "flow-matching"
    few, many = (make_plan(judge, budget("quick", n), [name], None) for n in (3, 11))
    chosen = {name: few.settings[name][0]}
    assert runs(many.final(chosen, (name,)))[:3] == runs(few.final(chosen, (name,)))[:3]


@pytest.mark.parametrize("name", NAMES)
def test_settings_start_with_the_default_and_never_repeat(name):
    kind, found = find(name), settings(find(name), ROWS, 32)
    assert found[0] == {field: float(getattr(kind(), field)) for field in kind.search}
    assert len({tuple(sorted(s.items())) for s in found}) == len(found) == tried(name, 32)
    assert found[:3] == settings(kind, ROWS, 3)
    for s in found[1:]:
        assert all(value in map(float, kind.search[field]) for field, value in s.items())


def test_words_are_left_out_of_texts_only_and_pictures_alone_are_bent():
    pictures = Task("align", 192, 300, second=8, words=40, shape=(3, 8, 8))
    texts = Task("align", 12, 300, second=8, words=40)
    vectors = Task("align", 12, 300, second=8)
    tried = settings(find("clip"), pictures, 12)
    assert len(tried) == 12 and {s["augment"] for s in tried} == {0.0, 1.0}
    assert {s["word_dropout"] for s in settings(find("clip"), texts, 9)} == {0.0, 0.3}
    assert not any("augment" in s for s in settings(find("clip"), texts, 9))
    assert sorted(s["lr"] for s in settings(find("clip"), vectors, 9)) == [1e-3, 2e-3, 4e-3]

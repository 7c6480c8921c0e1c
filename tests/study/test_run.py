"""A whole small study: what is kept, what is run again, what failures count."""

import json
import math
import shutil

import msgspec
import numpy as np
import pytest
from small_study import MINE, Here

from whichloss.data import read
from whichloss.errors import DataUnfit, StudyError, UserError
from whichloss.study.budget import budget
from whichloss.study.generate.judge import SampleJudge
from whichloss.study.plan import Group
from whichloss.study.records import without_clock
from whichloss.study.run import Silent, best_or_first, default_folder, make_plan, tuning_score
from whichloss.study.store import Store


def files(folder):
    return {p.name: p.stat().st_mtime_ns for p in (folder / "runs").iterdir()}


def objective_runs(folder):
    return {name: at for name, at in files(folder).items() if name.startswith("mine")}


def study_bytes(folder):
    return msgspec.json.encode(without_clock(json.loads((folder / "study.json").read_bytes())))


@pytest.fixture(scope="module")
def few(small, tmp_path_factory):
    """A finished study of two fresh seeds, which no test changes."""
    folder = tmp_path_factory.mktemp("few") / "run"
    small(folder)
    return folder


@pytest.fixture
def copy(few, tmp_path):
    return shutil.copytree(few, tmp_path / "run")  # keeps the times of the files


def test_a_finished_study_runs_nothing_again(copy, small):
    before, engine = files(copy), Here()
    small(copy, engine=engine)
    assert engine.done == []
    assert files(copy) == before
    assert not (copy / "partial").exists()


def test_more_seeds_train_only_what_is_new(copy, small):
    before, engine = objective_runs(copy), Here()
    study = small(copy, seeds=5, engine=engine)
    after = objective_runs(copy)
    assert {name: after[name] for name in before} == before
    assert len(after) - len(before) == 2 * 3  # three more seeds, and as many of the twin
    assert len(study.rows[0].scores) == 5


def test_another_budget_keeps_the_old_runs(copy, small):
    before = objective_runs(copy)
    small(copy, size=2e8)
    after = objective_runs(copy)
    assert {name: after[name] for name in before} == before and len(after) == 2 * len(before)
    engine = Here()
    small(copy, engine=engine)
    assert engine.done == []


@pytest.mark.parametrize("what", ["mine", "preflight", "anchors"])
@pytest.mark.parametrize("keep", [0, 0.5, "flip"])
def test_a_damaged_file_is_made_again_alike(copy, few, small, what, keep):
    path = next((copy / "runs").glob(f"{what}*"))
    content = bytearray(path.read_bytes())
    if keep == "flip":
        content[-20] ^= 64
    path.write_bytes(content if keep == "flip" else content[: int(keep * len(content))])
    said = []

    class Listening(Silent):
        def note(self, text):
            said.append(text)

    small(copy, watcher=Listening())
    assert path.with_suffix(".damaged").exists()
    assert len(said) == 1 and path.name in said[0]
    assert study_bytes(copy) == study_bytes(few)


def test_a_damaged_table_is_written_again(copy, few, small):
    (copy / "data.safetensors").write_bytes(b"not a table")
    small(copy)
    assert study_bytes(copy) == study_bytes(few)


def test_a_group_cut_off_while_it_was_written_is_run_again_whole(copy, few, small):
    path = max((copy / "runs").glob("mine*"), key=lambda p: p.stat().st_mtime_ns)
    lanes = Store(copy).read(path.stem)[0]["lanes"]
    assert len(lanes) > 1
    path.unlink()
    engine = Here()
    small(copy, engine=engine)
    assert [[run.id for run in job.group.runs] for job in engine.done] == [lanes]
    assert study_bytes(copy) == study_bytes(few)


def test_another_data_set_is_refused_and_nothing_is_lost(copy, small):
    before = files(copy)
    with pytest.raises(StudyError, match="another data set"):
        small(copy, data="toy:moons:300")
    assert files(copy) == before


UNLUCKY = MINE.replace(
    "return ((x.mean(0)",
    'luck = rng.uniform("luck", ())\n        return (1 / (luck > 0.1)) * ((x.mean(0)',
)  # 1 / 0 in a tenth of the steps: some seeds diverge, others live


def test_failed_runs_stand_at_the_baseline_and_are_never_dropped(small, tmp_path):
    own = tmp_path / "unlucky.py"
    own.write_text(UNLUCKY)
    study = small(tmp_path / "run", objectives=[str(own)], seeds=8)
    row = study.rows[0]
    baselines = [r for r in study.rows if r.role == "baseline"]
    worst = [max(r.scores[k] for r in baselines) for k in range(8)]
    assert 0 < row.failures < 8, "choose another rate of failure"
    assert len(row.scores) == 8 and all(map(math.isfinite, row.scores))
    runs = Store(tmp_path / "run")
    records = [runs.read(p.stem)[0] for p in (tmp_path / "run" / "runs").glob("unlucky*")]
    final = {r["run"]["seed"]: r for r in records if r["run"]["judge"] == "test" and not r["run"]["salt"]}
    lived = [r["score"] for r in final.values() if not r["failed"]]
    for k, seed in enumerate(sorted(final)):
        record = final[seed]
        expected = max(worst[k], *lived) if record["failed"] else record["score"]
        assert row.scores[k] == expected
    assert row.failures == sum(bool(r["failed"]) for r in final.values())
    assert "diverged" in row.reasons[0]
    assert row.failure_low < row.failures / 8 < row.failure_high


def test_an_objective_that_raises_fails_with_its_words_and_the_others_go_on(small, mine, tmp_path):
    own = tmp_path / "raises.py"
    own.write_text(MINE.replace("return ((x.mean(0)", 'raise ValueError("no such loss"); return ((x.mean(0)'))
    study = small(tmp_path / "run", objectives=[mine, str(own)])
    rows = {r.name: r for r in study.rows}
    assert rows[mine].failures == 0
    assert rows[str(own)].failures == len(rows[str(own)].scores)
    assert "no such loss" in rows[str(own)].reasons[0]
    assert study.answer.recommended == mine


def test_a_full_disk_ends_the_study_and_keeps_what_is_finished(small, tmp_path):
    def full(item):
        if isinstance(getattr(item, "group", None), Group) and item.group.stage == "final":
            raise StudyError("The disk is full: ...")

    with pytest.raises(StudyError, match="disk is full"):
        small(tmp_path / "run", engine=Here(full))
    kept = objective_runs(tmp_path / "run")
    assert len(kept) == 3  # the screen
    small(tmp_path / "run")
    after = objective_runs(tmp_path / "run")
    assert {name: after[name] for name in kept} == kept


def test_a_study_where_nothing_lived_says_why(small, tmp_path):
    own = tmp_path / "raises.py"
    own.write_text(MINE.replace("return ((x.mean(0)", 'raise ValueError("no such loss"); return ((x.mean(0)'))
    with pytest.raises(StudyError, match="Every run of .*raises.py failed"):
        small(tmp_path / "run", objectives=[str(own)])
    assert (tmp_path / "run" / "study.json").exists()


def test_independent_columns_are_refused(tmp_path, small):
    rng = np.random.default_rng(0)
    with pytest.raises(DataUnfit, match="independent"):
        small(tmp_path / "run", data=rng.normal(size=(200, 3)))


@pytest.fixture(scope="module")
def judge():
    return SampleJudge(read("toy:moons:300"))


def test_plans_refuse_what_cannot_be_run(judge, tmp_path):
    with pytest.raises(UserError, match="no objective 'wgan-pg': did you mean 'wgan-gp'"):
        make_plan(judge, budget("quick"), ["wgan-pg"], None)
    with pytest.raises(UserError, match="twice: gan, gan"):
        make_plan(judge, budget("quick"), ["gan", "gan"], None)
    own = tmp_path / "mine.py"
    own.write_text(MINE.replace("    lr: float", '    goal = "classify"\n    lr: float'))
    with pytest.raises(UserError, match="'classify', not 'generate'"):
        make_plan(judge, budget("quick"), [str(own)], None)
    own.write_text(
        MINE.replace(
            "    def networks", '    def unfit(self, task):\n        return "only on Sundays"\n\n    def networks'
        )
    )
    with pytest.raises(UserError, match="No objective can run.*only on Sundays"):
        make_plan(judge, budget("quick"), [str(own)], None)
    plan = make_plan(judge, budget("quick"), ["gan", str(own)], None)
    assert plan.objectives == ("gan",) and plan.skipped == {str(own): "only on Sundays"}
    own.write_text(MINE + "\nraise RuntimeError('half written')\n")
    with pytest.raises(UserError, match="cannot be imported.*half written"):
        make_plan(judge, budget("quick"), [str(own)], None)
    with pytest.raises(UserError, match="does not exist"):
        make_plan(judge, budget("quick"), [str(tmp_path / "nowhere.py")], None)


def test_an_edited_objective_has_other_runs(judge, tmp_path):
    own = tmp_path / "mine.py"
    own.write_text(MINE)
    before = make_plan(judge, budget("quick"), ["gan", str(own)], None).codes
    own.write_text(MINE.replace("lr: float = 1e-2", "lr: float = 2e-2"))
    after = make_plan(judge, budget("quick"), ["gan", str(own)], None).codes
    assert before["gan"] == after["gan"] and before[str(own)] != after[str(own)]


def test_tuning_scores():
    assert tuning_score({"failed": "", "best": 0.1}) == 0.1
    assert tuning_score({"failed": "", "best": None}) == math.inf
    assert tuning_score({"failed": "died"}) == math.inf


def test_the_default_stays_where_one_seed_cannot_tell():
    assert best_or_first([0.30, 0.29, 0.31], 0.02) == 0
    assert best_or_first([0.32, 0.29, 0.31], 0.02) == 1
    assert best_or_first([math.inf, 0.29, 0.28], 0.02) == 2
    assert best_or_first([math.inf, math.inf], 0.02) == 0


def test_folders_are_named_after_the_data(judge):
    assert str(default_folder(judge.table)) == "whichloss-toy-moons-300"

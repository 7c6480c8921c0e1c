"""What a person does with pictures: describe, sample, score, predict, export; and what each mistake is told."""

import csv
import dataclasses
import runpy
import shutil

import msgspec
import numpy as np
import pytest
import torch
from command import Command, check
from PIL import Image

from whichloss import load, read_pictures
from whichloss.data import Scale
from whichloss.errors import UserError
from whichloss.objectives import find
from whichloss.rng import Rng
from whichloss.study import model as models
from whichloss.study.finish import affordable
from whichloss.study.nets import network_builder
from whichloss.study.unlikely import held_out
from whichloss.task import Task
from whichloss.train import Lanes

SHAPE = (1, 8, 8)


@pytest.fixture
def command(capsys):
    return Command(capsys)


def table(path):
    """The rows of a CSV file."""
    return list(csv.DictReader(path.read_text().splitlines()))


def drawn(n, label, seed=0):
    """Stripes across or down, with noise."""
    rng = np.random.default_rng(seed)
    stripes = np.tile([20, 20, 230, 230], 2)[:, None].repeat(8, 1)
    noise = rng.integers(-20, 21, (n, 8, 8))
    return ((stripes.T if label else stripes) + noise).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 pictures, a sub-folder for each of two classes."""
    path = tmp_path_factory.mktemp("pictures") / "stripes"
    for label, name in enumerate(("across", "down")):
        (path / name).mkdir(parents=True)
        for i, picture in enumerate(drawn(30, label, label)):
            Image.fromarray(picture).save(path / name / f"{i}.png")
    return path


def untrained(path, name, shape=SHAPE, **setting):
    """A model folder of an objective with its first weights, and held-out scores."""
    task = Task("generate", int(np.prod(shape)), 100, shape=shape)
    objective = find(name).suited(task)
    one = torch.zeros(1, 1, task.dim)
    lanes = Lanes(
        objective, task, network_builder(task, 32), Rng(torch.tensor([3])), one,
        torch.ones(1, dtype=torch.int64), one[:, 0],
    )  # fmt: skip
    weights = {role: w[0] for role, w in lanes.start().weights.items()}
    run = {"data": "", "objective": name, "code": "", "setting": setting, "seed": 1, "flops": 1e6, "width": 32}
    about = {
        "run": run,
        "task": dataclasses.asdict(task),
        "encoder": msgspec.to_builtins(Scale(shape)),
        "source": "here",
        "own networks": [],
    }
    made = models.Model(about, weights, None)
    values = np.random.default_rng(5).integers(0, 256, (25, task.dim)).astype(np.uint8)
    about["held out"] = held_out(made, values) if made.scores else []
    models.save(path / "best", about, {k: w.numpy() for k, w in weights.items()}, "")
    return path


@pytest.fixture(scope="module")
def density(tmp_path_factory):
    """An untrained flow-matching in few steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find("flow-matching"), "pictures", {"probes": 4, "sampling_steps": 4})
        yield untrained(tmp_path_factory.mktemp("density"), "flow-matching")


# describe


def test_describe_says_size_levels_classes_and_repeats(command, folder):
    out, _ = command("describe", folder)
    assert "60 pictures of 8 x 8 (height x width), grey (1 channel), encoded as 64 numbers." in out
    assert "classes: 2: across (30), down (30)." in out and "Exact duplicates: none." in out
    whole = read_pictures(folder)
    levels = f"levels: {whole.values.min()} to {whole.values.max()} of 0 to 255, mean {whole.values.mean():.1f}"
    assert f"{levels}, {len(np.unique(whole.values))} distinct." in out
    found = msgspec.json.decode(command("describe", folder, "--json")[0])
    assert found["pictures"] == 60 and found["shape"] == [1, 8, 8] and found["classes"] == {"across": 30, "down": 30}


def test_describe_sees_repeats_blanks_and_darkness(command, tmp_path):
    dark = drawn(30, 0) // 16
    dark[3], dark[5] = dark[4], 7
    np.save(tmp_path / "dark.npy", dark)
    out, _ = command("describe", tmp_path / "dark.npy")
    assert "Exact duplicates: 1 (3.3%) equal to an earlier picture." in out
    assert f"Suspicious: no pixel is brighter than {dark.max()} of 255" in out
    assert "Suspicious: 1 picture is of one level all over." in out


# sample


@pytest.mark.parametrize("shape", [(1, 8, 9), (3, 9, 8)])
def test_what_is_written_reads_back_to_the_same_pictures(tmp_path, shape):
    values = np.random.default_rng(0).integers(0, 256, (30, int(np.prod(shape)))).astype(np.uint8)
    one = models.Pictures(values, shape)
    one.to_npy(tmp_path / "a.npy")
    one.to_folder(tmp_path / "a")
    one.to_sheet(tmp_path / "a.png")
    for name in ("a.npy", "a"):
        again = read_pictures(tmp_path / name)
        assert again.shape == shape and np.array_equal(again.values, values)
    page, side = np.asarray(Image.open(tmp_path / "a.png")), 64 // max(shape[1:])
    tile = page[1 : 1 + shape[1] * side : side, 1 : 1 + shape[2] * side : side].reshape(*shape[1:], -1)
    assert np.array_equal(tile.transpose(2, 0, 1).reshape(-1), values[0])


def test_labels_become_sub_folders(tmp_path, folder):
    whole = read_pictures(folder)
    whole.rows([31, 2, 40, *range(3, 31)]).to_folder(tmp_path / "new")
    again = read_pictures(tmp_path / "new")
    assert again.classes == whole.classes and again.files[0] == "across/01.png"
    assert np.bincount(again.labels).tolist() == [28, 3]


def test_sample_writes_an_array_a_folder_or_a_sheet(command, density, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, kind in (("new.npy", "NPY"), ("new", "folder"), ("new.png", "sheet")):
        out, _ = command("sample", density, "-n", 24, "-o", name)
        assert out == f"24 pictures written to {name}\n", kind
    assert np.array_equal(read_pictures("new.npy").values, read_pictures("new").values)
    assert "5 pictures written to samples.npy" in command("sample", density, "-n", 5)[0]
    assert np.array_equal(np.load("samples.npy").shape, (5, 8, 8))
    check(command("sample", density, "-o", "new.csv", code=2), ("'new.csv': the model draws pictures", ".npy", ".png"))
    check(command("sample", density, "-o", "new", code=2), ("'new' is not empty", "Choose another folder"))


def test_a_moved_folder_is_the_same_model(density, tmp_path):
    shutil.copytree(density, tmp_path / "elsewhere")
    one, two = (load(path).sample(3, seed=4).values for path in (density, tmp_path / "elsewhere" / "best"))
    assert np.array_equal(one, two) and not np.array_equal(one, load(density).sample(3, seed=5).values)


# score


def test_scores_name_the_files_and_say_how_sure_they_are(command, density, folder, tmp_path):
    out, err = command("score", density, folder / "across")
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["file"] for row in rows] == sorted(f"{i}.png" for i in range(30))
    values = read_pictures(folder).rows(slice(30))
    assert len({row["log_density"] for row in rows}) == 30
    found = load(density).score(values) - 64 * np.log(127.5)  # per level
    np.testing.assert_allclose([float(row["log_density"]) for row in rows], found, rtol=1e-6)
    assert all(float(row["standard_error"]) > 0 for row in rows)
    assert "30 pictures are unlikely" in err and "mean of 4 estimates by random signs" in err
    one, _ = command("score", density, folder / "down" / "7.png")
    assert one.splitlines()[1].startswith("7.png,")
    np.save(tmp_path / "a.npy", values.to_numpy())
    command("score", density, tmp_path / "a.npy", "-o", tmp_path / "s.csv")
    again = table(tmp_path / "s.csv")
    assert [row["index"] for row in again] == [str(i) for i in range(30)]
    assert [row["log_density"] for row in again] == [row["log_density"] for row in rows]


def test_estimates_by_signs_agree_with_the_exact_density(density, folder):
    made = load(density)
    values = read_pictures(folder).values[:2]
    x = torch.from_numpy(made.encoder.encode(values))
    exact = dataclasses.replace(made.objective, probes=0).score(made.nets, x)
    many = dataclasses.replace(made.objective, probes=64).estimates(made.nets, x)
    error = many.std(dim=1) / 8
    assert ((many.mean(1) - exact).abs() < 4 * error).all() and (error < 1).all()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("large.npy",), ("large.npy' has pictures of 16 x 16 pixels; the model learned from 8 x 8", "--size 8")),
        (("large.npy", "--size", "12"), ("to become 12 x 12", "--size 8")),
        (("colour.npy",), ("has colour pictures, and the model learned from grey ones", "Convert them to grey")),
        (("tiny.npy",), ("smaller than the 8 x 8", "4 x 4", "give larger ones")),
        (("none.npy",), ("has no pictures; give at least one",)),
        (("things.csv",), ("things.csv' holds no pictures that can be read",)),
        (("large.npy", "--size", "8", "--explain"), ("--explain names the columns", "Leave it out")),
    ],
)
def test_pictures_that_do_not_fit_the_model(command, density, tmp_path, monkeypatch, typed, says):
    monkeypatch.chdir(tmp_path)
    for name, shape in {"large": (3, 16, 16), "colour": (3, 8, 8, 3), "tiny": (3, 4, 4), "none": (0, 8, 8)}.items():
        np.save(f"{name}.npy", np.zeros(shape, np.uint8))
    (tmp_path / "things.csv").write_text("a,b\n1,2\n")
    check(command("score", density, *typed, code=2), says)


def test_one_large_picture_is_reduced_on_request(density, tmp_path):
    Image.fromarray(np.kron(drawn(1, 0)[0], np.ones((2, 2), np.uint8))).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="--size 8"):
        load(density).score(tmp_path / "a.png")
    found = load(density).score(tmp_path / "a.png", size=8)
    np.testing.assert_allclose(found, load(density).score(drawn(1, 0)), rtol=1e-6)


def test_a_dear_density_is_asked_for_fewer_held_out_pictures(density, tmp_path):
    cheap = load(untrained(tmp_path / "cheap", "pcd"))
    values, told = np.zeros((1, 64), np.uint8), torch.zeros(1, 0)
    assert affordable(cheap, values, told) > 20 * affordable(load(density), values, told) >= 2000


# classify


@pytest.fixture(scope="module")
def predictor(folder, tmp_path_factory):
    """A small study of the classes."""

    class Capture:
        def readouterr(self):
            return "", ""

    out = tmp_path_factory.mktemp("classify") / "run"
    typed = ("--goal", "classify", "--objectives", "cross-entropy", "--budget", "1e8", "--seeds", "2")
    Command(Capture())("compare", folder, *typed, "--out", out, code=3)  # type: ignore[arg-type]
    return out


def test_a_study_of_classes_ends_with_a_model_that_predicts_files(command, predictor, folder, tmp_path):
    command("predict", predictor, folder, "-o", tmp_path / "p.csv")
    rows = table(tmp_path / "p.csv")
    assert [row["file"].split("/")[0] for row in rows] == [row["predicted label"] for row in rows]
    assert all(abs(float(row["p(across)"]) + float(row["p(down)"]) - 1) < 1e-9 for row in rows)
    np.save(tmp_path / "one.npy", drawn(1, 1, seed=9))
    command("predict", predictor, tmp_path / "one.npy", "-o", tmp_path / "p.csv")
    assert [row["predicted label"] for row in table(tmp_path / "p.csv")] == ["down"]
    card = (predictor / "best" / "README.md").read_text()
    assert "of 60 pictures of 8 x 8 (height x width), grey" in card and "columns" not in card
    assert "Classes are the sub-folders: across (30), down (30)." in card
    report = (predictor / "report.html").read_text()
    assert "no column alone" not in report and "nearest neighbours" in report


def test_labels_that_are_not_there_or_too_few(command, folder, tmp_path):
    flat = folder / "down"
    said = ("has no labels to learn", "sub-folder named after", "IDX file of labels")
    check(command("compare", flat, "--goal", "classify", code=5), said)
    rare = shutil.copytree(folder, tmp_path / "rare")
    for i in range(25):
        (rare / "down" / f"{i}.png").unlink()
    check(command("compare", rare, "--goal", "classify", code=5), ("the class 'down' has 5 pictures; at least 10",))
    says = ("pictures have one label, 'label'", "--goal classify")
    check(command("compare", folder, "--target", "species", code=2), says)
    says = ("--time belongs to tables",)
    check(command("compare", folder, "--goal", "classify", "--time", "t", code=2), says)
    says = ("--target belongs to the goal 'classify'",)
    check(command("compare", folder, "--goal", "generate", "--target", "label", code=2), says)


def test_an_empty_folder_is_called_one(command, tmp_path):
    (tmp_path / "empty").mkdir()
    check(command("describe", tmp_path / "empty", code=2), ("is an empty folder", "a folder of PNG or JPEG files"))


# export


def test_the_exported_file_trains_on_the_pictures_beside_it(tmp_path, folder, monkeypatch):
    from whichloss.study.export import source
    from whichloss.study.generate.pictures import PictureJudge

    made = load(untrained(tmp_path / "run", "wgan-gp"))
    made.record |= {"steps": 4, "score": 0.5}
    judge = PictureJudge(read_pictures(folder))
    monkeypatch.setitem(judge.__dict__, "eyes", type("Eyes", (), {"name": "label features"})())
    text = source(made, judge, [None, 0.5, 0.4, 0.3], "train.py", "train_pictures.npy")
    assert "MMD^2 of label features = 0.5" in text and "#?" not in text and "import csv" not in text
    (tmp_path / "train.py").write_text(text)
    judge.table.rows(judge.split(1).train).to_npy(tmp_path / "train_pictures.npy")
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path("train.py", run_name="__main__")
    assert names["x"].shape == (len(judge.split(1).train), 64) and names["x"].dtype == torch.uint8
    assert np.array_equal(names["x"].numpy(), judge.table.values[judge.split(1).train])
    assert np.load("new_pictures.npy").shape == (100, 8, 8)


def test_pictures_of_one_class_can_be_read_for_a_model_and_names_must_be_those_of_folders(folder, tmp_path):
    known = read_pictures(folder)
    known.rows(known.labels == 0).to_folder(tmp_path / "one")
    like = read_pictures(tmp_path / "one", like=SHAPE, labels=True)
    assert like.classes == ("across",) and len(like) == 30
    with pytest.raises(UserError, match="one class is none"):
        read_pictures(tmp_path / "one")
    for name in ("n/a", "..", ".hidden", " "):
        odd = dataclasses.replace(known, classes=(name, "down"))
        with pytest.raises(UserError, match="cannot be the name of a folder"):
            odd.to_folder(tmp_path / "odd")
    assert not (tmp_path / "odd").exists()


def test_larger_pictures_are_reduced_for_a_model_on_request():
    from whichloss.data import Pictures

    large = Pictures(np.random.default_rng(0).integers(0, 256, (5, 256)).astype(np.uint8), (1, 16, 16))
    small = read_pictures(large, like=SHAPE, size=8)
    assert small.shape == SHAPE and any("Reduced" in note for note in small.notes)
    with pytest.raises(UserError, match="--size 8"):
        read_pictures(large, like=SHAPE)
    with pytest.raises(UserError, match="smaller than"):
        read_pictures(large.sized((8, 8)), like=(1, 16, 16), size=16)

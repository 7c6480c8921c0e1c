"""Films, nearest pictures, ways and rebuilt pictures: every picture at its place, and the numbers beside them."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from whichloss.data import Pictures
from whichloss.report import film
from whichloss.report.grids import EDGE
from whichloss.study import store
from whichloss.study.generate.strips import LINES, STEPS
from whichloss.study.records import Row

SHAPE, D = (1, 4, 5), 20


def grey(*levels):
    """Flat pictures, one of each level."""
    return np.repeat(np.array(levels, np.uint8)[:, None], D, axis=1)


def levels(strip):
    """The level in the middle of every place of a strip."""
    page = np.asarray(Image.open(io.BytesIO(base64.b64decode(strip.uri.partition(",")[2]))))
    assert page.shape[1] == strip.width
    return page[EDGE + 1 :: SHAPE[1] + EDGE, EDGE + 1 :: SHAPE[2] + EDGE].tolist()


def row(name="gan", role="objective", sample="", **metrics):
    found = {k.replace("_", " "): (v, 0.0) for k, v in metrics.items()}
    return Row(
        name=name, role=role, stage="final", scores=(0.0,), mean=0.0, low=0.0, high=0.0, metrics=found, sample=sample
    )


PICTURES = Pictures(grey(0, 10, 20, 30), SHAPE, labels=np.array([0, 0, 0, 1], np.int64), classes=("cat", "dog"))


def test_a_line_of_the_film_is_a_noise_and_a_column_a_look():
    frames = np.stack([grey(1, 2, 3), grey(4, 5, 6)])  # (looks, noises, d)
    found = film.progress({"film": [0.25, 1.0]}, {"film": frames}, SHAPE)
    assert levels(found) == [[1, 4], [2, 5], [3, 6]] and [s.replace("\u00a0", " ") for s in found.over] == [
        "25 %",
        "100 %",
    ]


def test_a_nearest_picture_stands_twice_only_where_pixels_disagree():
    arrays = {"samples": grey(11, 29), "near": np.array([1, 3]), "near in pixels": np.array([1, 2])}
    found = film.neighbours(arrays | {"distance": np.array([0.0, 1.26])}, PICTURES)
    assert levels(found) == [[11, 29], [10, 30], [128, 20]] and list(found.below) == ["0.00", "1.26"]
    same = film.neighbours(arrays | {"near in pixels": arrays["near"], "distance": np.ones(2)}, PICTURES)
    assert levels(same) == [[11, 29], [10, 30]] and len(same.beside) == 2


@pytest.mark.parametrize(("name", "said"), [("between", "noises"), ("between codes", "codes of real pictures")])
def test_ways_are_lines(name, said):
    found = film.ways({name: grey(*range(LINES * STEPS))}, SHAPE)
    assert levels(found) == np.arange(LINES * STEPS).reshape(LINES, STEPS).tolist() and said in found.says


def test_what_was_rebuilt_stands_under_what_it_was():
    arrays = {"real": grey(1, 2), "real rebuilt": grey(3, 4), "drawn": grey(5, 6), "drawn rebuilt": grey(7, 8)}
    found = film.rebuilt(dict(reversed(arrays.items())), SHAPE)
    assert levels(found) == [[1, 2], [3, 4], [5, 6], [7, 8]] and list(found.beside) == list(arrays)


def test_nothing_is_shown_of_what_was_not_kept():
    assert film.progress({}, {}, SHAPE) is film.neighbours({}, PICTURES) is None
    assert film.ways({}, SHAPE) is film.rebuilt({}, SHAPE) is None


def test_an_anchor_s_own_arrays_are_found(tmp_path):
    (tmp_path / "runs").mkdir()
    arrays = {"near/fresh real rows": np.arange(2), "near/Gaussian": np.arange(3), "samples/Gaussian": grey(1)}
    (tmp_path / "runs" / "a.safetensors").write_bytes(store.pack({}, arrays))
    record, found = film.kept(row(sample="a#samples/Gaussian"), tmp_path)
    assert record == {} and set(found) == {"near", "samples"} and found["near"].tolist() == [0, 1, 2]
    assert film.kept(row(sample="missing"), tmp_path) == ({}, {})


def test_the_copy_test_is_said_beside_that_of_real_pictures():
    real = row("fresh real rows", "ceiling", copy_test_p=0.6)
    assert film.copying(row(copy_test_p=0.2), real) == (
        "Copy test: p = 0.20 (fresh real pictures: 0.60): no sign of copying."
    )
    copying = film.copying(row(copy_test_p=1e-3, copied_share=0.5), real)
    assert "may be copying, 50" in copying and "are training pictures" in copying
    assert film.copying(real, real).count("fresh") == 0 and film.copying(row(), real) == ""


def test_classes_are_counted_beside_labels_and_real_pictures():
    counted = {"share of cat": (0.7, 0.0), "share of dog": (0.3, 0.0), "class share difference": (0.05, 0.0)}
    counted["classes told right"] = (0.9, 0.0)
    rows = [row(), row("fresh real rows", "ceiling")]
    for one, cat in zip(rows, (0.7, 0.74), strict=True):
        one.metrics = counted | {"share of cat": (cat, 0.0)}
    study = SimpleNamespace(ranked=lambda: rows)
    found = film.classes(study, PICTURES)
    assert [r.name for r in found.heads] == ["fresh real rows", "gan"] and found.told_right == 0.9
    assert found.lines == (("cat", 0.75, (0.74, 0.7)), ("dog", 0.25, (0.3, 0.3))) and found.apart == (0.05, 0.05)
    assert film.classes(SimpleNamespace(ranked=lambda: [row()]), PICTURES) is None

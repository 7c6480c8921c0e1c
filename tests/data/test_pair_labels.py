"""Pairs that are alike or not: every way in gives the same, what a split keeps whole, what is wrong said by row."""

import numpy as np
import pytest
import torch
from PIL import Image

from whichloss.data import Pairs, Pictures, Vectors, describe, read_pairs, split
from whichloss.data.pair_columns import two_blocks
from whichloss.data.pair_labels import contradicting, equal_pairs, linked
from whichloss.errors import DataUnfit, UserError

N, D = 60, 4
A, B = (np.random.default_rng(k).normal(size=(N, D)).astype(np.float32) for k in (0, 1))
SAME = np.arange(N) % 2


def columns(a=A, b=B, same=SAME):
    found = {f"a_{j}": a[:, j] for j in range(D)} | {f"b_{j}": b[:, j] for j in range(D)}
    return found | {"same": same}


def csv(path, columns):
    rows = [columns.keys(), *zip(*columns.values(), strict=True)]
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


def said(error, source, **options):
    with pytest.raises(error) as caught:
        read_pairs(source, **options)
    return str(caught.value)


def test_every_way_in_gives_the_same_pairs(tmp_path):
    import pandas

    table, words = columns(), columns(same=[("false", "true")[k] for k in SAME])
    frame = pandas.DataFrame(table)
    asked = {"first": "a_*", "second": "b_*", "label": "same"}
    for source in (table, csv(tmp_path / "a.csv", table), csv(tmp_path / "b.csv", words), frame, words):
        pairs = read_pairs(source, **asked)
        np.testing.assert_array_equal(pairs.first.values, A)
        np.testing.assert_array_equal(pairs.second.values, B)
        np.testing.assert_array_equal(pairs.labels, SAME)
        assert pairs.first.names == ("a_0", "a_1", "a_2", "a_3") and pairs.second.names[0] == "b_0"
        assert len(np.unique(pairs.groups)) == N and pairs.times is None
        for less in ({"label": "same"}, {"label": "same", "first": "a_*"}, {"label": "same", "second": "b_*"}):
            assert read_pairs(source, **less).fingerprint == pairs.fingerprint
    arrays = read_pairs((A, torch.from_numpy(B), SAME))
    assert arrays.first.names == ("x1", "x2", "x3", "x4") and (arrays.labels == SAME).all()
    assert read_pairs(pairs) is pairs


def test_kept_cut_and_told_apart(tmp_path):
    pairs = read_pairs((A, B, SAME))
    pairs.save(tmp_path / "pairs.safetensors")
    again = Pairs.load(tmp_path / "pairs.safetensors")
    assert again.fingerprint == pairs.fingerprint and again.first.names == pairs.first.names
    np.testing.assert_array_equal(again.labels, SAME)
    some = again.rows([3, 0])
    assert some.labels.tolist() == [1, 0] and some.first.names == pairs.first.names
    others = [read_pairs((A, B, 1 - SAME)), read_pairs((A, B)), read_pairs(columns(), label="same")]
    assert len({pairs.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert repr(pairs).endswith("60 x vectors of 4 numbers, alike or not)")
    with pytest.raises(UserError, match="0 and 1"):
        Pairs(pairs.first, pairs.second, pairs.groups, labels=2 * SAME)


def test_two_columns_of_picture_files(tmp_path):
    (tmp_path / "drawn").mkdir()
    pixels = np.random.default_rng(3).integers(0, 256, (N, 8, 9), dtype=np.uint8)
    names = [f"drawn/{i:02d}.png" for i in range(N)]
    for name, picture in zip(names, pixels, strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    table = {"left": names, "right": [*names[30:], *names[:30]], "same": SAME}
    pairs = read_pairs(csv(tmp_path / "pairs.csv", table), label="same")
    assert isinstance(pairs.second, Pictures) and pairs.first.shape == pairs.second.shape == (1, 8, 9)
    np.testing.assert_array_equal(pairs.second.to_numpy()[:, 0], np.concatenate([pixels[30:], pixels[:30]]))
    assert pairs.second.files == tuple(table["right"])
    assert read_pairs(tmp_path / "pairs.csv", label="same", second="left").first.files == tuple(table["right"])
    assert len(np.unique(pairs.groups)) == N // 2  # pair i and pair i + 30 hold the same two pictures
    missing = csv(tmp_path / "gone.csv", table | {"right": [*names[:-1], "drawn/gone.png"]})
    assert "drawn/gone.png" in said(UserError, missing, label="same")
    assert "(first in row 60)" in said(UserError, missing, label="same")
    mixed = csv(tmp_path / "mixed.csv", {"file": names, **{f"b_{j}": B[:, j] for j in range(D)}, "same": SAME})
    problem = said(UserError, mixed, label="same", first="file", second="b_*")
    assert "grey pictures of 8 x 9" in problem and "Both must be of one kind" in problem


@pytest.mark.parametrize(
    ("source", "options", "error", "says"),
    [
        (columns(), {"label": "sam"}, UserError, "--target 'sam'"),
        (columns(), {"label": "same", "first": "same"}, UserError, "both --target and one of --first"),
        (columns(), {"label": "same", "first": "a_*", "second": "a_1"}, UserError, "cannot be both sides"),
        (columns() | {"c_0": A[:, 0]}, {"label": "same"}, UserError, "3 columns of picture files or blocks"),
        (columns(same=np.where(SAME, 2, 0)), {"label": "same"}, DataUnfit, "row 2: '2' is no label of a pair (30 such"),
        (columns(same=["yes", "no"] * 30), {"label": "same"}, DataUnfit, "row 1: 'yes' is no label"),
        (columns(same=[1, None] * 30), {"label": "same"}, DataUnfit, "row 2: the label is missing (30 such rows)"),
        (columns(same=np.ones(N, int)), {"label": "same"}, DataUnfit, "0 of 60 pairs are not alike (label 0)"),
        (columns(same=(np.arange(N) < 9).astype(int)), {"label": "same"}, DataUnfit, "9 of 60 pairs are alike"),
        ((A, B[:, :3], SAME), {}, UserError, "vectors of 4 numbers, the other vectors of 3 numbers"),
        ((A, B, SAME[:50]), {}, UserError, "with 50 labels do not pair up"),
        ((A[:12], B[:12], SAME[:12]), {}, DataUnfit, "12 pairs; at least 20"),
        ((A, [f"text {k}" for k in range(N)], SAME), {}, UserError, "pairs of texts cannot be embedded"),
        ((np.ones((N, 2)), np.ones((N, 2)), SAME), {}, DataUnfit, "all 120 things are equal"),
        ((A, B, SAME), {"label": "same"}, UserError, "these are three arrays"),
    ],
)
def test_what_is_wrong_is_said(source, options, error, says):
    assert says in said(error, source, **options)


# --- what a split keeps whole


def test_linked_pairs_by_hand():
    u, v = np.array([0, 1, 2, 3, 4]), np.array([1, 5, 6, 3, 2])
    assert linked(u, v).tolist() == [0, 0, 1, 2, 1]  # 0-1-5 in a chain; 2 with 6 and with 4; 3 with itself
    assert linked(u, v, np.array([0, 1, 1, 2, 3])).tolist() == [0, 0, 0, 1, 0]
    assert equal_pairs(np.array([0, 1, 0]), np.array([1, 0, 2])).tolist() == [0, 0, 1]
    assert contradicting(np.array([0, 0, 1, 1, 2]), np.array([1, 0, 1, 1, 0])) == 2


def test_pairs_that_share_a_thing_stay_together():
    first = A[np.arange(N) // 3]  # twenty things on the first side, three pairs each
    pairs = read_pairs((first, B, SAME))
    assert len(np.unique(pairs.groups)) == 20 and "20 units, the largest of 3 pairs" in " ".join(pairs.notes)
    parts = split(pairs, seed=1)
    thing = np.arange(N) // 3
    assert not {*thing[parts.test]} & {*thing[parts.train], *thing[parts.validation]}
    assert not {*thing[parts.train]} & {*thing[parts.validation]}


def test_where_things_tie_everything_together_pairs_are_split_one_by_one():
    ring = np.arange(N)
    pairs = read_pairs((A, A[(ring + 1) % N], SAME))  # thing k with thing k + 1
    assert len(np.unique(pairs.groups)) == N
    assert "tie 60 of 60 pairs together" in " ".join(pairs.notes)


def test_equal_pairs_stay_together_in_either_order():
    ring = np.arange(N)
    other = A[(ring + 1) % N]
    pairs = read_pairs((np.vstack([A, other]), np.vstack([other, A]), np.r_[SAME, SAME]))
    np.testing.assert_array_equal(pairs.groups[:N], pairs.groups[N:])
    assert "60 of 120 pairs equal an earlier one" in " ".join(pairs.notes)
    clash = read_pairs((np.vstack([A, other]), np.vstack([other, A]), np.r_[SAME, 1 - SAME]))
    assert "120 pairs are alike in one row and not in another" in " ".join(clash.notes)


def test_concepts_are_kept_whole_or_refused():
    table = columns() | {"who": np.arange(N) // 4}
    pairs = read_pairs(table, label="same", first="a_*", second="b_*", concept="who")
    assert (pairs.groups.reshape(-1, 4) == pairs.groups[::4, None]).all() and len(np.unique(pairs.groups)) == N // 4
    table["who"] = np.arange(N) // 40
    assert "no split can keep them whole" in said(
        DataUnfit, table, label="same", first="a_*", second="b_*", concept="who"
    )


def test_a_thing_with_itself_is_said():
    b = B.copy()
    b[:3] = A[:3]
    assert "3 pairs are of one thing twice" in " ".join(read_pairs((A, b, SAME)).notes)


def test_what_was_understood_is_described():
    lines = "\n".join(describe(read_pairs((A, B, SAME))).lines())
    assert "60 pairs of vectors of 4 numbers" in lines and "alike: 30 (50%); not alike: 30." in lines
    assert "cross-entropy" not in lines and "units that a split keeps whole: 60" in lines
    assert isinstance(read_pairs((A, B)).first, Vectors)
    assert "cross-entropy" in "\n".join(describe(read_pairs((A, B))).lines())


def test_blocks_of_one_width_are_seen():
    assert two_blocks(("a_1", "a_2", "b_1", "b_2", "same"), "same") == ("a_*", "b_*")
    assert two_blocks(("x1", "x2", "y1", "y2", "t"), "t") == ("x*", "y*")
    for names in (("a_1", "a_2", "b_1", "same"), ("a_1", "b_1", "same"), ("u", "v", "same"), ("a_1", "a_2", "same")):
        assert two_blocks(names, "same") is None


def test_a_picture_saved_again_ties_its_pairs_together():
    """Smooth pictures: the first of pair 0 and the second of pair 1 are one, a level off; equal things are other."""
    g = np.random.default_rng(5)
    drawn = np.kron(g.integers(20, 230, (2 * N, 4, 4)), np.ones((4, 4), int)).reshape(2 * N, 256).astype(np.uint8)
    first, second = drawn[:N].copy(), drawn[N:].copy()
    second[1] = first[0] + g.integers(0, 2, 256, dtype=np.uint8)
    pairs = read_pairs((first.reshape(N, 16, 16), second.reshape(N, 16, 16), SAME))
    assert pairs.groups[0] == pairs.groups[1] and len(np.unique(pairs.groups)) == N - 1
    assert not [note for note in pairs.notes if "one thing twice" in note]

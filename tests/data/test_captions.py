"""Captions: any text comes back, what is cut is counted, a vocabulary is its merges, published ids are as known."""

import builtins
import gzip
import unicodedata
from collections import Counter
from importlib.util import find_spec
from itertools import pairwise, permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whichloss.data.captions import PUBLISHED_MERGES, Vocabulary, _byte_values, _bytes
from whichloss.errors import UserError

INSTALLED = pytest.mark.skipif(find_spec("tokenizers") is None, reason="the extra 'captions' is not installed")
TEXTS = ["A red car", "a red bus", "the red cat", "the cat sat", "ein roter Hut"]
BARE = Vocabulary(())


def published() -> Path | None:
    """The published file, where open_clip, which ships it, is installed."""
    found = find_spec("open_clip")
    path = Path(found.origin).with_name("bpe_simple_vocab_16e6.txt.gz") if found and found.origin else None
    return path if path and path.is_file() else None


def test_ids_of_bytes_come_first_and_ends_last():
    values = _byte_values()
    assert sorted(values.values()) == list(range(256)) and list(values) == list(_bytes())
    assert [values[c] for c in "!~ÿ"] == [33, 126, 255] and values["Ġ"] == 32
    known = Vocabulary((("a", "b"),))
    assert (len(known), known.start, known.end) == (515, 513, 514)


@INSTALLED
def test_merges_are_applied_in_their_order():
    """'abab' by hand: a b, then ab ab at the end of a word."""
    known = Vocabulary((("a", "b"), ("a", "b</w>"), ("ab", "ab</w>")))
    place = {name: i for i, name in enumerate(known._names)}
    ids, cut = known.encode(["abab ab", "ABA", ""], 6)
    assert ids.dtype == np.int32 and (cut == 0).all()
    assert ids.tolist() == [
        [known.start, place["abab</w>"], place["ab</w>"], known.end, 0, 0],
        [known.start, place["ab"], place["a</w>"], known.end, 0, 0],
        [known.start, known.end, 0, 0, 0, 0],
    ]
    assert (ids.argmax(axis=1) == [3, 3, 1]).all()  # the end is the highest id of a row


@INSTALLED
def test_the_first_merge_learned_is_the_most_frequent_pair():
    texts = ["low lower lowest", "low slow", "newer wider"]
    pairs = Counter()
    for word in " ".join(texts).split():
        marks = [*word[:-1], word[-1] + "</w>"]
        pairs.update(pairwise(marks))
    known = Vocabulary.learned(texts)
    assert pairs[known.merges[0]] == max(pairs.values())
    assert ("lo", "w</w>") in known.merges and not any("wid" in a + b for a, b in known.merges)  # it comes once only


@INSTALLED
def test_learning_is_the_same_every_time_and_heeds_the_size():
    first = Vocabulary.learned(TEXTS)
    many = ["".join(word) for word in permutations("abcdefg", 4)]  # every pair as frequent as every other
    assert len({Vocabulary.learned(many).merges for _ in range(3)}) == 1
    assert Vocabulary.learned(TEXTS, 516).merges == first.merges[:2]
    assert Vocabulary.learned(TEXTS, 514).merges == ()
    assert Vocabulary.learned([text.upper() for text in TEXTS]).merges == first.merges


@INSTALLED
@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_comes_back_composed_and_lower_cased_but_for_spaces(text):
    for known in (BARE, Vocabulary.learned(TEXTS)):
        context = 3 + 8 * len(text.encode())
        ids, cut = known.encode([text], context)
        assert not cut.any() and ids.max() == known.end
        back = known.decode(ids)[0]
        plain = "".join(one.lower() for one in unicodedata.normalize("NFC", text))
        squeeze = lambda words: "".join(words.split())
        assert squeeze(unicodedata.normalize("NFC", back)) == squeeze(unicodedata.normalize("NFC", plain))
        np.testing.assert_array_equal(known.encode([back], context).ids, ids)


@INSTALLED
def test_emoji_and_other_scripts_come_back():
    texts = ["🙂 👩‍🚀", "한국어 고양이", "日本語", "Ünïcode ЁЖИК", "مرحبا"]
    known = Vocabulary.learned(TEXTS)
    assert known.decode(known.encode(texts, 77).ids)[1:] == [text.lower() for text in texts[1:]]
    assert known.decode(known.encode(texts, 77).ids)[0].replace(" ", "") == texts[0].replace(" ", "")


@INSTALLED
def test_letters_with_their_accents_apart_are_the_same_letters():
    ids, _ = BARE.encode(["Ünïcode 각", unicodedata.normalize("NFD", "ünïcode 각")], 40)
    assert (ids[0] == ids[1]).all()


@INSTALLED
def test_what_does_not_fit_is_cut_and_counted():
    known = Vocabulary.learned(TEXTS)
    long = " ".join(["cat"] * 10_000)
    ids, cut = known.encode(["cat", long, "cat cat cat"], 5)
    assert cut.tolist() == [0, 9_997, 0]
    assert ids[1].tolist() == ids[2].tolist() and ids[1, -1] == known.end
    assert known.decode(ids) == ["cat", "cat cat cat", "cat cat cat"]


@INSTALLED
def test_the_context_holds_nearly_all_captions_whole():
    known = Vocabulary.learned(TEXTS)
    texts = ["cat"] * 1000 + ["cat " * 40]
    assert known.context(texts) == 3 and known.context(texts[-1:]) == 42 and known.context(texts[-1:], most=30) == 30
    assert known.context([]) == 3


@INSTALLED
def test_saved_and_loaded_it_is_the_same(tmp_path):
    known = Vocabulary.learned([*TEXTS, "고양이 고양이"])
    known.save(tmp_path / "words.json")
    again = Vocabulary.load(tmp_path / "words.json")
    assert again.merges == known.merges and again.fingerprint == known.fingerprint != BARE.fingerprint
    np.testing.assert_array_equal(again.encode(TEXTS, 9).ids, known.encode(TEXTS, 9).ids)
    (tmp_path / "words.json").write_text('{"merges": 3}')
    with pytest.raises(UserError, match="damaged or holds no saved vocabulary"):
        Vocabulary.load(tmp_path / "words.json")


def test_a_published_file_gives_49408_ids(tmp_path):
    """The first 48,894 merges of a file that has more, after the line of its version."""
    pairs = [f"{a} {b}" for a, b in product(_bytes(), repeat=2)]
    text = "\n".join(["#version: 0.2", *pairs])
    for path, data in [(tmp_path / "a.txt", text.encode()), (tmp_path / "a.txt.gz", gzip.compress(text.encode()))]:
        path.write_bytes(data)
        known = Vocabulary.published(path)
        assert len(known.merges) == PUBLISHED_MERGES and len(known) == 49_408 and known.end == 49_407
        assert known.merges[0] == ("!", "!")
    short = tmp_path / "short.txt"
    short.write_text("\n".join(text.split("\n")[:100]))
    with pytest.raises(UserError, match="has 99 merges in its first 48,894 lines"):
        Vocabulary.published(short)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(text.encode())[:1000])
    for name in ("cut.gz", "none.gz"):
        with pytest.raises(UserError, match="cannot be read"):
            Vocabulary.published(tmp_path / name)


@INSTALLED
@pytest.mark.skipif(published() is None, reason="the published vocabulary is not installed (open_clip ships it)")
def test_the_published_vocabulary_gives_the_known_ids():
    known = Vocabulary.published(published())
    ids = known.encode(["Hello world!", "a photo of a cat"], 8).ids
    assert ids.tolist() == [[49406, 3306, 1002, 256, 49407, 0, 0, 0], [49406, 320, 1125, 539, 320, 2368, 49407, 0]]


@INSTALLED
def test_bad_requests_are_said():
    for work, message in [
        (lambda: Vocabulary.learned([]), "0 captions without a word"),
        (lambda: Vocabulary.learned(["", "  "]), "2 captions without a word"),
        (lambda: Vocabulary.learned(TEXTS, 100), "at least 514 ids"),
        (lambda: BARE.encode(["a"], 2), "A context of 2 holds no text"),
        (lambda: BARE.encode(["a", None], 5), r"Caption 2 is None \(NoneType\)"),
        (lambda: BARE.encode(["\ud800"], 5), "Caption 1 is no valid Unicode"),
        (lambda: BARE.encode("a red car", 5), "Put it into a list"),
    ]:
        with pytest.raises(UserError, match=message):
            work()


def test_without_the_library_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name.startswith("tokenizers"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    for work in (lambda: Vocabulary(()).encode(["a"], 5), lambda: Vocabulary.learned(["a"])):
        with pytest.raises(UserError, match=r"pip install 'whichloss\[captions\]'"):
            work()

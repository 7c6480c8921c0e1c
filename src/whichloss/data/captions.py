"""Captions as whole numbers: byte pairs merged by a list, learned from the captions at hand or the published one.

A text is composed (NFC) and lower-cased, split into words, digits and marks, and written in bytes, so that any script
and any emoji can be written; then the pairs of the list are merged, in its order (Sennrich et al., 2016; Radford et
al., 2021, section 2.4). A vocabulary is its list of merges and nothing else:

    ids 0 .. 255     the bytes                       ids 512 ..       what the merges yield, in their order
    ids 256 .. 511   the bytes that end a word       the last two     start and end of a text

Rows are start, the text, end, and zeros after it: the end is where a row has its highest id. What the published CLIP
did before (mending of broken Unicode, HTML entities) is not done here.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from whichloss.data.write import aside
from whichloss.errors import UserError

INSTALL = "pip install 'whichloss[captions]'"
WORD_END = "</w>"
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"  # what a text is split into; spaces fall out
BYTES = 256
PUBLISHED_MERGES = 48_894  # of the 262,144 in the file; 49,408 ids in all
MOST_IDS = 4096  # of an own vocabulary
LONGEST = 77  # ids of a row, as published
WHOLE = 0.99  # of the captions fit into the context that `context` gives


class Tokens(NamedTuple):
    """ids: int32 (n, context); cut: int64 (n,), how many ids of each text did not fit."""

    ids: np.ndarray
    cut: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Vocabulary:
    """The merges of pairs, first come first merged. Making one needs no library; using it needs `tokenizers`."""

    merges: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return 2 * BYTES + len(self.merges) + 2

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} ids)"

    @property
    def start(self) -> int:
        """The id that every text starts with."""
        return len(self) - 2

    @property
    def end(self) -> int:
        """The id that every text ends with, the highest of all."""
        return len(self) - 1

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any merge."""
        return hashlib.sha256(json.dumps(self.merges).encode()).hexdigest()[:16]

    @classmethod
    def learned(cls, texts: Iterable[str], size: int = MOST_IDS) -> "Vocabulary":
        """The most frequent pairs of these texts, merged until there are `size` ids or no pair comes twice.

        Raises UserError if there is no text, `size` is below the 514 ids of bytes and ends, or `tokenizers` is absent.
        """
        texts = _written(texts)
        least = 2 * BYTES + 2
        if size < least:
            raise UserError(f"A vocabulary has at least {least} ids (bytes, start and end); {size} were asked for.")
        if not any(text.strip() for text in texts):
            raise UserError(f"No vocabulary can be learned from {len(texts):,} captions without a word. Give texts.")
        library = _library()
        tokenizer = _pipeline(library.models.BPE(end_of_word_suffix=WORD_END))
        marks = list(_bytes())
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            initial_alphabet=marks,
            special_tokens=[mark + WORD_END for mark in marks],  # known from the start: else ties go by chance
            end_of_word_suffix=WORD_END,
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        merges = json.loads(tokenizer.to_str())["model"]["merges"]
        return cls(tuple((first, second) for first, second in merges[: size - least]))

    @classmethod
    def published(cls, path: str | Path) -> "Vocabulary":
        """The vocabulary of the published CLIP from its file, `bpe_simple_vocab_16e6.txt.gz`, packed or not.

        Raises UserError where the file is missing, damaged, or has fewer merges.
        """
        path = Path(path).expanduser()
        try:
            data = path.read_bytes()
            lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode().split("\n")
        except (OSError, EOFError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"The vocabulary '{path}' cannot be read: {reason}. Give the published file.") from error
        pairs = [tuple(line.split()) for line in lines[1 : PUBLISHED_MERGES + 1]]  # the first line is its version
        if len(pairs) < PUBLISHED_MERGES or any(len(pair) != 2 for pair in pairs):
            good = sum(len(pair) == 2 for pair in pairs)
            raise UserError(
                f"'{path}' has {good:,} merges in its first {PUBLISHED_MERGES:,} lines, and the published vocabulary "
                f"has that many. Give bpe_simple_vocab_16e6.txt.gz, which comes with CLIP."
            )
        return cls(tuple((first, second) for first, second in pairs))

    def encode(self, texts: Iterable[str], context: int) -> Tokens:
        """Rows of ids of these texts; of a text that does not fit, the first ids and the end are kept.

        Raises UserError if `context` is below 3, a text is no string or no valid Unicode, or `tokenizers` is absent.
        """
        if context < 3:
            raise UserError(f"A context of {context} holds no text: start, one word and end take 3.")
        found = self._ids(_written(texts))
        ids, cut = np.zeros((len(found), context), np.int32), np.zeros(len(found), np.int64)
        for row, words in enumerate(found):
            kept = words[: context - 2]
            cut[row] = len(words) - len(kept)
            ids[row, : len(kept) + 2] = [self.start, *kept, self.end]
        return Tokens(ids, cut)

    def decode(self, ids: np.ndarray) -> list[str]:
        """The texts (n,) of rows of ids (n, context), lower-cased, a space after each word and mark."""
        names, back = self._names, _byte_values()
        texts = []
        for row in np.asarray(ids).tolist():
            inside = row[1 : row.index(self.end)] if self.end in row else row[1:]
            words = "".join(names[i] for i in inside).split(WORD_END)
            texts.append(" ".join(bytes(back[c] for c in word).decode("utf-8", "replace") for word in words).strip())
        return texts

    def context(self, texts: Iterable[str], most: int = LONGEST) -> int:
        """The shortest context that holds 99 % of these texts whole, `most` at most."""
        lengths = [len(words) + 2 for words in self._ids(_written(texts))]
        return max(3, min(most, int(np.quantile(lengths, WHOLE, method="higher")))) if lengths else 3

    def save(self, path: str | Path) -> None:
        """Write the merges as JSON."""
        with aside(Path(path)) as part:
            part.write_text(json.dumps({"merges": self.merges}, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Read what `save` wrote."""
        try:
            merges = json.loads(Path(path).read_text(encoding="utf-8"))["merges"]
            return cls(tuple((str(first), str(second)) for first, second in merges))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"'{path}' is missing, damaged or holds no saved vocabulary: {error}.") from error

    @cached_property
    def _names(self) -> list[str]:
        """What each id stands for, but start and end."""
        alone = _bytes()
        return [*alone, *(mark + WORD_END for mark in alone), *(a + b for a, b in self.merges)]

    @cached_property
    def _tokenizer(self) -> Any:
        places = {name: place for place, name in enumerate(self._names)}
        model = _library().models.BPE(places, list(self.merges), end_of_word_suffix=WORD_END)
        return _pipeline(model)

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return [found.ids for found in self._tokenizer.encode_batch(texts, add_special_tokens=False)]


def _written(texts: Iterable[str]) -> list[str]:
    """The texts as a list, refused where one cannot be written in bytes."""
    if isinstance(texts, str):
        raise UserError("Captions are a list of texts; one text was given. Put it into a list.")
    out: Sequence[str] = list(texts)
    for row, text in enumerate(out):
        if not isinstance(text, str):
            raise UserError(f"Caption {row + 1} is {text!r} ({type(text).__name__}), no text. Give strings.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"Caption {row + 1} is no valid Unicode: {error}. Correct it.") from None
    return list(out)


def _pipeline(model: Any) -> Any:
    """Compose, lower-case, split, write in bytes, merge."""
    library = _library()
    tokenizer = library.Tokenizer(model)
    normalizers, split = library.normalizers, library.pre_tokenizers
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = split.Sequence(
        [
            split.Split(library.Regex(PIECES), "removed", invert=True),
            split.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


@lru_cache(maxsize=1)
def _bytes() -> tuple[str, ...]:
    """A mark for each of the 256 ids of bytes, in their order: those that can be printed stand for themselves and come
    first, the others take what follows Latin-1."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = BYTES - len(printed)
    return (*map(chr, printed), *(chr(BYTES + k) for k in range(others)))


def _byte_values() -> dict[str, int]:
    """The byte that each mark stands for."""
    marks = _bytes()
    printed = [ord(mark) for mark in marks if ord(mark) < BYTES]
    return dict(zip(marks, [*printed, *sorted(set(range(BYTES)) - set(printed))], strict=True))


def _library() -> Any:
    try:
        import tokenizers
        import tokenizers.models
        import tokenizers.normalizers
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError:
        raise UserError(f"Captions need the library 'tokenizers', which is not installed: {INSTALL}") from None
    return tokenizers

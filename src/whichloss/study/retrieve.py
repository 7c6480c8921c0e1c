"""What a model of pairs is used for: find what belongs to a thing, tell the class of a picture by the names alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..data import Captions, Column, Pairs, Pictures, Schema, Table, read_pictures
from ..data.files import PICTURES
from ..data.pairs import Side, Vectors
from ..errors import UserError
from .rank import wilson

if TYPE_CHECKING:
    from .model import Model

TEMPLATES = ("{}", "a {}", "a picture of {}")  # a class is the mean of what these say of it


class Found(NamedTuple):
    """One answer: its row in the gallery, its file or text, and the cosine with what was asked."""

    row: int
    name: str
    cosine: float


def embedded(model: "Model", side: Side, which: str) -> Tensor:
    """Directions (n, e) of things of one side, "first" or "second"."""
    code, use = getattr(model.encoder, which), getattr(model.objective, which)
    out = []
    with torch.no_grad():
        for start in range(0, len(side), model.block):
            x = torch.from_numpy(code.encode(side.rows(slice(start, start + model.block))))
            out.append(normalize(use(model.nets, x).double(), dim=1))
    return torch.cat(out)


def retrieve(model: "Model", query: object, top: int, gallery: Pairs) -> list[Found]:
    """The `top` things of the other side that lie nearest to a text, a picture (its file, or an array) or a vector."""
    if top < 1:
        raise UserError(f"--top must be at least 1; got {top}.")
    side, which = asked(model, query)
    other: Any = gallery.second if which == "first" else gallery.first
    z = embedded(model, side, which)[0]
    cosine = (embedded(model, other, "second" if which == "first" else "first") @ z).numpy()
    found, seen = [], set[str]()
    for row in np.argsort(-cosine, kind="stable"):
        name = name_of(other, int(row))
        if name in seen:
            continue  # equal captions are one answer
        seen.add(name)
        found.append(Found(int(row) + 1, name, float(cosine[row])))
        if len(found) == top:
            break
    return found


def asked(model: "Model", query: object) -> tuple[Side, str]:
    """The query as a side of one thing, and which side it is of."""
    first, second = model.encoder.first, model.encoder.second
    if isinstance(query, str) and not query.strip():
        raise UserError("The query is empty: give a text, or the file of a picture.")
    if isinstance(query, str | Path) and first.shape and Path(query).suffix.lower() in PICTURES:
        return picture(query, first.shape), "first"
    if isinstance(query, str) and second.context:
        return Captions((query,)), "second"
    if isinstance(query, np.ndarray) and first.shape:
        return picture(query[None] if query.ndim in (2, 3) and query.shape[0] != 1 else query, first.shape), "first"
    if isinstance(query, np.ndarray | list | tuple) and not isinstance(query, str):
        vector = np.asarray(query, dtype=np.float32).reshape(1, -1)
        for code, which in ((first, "first"), (second, "second")):
            if len(code.mean) == vector.shape[1]:
                return Vectors(vector), which
    raise UserError(f"{query!r} cannot be asked; this model knows {first.said} and {second.said}.")


def picture(source: object, shape: tuple[int, ...]) -> Pictures:
    """One picture of the known shape, from its file, which is reduced to it, or an array."""
    known = (shape[0], shape[1], shape[2])
    return read_pictures(source, size=None if isinstance(source, np.ndarray) else known[1:], like=known)


def name_of(side: Side, row: int) -> str:
    """The file or the text of a thing, or its number."""
    if isinstance(side, Captions):
        return side.texts[row]
    files = getattr(side, "files", ())
    return files[row] if files else f"row {row + 1}"


def zero_shot(
    model: "Model", pictures: Pictures, classes: Sequence[str], templates: Sequence[str] = TEMPLATES
) -> Table:
    """The class of every picture by the names of the classes: softmax of its cosines with the classes' mean directions,
    times the scale that was learnt. Where folders bear these names a note says how many are right."""
    names = [name.strip() for name in classes if name.strip()]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(f"--classes needs two names or more, each once, with commas; got '{','.join(classes)}'.")
    if not (model.encoder.first.shape and model.encoder.second.context):
        raise UserError("Classes by their names need a model of pictures and texts.")
    wrong = [template for template in templates if "{}" not in template]
    if wrong:
        raise UserError(f"The template '{wrong[0]}' has no place for the class: write {{}} where its name goes.")
    texts = Captions(tuple(template.format(name) for name in names for template in templates))
    z = embedded(model, texts, "second").view(len(names), len(templates), -1).mean(dim=1)
    cosine = embedded(model, pictures, "first") @ normalize(z, dim=1).T
    p = (scale(model) * cosine).softmax(dim=1).numpy()
    columns = [Column("file", "category", categories=tuple(sorted(set(pictures.files))))] if pictures.files else []
    values = [np.array([sorted(set(pictures.files)).index(f) for f in pictures.files], float)] if pictures.files else []
    columns.append(Column("predicted", "category", categories=tuple(names)))
    columns += [Column(f"p({name})", "number") for name in names]
    predicted = p.argmax(axis=1)
    found = np.column_stack([*values, predicted, p])
    notes = (*pictures.notes, *rightly(pictures, names, predicted))
    return Table(Schema(tuple(columns)), found, "zero-shot predictions", notes=notes)


def rightly(pictures: Pictures, names: Sequence[str], predicted: np.ndarray) -> Iterator[str]:
    """How many pictures are told rightly, of those whose folder bears the name of a class."""
    if pictures.labels is None:
        return
    place = {name.casefold(): k for k, name in enumerate(names)}
    truth = np.array([place.get(name.casefold(), -1) for name in pictures.classes])[pictures.labels]
    n, right = int((truth >= 0).sum()), int((truth == predicted).sum())
    if n:
        low, high = wilson(right, n)
        yield (
            f"Zero-shot accuracy: {right / n:.1%} of {n:,} pictures whose folder is named as a class "
            f"({low:.1%} to {high:.1%}; a guess gets {1 / len(names):.1%})."
        )


def scale(model: "Model") -> float:
    """The factor of cosines that the objective learned, or 1 / .07 where it has none."""
    with torch.no_grad():
        if "l" in model.nets.by_role:
            return float(model.nets.l().exp())
        if "s" in model.nets.by_role:
            return float(getattr(model.objective, "scale", 1.0) * model.nets.s()[0])
    return 1 / 0.07

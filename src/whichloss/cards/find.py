"""Cards by name: of an objective, a loss, a sampler or an idea, or of a function that one of them is about."""

import re
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from ..errors import UserError
from .korean import merge
from .parse import KEYS, OPTIONAL, Card, front_matter, listed, parse

HERE = Path(__file__).parent.parent
KINDS = ("objective", "loss", "sampler", "idea")
FOLDERS = MappingProxyType(
    {
        "objective": HERE / "objectives",
        "loss": HERE / "losses" / "cards",
        "sampler": HERE / "samplers",
        "idea": HERE / "ideas",
    }
)
LANGUAGES = ("en", "ko")
_LISTS = "All names: `whichloss list`, also with --losses, --samplers, --ideas."


def names(kind: str) -> tuple[str, ...]:
    """The names of all shipped cards of a kind, sorted."""
    files = (path.name for path in FOLDERS[kind].glob("*.md"))
    return tuple(sorted(name[:-3].replace("_", "-") for name in files if not name.endswith(".ko.md")))


def card(name: str, lang: str = "en") -> Card:
    """The card of a name (wgan-gp, focal-loss), of a function (bce_critic), or of a user's file (mine.py: mine.md).

    lang: 'en' or 'ko'. Raises UserError: there is no such card, or it is malformed (file, line, what is wrong).
    """
    if lang not in LANGUAGES:
        raise UserError(f"Cards are written in en and ko; got '{lang}'.")
    path = path_of(name)
    english = parse(_read(path), path)
    if lang == "en":
        return english
    twin = path.with_suffix(".ko.md")
    if not twin.is_file():
        raise UserError(f"'{name}' has no Korean card: expected the file '{twin}'.")
    return merge(_read(twin), twin, english)


def path_of(name: str) -> Path:
    """The file of the English card of a name, a function or a user's file. Raises UserError with the nearest name."""
    if name.endswith(".py"):
        path = Path(name).with_suffix(".md")
        if not path.is_file():
            raise UserError(f"'{name}' has no card: expected the file '{path}'.")
        return path
    asked = name.lower().replace("_", "-")
    for kind in KINDS:
        if asked in names(kind):
            return FOLDERS[kind] / f"{asked.replace('-', '_')}.md"
    found = functions()
    if asked not in found:
        known = {known for kind in KINDS for known in names(kind)} | set(found)
        raise UserError(f"There is no card '{name}'{_near(asked, known)} {_LISTS}")
    return found[asked]


@lru_cache(maxsize=1)
def functions() -> MappingProxyType[str, Path]:
    """Function name with hyphens -> its card. Where several are about it: a loss, an idea, an objective."""
    found: dict[str, Path] = {}
    for kind in ("loss", "sampler", "idea", "objective"):
        for name in names(kind):
            path = FOLDERS[kind] / f"{name.replace('-', '_')}.md"
            for function in _about(path, kind):
                found.setdefault(function.replace("_", "-"), path)
    return MappingProxyType(found)


def _near(asked: str, known: set[str]) -> str:
    """A clause with the nearest names: those that hold what was asked, then those spelled alike."""
    close = sorted(n for n in known if asked and asked in n) + get_close_matches(asked, sorted(known), n=3, cutoff=0.6)
    quoted = [f"'{each}'" for each in dict.fromkeys(close)][:3]
    return f": did you mean {', '.join(quoted[:-1])}{' or ' if quoted[1:] else ''}{quoted[-1]}?" if quoted else "."


def _about(path: Path, kind: str) -> tuple[str, ...]:
    """The functions a card is about; a malformed card is about none, so that it hides no other."""
    if kind == "sampler":
        code = path.with_suffix(".py")
        return tuple(re.findall(r"^def ([a-z]\w*)", _read(code), re.MULTILINE)) if code.is_file() else ()
    try:
        _, front = front_matter(_read(path).splitlines(), path, ("losses",), (*KEYS, *OPTIONAL))
    except UserError:
        return ()
    return listed(front["losses"][0])


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")

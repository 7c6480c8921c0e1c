"""The claims, one file per family: what every loss is, and what is mistaken for it."""

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path

from ...errors import UserError
from ..claim import Claim


@cache
def every() -> tuple[Claim, ...]:
    """All claims, by name."""
    claims = [claim for family in _families() for claim in import_module(f".{family}", __name__).CLAIMS]
    return tuple(sorted(claims, key=lambda claim: claim.name))


def find(name: str) -> Claim:
    """The claim of a name or alias, however spelled: info_nce, InfoNCELoss. Raises UserError with the nearest name."""
    known = {_plain(known): claim for claim in every() for known in (claim.name, *claim.aliases)}
    claim = known.get(_plain(name))
    if claim is None:
        raise UserError(f"There is no loss '{name}' to check against: {_hint(name)}")
    return claim


def _hint(name: str) -> str:
    """The losses of a card of that name, those with its words in theirs, the nearest, or where to look: a line."""
    asked = "-".join(part for part in name.strip().lower().replace("_", "-").split("-") if part != "loss")
    named = {known: claim.name for claim in every() for known in (claim.name, *claim.aliases)}
    words = set(asked.split("-"))
    of_card = [claim.name for claim in every() if claim.card.removesuffix("-loss") == asked]
    alike = of_card or list(dict.fromkeys(claim for known, claim in named.items() if words <= set(known.split("-"))))
    alike = alike or get_close_matches(asked, named, n=1, cutoff=0.76)
    if alike:
        return f"did you mean {' or '.join(map(repr, alike[:5]))}?"
    families = ", ".join(family.replace("_", " ") for family in _families())
    return f"the families are {families}; `whichloss list --losses` names the losses."


def _families() -> list[str]:
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def _plain(name: str) -> str:
    """Letters and figures only, without a last 'loss', British."""
    letters = "".join(c for c in name.lower() if c.isalnum()).removesuffix("loss")
    return letters.replace("generaliz", "generalis").replace("normaliz", "normalis").replace("centered", "centred")

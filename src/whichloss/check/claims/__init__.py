"""The claims, one file per family: what every loss is, and what is mistaken for it."""

from functools import cache
from importlib import import_module
from pathlib import Path

from ...errors import UserError, nearest
from ..claim import Claim


@cache
def every() -> tuple[Claim, ...]:
    """All claims, by name."""
    families = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    claims = [claim for family in families for claim in import_module(f".{family}", __name__).CLAIMS]
    return tuple(sorted(claims, key=lambda claim: claim.name))


def find(name: str) -> Claim:
    """The claim of a name or alias, however spelled: info_nce, InfoNCELoss. Raises UserError with the nearest name."""
    known = {_plain(known): claim for claim in every() for known in (claim.name, *claim.aliases)}
    claim = known.get(_plain(name))
    if claim is None:
        names = [known for claim in every() for known in (claim.name, *claim.aliases)]
        asked = name.strip().lower().replace("_", "-")
        raise UserError(f"There is no loss '{name}' to check against: {nearest(asked, names)}")
    return claim


def _plain(name: str) -> str:
    """Letters and figures only, without a last 'loss', British."""
    letters = "".join(c for c in name.lower() if c.isalnum()).removesuffix("loss")
    return letters.replace("generaliz", "generalis").replace("normaliz", "normalis").replace("centered", "centred")

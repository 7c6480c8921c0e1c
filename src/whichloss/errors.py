"""What can go wrong, as a tree; the command line prints the message and exits with `exit_code`.

    WhichlossError            1   an internal error
    ├── UserError             2   the request is wrong: a missing file, an unknown name, a bad option
    │   └── StudyError        2   the run folder is wrong: another data set's, unwritable, damaged
    └── DataUnfit             5   the data can be read but not compared; the message says what is supported

A message says what is wrong, where, the value found, and the usual fix.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class WhichlossError(Exception):
    """Anything this package raises on purpose."""

    exit_code = 1


class UserError(WhichlossError):
    """The request cannot be carried out as asked; the message names the fix."""

    exit_code = 2


class StudyError(UserError):
    """The run folder cannot be used as asked."""


class DataUnfit(WhichlossError):
    """The data can be read but not compared; the message says what is supported."""

    exit_code = 5


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that suggests the nearest known name (in any case), or the only one it is a part of, or lists all."""
    folded = {text.casefold(): text for text in sorted(known)}
    asked = name.strip().casefold()
    close = get_close_matches(asked, folded, n=1, cutoff=0.6) or [
        text for text in folded if len(asked) > 1 and asked in text
    ]
    return f"did you mean '{folded[close[0]]}'?" if len(close) == 1 else f"known: {', '.join(folded.values())}."

"""What is wrong with a training loop: one rule a file, each a pure reading of the `Trace`.

Rules named "contract: ..." are told by what the code does, whatever comes of it. The others are symptoms: each says in
its own file which outcome makes it a fault; else it is a note, or nothing.
"""

from importlib import import_module
from pkgutil import iter_modules

from ...task import Finding
from ..say import Say
from ..trace import Trace

FEWEST = 5  # looks, for anything but what the code does


def examine(trace: Trace) -> tuple[Finding, ...]:
    """All findings on a loop, what the code does first."""
    say = Say(trace.name)
    rules = [import_module(f"{__name__}.{found.name}").rule for found in iter_modules(__path__)]
    found = [finding for rule in rules for finding in rule(trace, say)]
    contracts = [f for f in found if f.rule.startswith("contract")]
    symptoms = [f for f in found if not f.rule.startswith("contract")] if len(trace.looks) >= FEWEST else []
    broken = [f for f in symptoms if f.rule == "non-finite"]
    symptoms = broken or symptoms
    return (*contracts, *sorted(symptoms, key=lambda f: f.level == "note"))

"""How a check words what it found about one objective."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..task import Finding

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Say:
    """Findings about one objective, by name."""

    objective: str

    def fault(
        self, rule: str, says: str, cause: str, remedy: str, evidence: Numbers | None = None, reference: str = ""
    ) -> Finding:
        """Something is wrong."""
        return self._finding("fault", rule, says, cause, remedy, evidence, reference)

    def note(
        self, rule: str, says: str, cause: str, remedy: str, evidence: Numbers | None = None, reference: str = ""
    ) -> Finding:
        """Something is worth knowing."""
        return self._finding("note", rule, says, cause, remedy, evidence, reference)

    def told(
        self, poor: bool, rule: str, says: str, cause: str, remedy: str, evidence: Numbers | None = None,
        reference: str = "",
    ) -> Finding:  # fmt: skip
        """A fault where the outcome is poor, else a note."""
        return self._finding("fault" if poor else "note", rule, says, cause, remedy, evidence, reference)

    def raised(self, where: str, error: Exception) -> Finding:
        """A piece of the objective or of its networks raised an error."""
        first = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
        return self.fault(
            "contract: raises",
            f"{where} raised {type(error).__name__}: {first}",
            "The code cannot run on this data's shapes, or not in float64.",
            "Run it by hand on a few rows of float64 numbers; make new tensors with the dtype of the rows.",
        )

    def _finding(
        self,
        level: Literal["note", "fault"],
        rule: str,
        says: str,
        cause: str,
        remedy: str,
        evidence: Numbers | None,
        reference: str,
    ) -> Finding:
        return Finding(rule, self.objective, level, says, evidence or {}, cause, remedy, reference)

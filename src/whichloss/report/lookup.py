"""What the report looks up in a study again and again."""

from ..study.records import Row, Study


def rope(study: Study) -> float:
    """The standard deviation of the score on real rows; a thousandth of the largest score if it is unknown."""
    value = float(study.power.get("rope") or 0.0)
    return value if value > 0 else max(1e-6, max(abs(r.mean) for r in study.rows) / 1000)


def of_role(study: Study, role: str) -> list[Row]:
    """The lines of a role, best first."""
    return [row for row in study.ranked() if row.role == role]


def ceiling(study: Study) -> float:
    """The score of fresh real rows."""
    return next((row.mean for row in study.rows if row.role == "ceiling"), 0.0)

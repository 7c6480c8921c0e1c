"""From how much on does the doctor see a fault? Shares of wrong labels and of shuffled pairs, three data sets.

python benchmarks/graded_faults.py [--seeds 5] [--out graded.json]
"""

from collections.abc import Sequence
from typing import Any

from measure import keep, parser, settle, table

from whichloss.doctor.faults import FAMILIES, plant
from whichloss.doctor.faults.base import WIDTHS

GRADES: dict[tuple[str, str], Sequence[float]] = {
    ("classify", "label noise"): (0.05, 0.1, 0.2, 0.4),
    ("contrast", "pairs shuffled"): (0.2, 0.5, 0.8, 1.0),
}


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--seeds", type=int, default=5)
    given = options.parse_args()
    settle()
    rows: dict[str, list[dict[str, Any]]] = {}
    for (name, fault), shares in GRADES.items():
        family, rows[fault] = FAMILIES[name], []
        right = {rule for one in family.faults if one.name == fault for rule in one.rules}
        for share in shares:
            row: dict[str, Any] = {"fault": fault, "share": share}
            for data in family.data:
                runs = [plant(family, f"{fault} {share}", data, WIDTHS[1], seed) for seed in range(1, given.seeds + 1)]
                row |= {f"{data}: named": sum(bool(right & set(run.found)) for run in runs)}
                row |= {f"{data}: other faults": sum(bool(set(run.found) - right) for run in runs)}
            rows[fault].append(row | {"of": given.seeds})
        table(rows[fault])
    keep(given.out, "graded_faults", rows)


if __name__ == "__main__":
    main()

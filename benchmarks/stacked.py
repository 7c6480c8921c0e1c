"""Mode collapse on stacked digits: how many of 1,000 modes does every objective cover, and how evenly?

    python benchmarks/stacked.py [--objectives gan,r3gan,flow-matching] [--budget 1e12] [--seeds 2] [--source PICTURES]

KL is that of the modes' shares to equal ones; `floor` is what a perfect sampler gets with as many pictures, `at best`
how many modes it covers. The classifier's accuracy on channels of held-out originals bounds what either can tell.
"""

import argparse
import tempfile
from pathlib import Path

import whichloss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objectives", default="gan,r3gan,flow-matching")
    parser.add_argument("--budget", type=float, default=1e12)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--source", help="labelled grey pictures to stack instead of scikit-learn's digits")
    parser.add_argument("--size", type=int, help="the side they are reduced to")
    parser.add_argument("--out", type=Path, help="keep the study here; running it again resumes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = whichloss.compare(
            "toy:stacked" + (f"?source={given.source}" if given.source else ""),
            objectives=given.objectives.split(","),
            budget=given.budget,
            seeds=given.seeds,
            size=given.size,
            out=given.out or Path(folder) / "study",
        )
        rows = [row for row in found.study.ranked() if "modes covered" in row.metrics]
    first = {name: mean for name, (mean, _) in rows[0].metrics.items()}
    print(f"channels told right {first['channels told right']:.1%}; {first['modes']:.0f} modes")
    print(f"{'':24}{'modes covered':>18}{'KL':>16}")
    for row in rows:
        (covered, apart), (kl, wide) = row.metrics["modes covered"], row.metrics["KL of modes"]
        print(f"{row.name:24}{covered:11.0f} ± {apart:4.0f}{kl:9.3f} ± {wide:.3f}")
    print(f"{'a perfect sampler':24}{first['modes covered at best']:11.0f}{first['KL floor']:16.3f}")


if __name__ == "__main__":
    main()

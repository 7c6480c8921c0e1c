"""Peak memory of a study on pictures: 100,000 of 64 x 64 x 3 from an NPY file, two workers, imports included.

Sums the proportional set size (a page that k processes map counts 1 / k in each) over the parent and its workers, twice
a second, and says what the peak was, when, and how it was shared. Pages of the pictures' own file count too while they
are mapped, although the system takes them back when it needs them; `own` leaves out the pages of files.

    python benchmarks/memory.py [--pictures 100000] [--side 64] [--objectives gan,ddpm] [--budget 1e11] [--out FILE]
"""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import keep, parser, table

LIMIT = 2 * 1024  # MiB
PAUSE = 0.5  # seconds between two looks
BLOCK = 1000  # pictures written at a time


def draw(path: Path, n: int, side: int, channels: int) -> None:
    """n pictures of a disc each, of its own place, size and colours, on disk without ever being in memory."""
    pixels = np.lib.format.open_memmap(path, "w+", np.uint8, (n, side, side, channels))
    rng, axis = np.random.Generator(np.random.PCG64(0)), np.linspace(-1, 1, side)
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        x, y, r = (rng.uniform(a, b, (m, 1, 1)) for a, b in ((-0.5, 0.5), (-0.5, 0.5), (0.2, 0.5)))
        inside = ((axis - x) ** 2 + (axis[:, None] - y) ** 2 < r**2)[..., None]
        ground, disc = rng.integers(0, 256, (2, m, 1, 1, channels))
        pixels[start : start + m] = np.where(inside, disc, ground)
    pixels.flush()


def family(pid: int) -> list[int]:
    """The process and all that it started."""
    found = [pid]
    for one in found:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it has ended
    return found


def memory(pid: int) -> dict[str, float]:
    """MiB of one process: all, and what is its own (not pages of files)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {"all": 0.0, "own": 0.0}
    kib = {name.rstrip(":"): int(value) for name, value, *_ in map(str.split, lines)}
    return {"all": kib["Pss"] / 1024, "own": kib["Pss_Anon"] / 1024}


def watched(command: list[str], log: Path) -> dict[str, float]:
    """Runs the command to its end; the moment of most memory: MiB in all, own, when, and of each process."""
    began, peak = time.monotonic(), {"MiB": 0.0}
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as study:
        try:
            while study.poll() is None:
                each = [memory(pid) for pid in family(study.pid)]
                total = sum(m["all"] for m in each)
                if total > peak["MiB"]:
                    peak = {"MiB": total, "own": sum(m["own"] for m in each), "after, s": time.monotonic() - began}
                    peak |= {f"process {k}": m["all"] for k, m in enumerate(each)}
                    print({name: round(value) for name, value in peak.items()}, file=sys.stderr, flush=True)
                time.sleep(PAUSE)
        finally:
            study.terminate()
    print(log.read_text())
    if study.returncode:
        sys.exit(f"the study ended with {study.returncode}: nothing was measured")
    return peak


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--pictures", type=int, default=100_000)
    options.add_argument("--side", type=int, default=64)
    options.add_argument("--channels", type=int, default=3)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--objectives", default="gan,ddpm")
    options.add_argument("--budget", default="1e11")
    options.add_argument("--features", help="as for compare; trained on the pictures by default")
    options.add_argument(
        "--folder", type=Path, help="where the pictures and the study go; a temporary folder by default"
    )
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the study ends too
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        data = Path(folder) / "pictures.npy"
        draw(data, given.pictures, given.side, given.channels)
        asked = {"--objectives": given.objectives, "--budget": given.budget, "--seeds": 2, "--workers": given.workers}
        asked |= {"--out": f"{folder}/study"} | ({"--features": given.features} if given.features else {})
        command = [sys.executable, "-m", "whichloss.cli", "compare", str(data)]
        command += [str(word) for pair in asked.items() for word in pair]
        peak = watched(command, Path(folder) / "log")
    table([peak])
    verdict = (
        f"{given.pictures:,} pictures of {given.side} x {given.side} x {given.channels}, {given.objectives}, "
        f"{given.workers} workers: peak {peak['MiB']:,.0f} MiB (target {LIMIT}: "
        f"{'met' if peak['MiB'] <= LIMIT else 'MISSED'}), {peak['own']:,.0f} of it not pages of files"
    )
    print(verdict)
    keep(given.out, "memory", {"peak": peak, "verdict": verdict})


if __name__ == "__main__":
    main()

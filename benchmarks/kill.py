"""kill -9 at random moments: what is left after the same command again must be what an undisturbed run leaves.

    python benchmarks/kill.py [--times 20] [--budget 5e8] [--what worker|command|both]

Kills one worker, then the whole command with all its workers, `--times` times each at moments spread at random over
an undisturbed run's duration, and compares study.json, without its clock fields, byte by byte.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from whichloss.study.records import without_clock


def command(folder: Path, budget: float) -> list[str]:
    """A small comparison with two objectives and two fresh seeds."""
    what = ["compare", "toy:moons:1500", "--objectives", "gan,lsgan", "--budget", str(budget), "--seeds", "2"]
    return [sys.executable, "-m", "whichloss", *what, "--out", str(folder)]


def start(folder: Path, budget: float) -> subprocess.Popen:
    return subprocess.Popen(
        command(folder, budget), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )


def study(folder: Path) -> bytes:
    """study.json without what tells the time."""
    content = without_clock(json.loads((folder / "study.json").read_bytes()))
    return msgspec.json.encode({k: v for k, v in content.items() if k != "command"})


def workers(parent: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            found += [int(entry.name)] * (int(fields[1]) == parent)
    return found


def disturbed(folder: Path, budget: float, moment: float, whole: bool) -> str:
    """Run, kill at `moment` seconds, run again where needed; what was killed, "" for nothing."""
    process = start(folder, budget)
    end = time.monotonic() + moment
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.01)
    if process.poll() is not None:
        return ""
    below = workers(process.pid)
    if whole:
        for pid in (process.pid, *below):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        subprocess.run(command(folder, budget), capture_output=True, check=False)
        return f"the command and {len(below)} workers"
    victim = random.choice(below) if below else None
    if victim:
        os.kill(victim, signal.SIGKILL)
    process.wait()
    return "a worker" if victim else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--budget", type=float, default=5e8)
    parser.add_argument("--what", choices=("worker", "command", "both"), default="both")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random.seed(asked.seed)
    with tempfile.TemporaryDirectory() as base:
        began = time.monotonic()
        start(Path(base) / "calm", asked.budget).wait()
        duration = time.monotonic() - began
        calm = study(Path(base) / "calm")
        print(f"undisturbed: {duration:.1f} s")
        for whole in [w for w, name in ((False, "worker"), (True, "command")) if asked.what in (name, "both")]:
            same = 0
            for i in range(asked.times):
                what = ""
                while not what:  # a moment without anything to kill is drawn again
                    moment = random.uniform(0, duration)
                    folder = Path(base) / f"{'all' if whole else 'one'}-{i}-{moment:.3f}"
                    what = disturbed(folder, asked.budget, moment, whole)
                equal = study(folder) == calm
                same += equal
                print(f"  {moment:5.1f} s, killed {what}: {'same' if equal else 'DIFFERENT'}", flush=True)
            print(f"kill -9 of {'the whole command' if whole else 'a worker'}: {same} of {asked.times} the same")


if __name__ == "__main__":
    main()

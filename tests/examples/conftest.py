"""The examples as a person has them: scripts in a folder, run as they are; their shared parts importable by name."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

Played = tuple[dict[str, Any], str, Path]


@pytest.fixture(scope="session")
def play(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Played]:
    """play(name) runs examples/NAME.py --quick once and returns its numbers, what it printed, and its folder."""
    folder, done = tmp_path_factory.mktemp("replayed"), {}

    def run(name: str) -> Played:
        if name not in done:
            command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--quick", "--out", str(folder)]
            environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
            ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment)
            assert ended.returncode == 0, ended.stderr
            done[name] = json.loads((folder / f"{name}.json").read_text()), ended.stdout, folder
        return done[name]

    return run

"""The imports of the package keep the layers of ARCHITECTURE.md, and an upward import would be caught."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter")
ROOT = Path(__file__).parents[2]
LINT = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, config_filename={!r}))"


def lint(source: Path) -> subprocess.CompletedProcess[str]:
    """import-linter on a source folder, with the repository's contracts."""
    code = LINT.format(str(ROOT / ".importlinter"))
    env = os.environ | {"PYTHONPATH": str(source)}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=source, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def copy(tmp_path):
    """The package, to plant imports in."""
    shutil.copytree(ROOT / "src" / "whichloss", tmp_path / "whichloss", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_package_keeps_its_layers():
    run = lint(ROOT / "src")
    assert run.returncode == 0, run.stdout
    assert "0 broken" in run.stdout


@pytest.mark.parametrize(
    "file, planted",
    [
        ("losses/adversarial.py", "from ..objectives import base"),
        ("rng.py", "def late():\n    from .study import plan"),
        ("cards/parse.py", "from ..data import schema"),
        ("nets/mlp.py", "from ..samplers import langevin"),
        ("doctor/say.py", "from ..engines import local"),
        ("check/load.py", "from ..doctor import say"),
        ("check/load.py", "from ..train import loop"),
        ("objectives/gan.py", "from . import wgan_gp"),
        ("objectives/wgan_gp.py", "from ..train import loop"),
        ("metrics/mmd.py", "from ..losses import energy"),
    ],
)
def test_an_upward_or_sideways_import_is_caught(copy, file, planted):
    path = copy / "whichloss" / file
    path.write_text(path.read_text(encoding="utf-8") + f"\n{planted}\n", encoding="utf-8")
    run = lint(copy)
    assert run.returncode == 1, run.stdout
    assert "Contracts: " in run.stdout and " 0 broken" not in run.stdout


def test_every_folder_is_a_package_so_that_none_escapes_the_contracts():
    folders = {path.parent for path in (ROOT / "src" / "whichloss").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []

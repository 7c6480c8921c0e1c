"""The public names: sorted, there, documented; and importing the package, or asking for help, is quick."""

import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import whichloss

HEAVY = ("torch", "scipy", "sklearn", "duckdb", "altair", "pandas", "numpy")
SUBPACKAGES = ("data", "doctor", "engines", "losses", "metrics", "nets", "objectives", "samplers", "train")


def python(code: str) -> str:
    env = os.environ | {"PYTHONPATH": str(Path(whichloss.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_public_names_are_sorted_and_there():
    assert whichloss.__all__ == sorted(whichloss.__all__)
    assert len(set(whichloss.__all__)) == len(whichloss.__all__)
    for name in whichloss.__all__:
        assert getattr(whichloss, name) is not None
        assert name in dir(whichloss)


@pytest.mark.parametrize("name", sorted(whichloss.__all__))
def test_public_names_say_what_they_are(name):
    assert (getattr(whichloss, name).__doc__ or "").strip()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'wgan'"):
        whichloss.wgan


@pytest.mark.parametrize("name", SUBPACKAGES)
def test_what_a_subpackage_offers_is_there_and_documented(name):
    module = import_module(f"whichloss.{name}")
    assert (module.__doc__ or "").strip()
    offered = getattr(module, "__all__", [])
    for public in offered:
        assert hasattr(module, public), public
        thing = getattr(module, public)
        if inspect.isclass(thing) or inspect.isroutine(thing):
            assert (thing.__doc__ or "").strip(), public


def test_every_module_says_what_it_is():
    for path in sorted(Path(whichloss.__file__).parent.rglob("*.py")):
        text = path.read_text(encoding="utf-8").lstrip()
        assert text.startswith(('"""', 'r"""')), path


@pytest.mark.parametrize("module", ["whichloss", "whichloss.cli", "whichloss.cards", "whichloss.errors"])
def test_light_modules_import_nothing_heavy(module):
    found = python(f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))")
    assert found.split() == []

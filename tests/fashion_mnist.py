"""Where Fashion-MNIST lies, for the tests that need it."""

import os
from pathlib import Path

import pytest


def fashion_mnist() -> Path:
    """The folder that `scripts/fetch-fashion-mnist` fills, or that $FASHION_MNIST names; else the test is skipped."""
    folder = Path(os.environ.get("FASHION_MNIST") or Path(__file__).parents[1] / "fashion-mnist")
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"Fashion-MNIST is not in '{folder}': run scripts/fetch-fashion-mnist")
    return folder

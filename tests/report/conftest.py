"""What the report's tests share."""

from pathlib import Path

import pytest
from made_up import make, mixed

from whichloss.study.records import Study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Eight objectives on a mixed table, in tmp_path."""
    return make(tmp_path, mixed())

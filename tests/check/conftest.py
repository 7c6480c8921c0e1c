"""`ask(fn, name)` examines a function in this process, which takes a tenth of the time of a process of its own."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from whichloss.check.answer import Answer
from whichloss.check.claims import find
from whichloss.check.examine import examine

Ask = Callable[..., Answer]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """The answer about fn as the loss `name`; further arguments say which parameter is which role."""

    def asked(fn: Callable[..., Any], name: str, **roles: str) -> Answer:
        return examine(fn, find(name), roles, function=getattr(fn, "__name__", "fn"), file=None)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a person's function warns of is not ours
        yield asked

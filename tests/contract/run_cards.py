"""Runs blocks of cards one after the other, each in a namespace of its own; one line of JSON per block on stdout.

stdin: [[card, section, code], ...]. Warnings are errors; what a block prints, or changes for all, is a fault.
"""

import contextlib
import io
import json
import random
import sys
import time
import traceback
import warnings

import numpy as np
import torch

LIMIT = 5.0  # CPU seconds a block


def state() -> tuple[object, ...]:
    """What a block must leave as it was."""
    return torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(), np.geterr()["over"]


def run(card: str, section: str, code: str) -> str:
    """What went wrong, or nothing."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    before, said, started = state(), io.StringIO(), time.process_time()
    name = f"{card} {section}"
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("error")
            exec(compile(code, name, "exec"), {"__name__": "__main__"})
    except BaseException as error:
        # the block is not a file, so its line is looked up here
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == name]
        at = f" at `{code.splitlines()[(frames[-1].lineno or 1) - 1].strip()}`" if frames else ""
        return f"{type(error).__name__}: {error}{at}"
    if said.getvalue():
        return f"prints {said.getvalue()[:100]!r}"
    if state() != before:
        return f"leaves {state()} where {before} was"
    seconds = time.process_time() - started
    return f"takes {seconds:.1f} s, more than {LIMIT:g}" if seconds > LIMIT else ""


if __name__ == "__main__":
    torch.set_num_threads(1)
    with contextlib.suppress(ImportError):
        import sympy  # noqa: F401  not charged to the first block that needs it
    for card, section, code in json.load(sys.stdin):
        before = time.process_time()
        fault = run(card, section, code)
        print(json.dumps([card, section, fault, round(time.process_time() - before, 2)]), flush=True)

"""Findings: contract checks before training, symptoms after."""

from .contracts import check_contracts
from .record import Outcome
from .symptoms import symptoms

__all__ = ["Outcome", "check_contracts", "symptoms"]

"""How work is spread over processes."""

from .local import Failure, Local, Outcome, trim

__all__ = ["Failure", "Local", "Outcome", "trim"]

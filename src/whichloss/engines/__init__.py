"""How work is spread over processes."""

from .local import Failure, Local, Outcome

__all__ = ["Failure", "Local", "Outcome"]
